"""Login sessions of users."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db import login_sessions, users
from db.engine import Database
from db.errors import AccountError
from db.models import LoginSession, User
from tests.waiting import DEADLINE, until

DAY = 24 * 3600.0


def add_user(tx: Session, name: str = "Ana") -> UUID:
    user = User(name=name, password="a hash")
    tx.add(user)
    tx.flush()
    return user.id


def add(tx: Session, user_id: UUID, token_hash: str = "a", seconds: float = DAY) -> LoginSession:
    return login_sessions.add(tx, token_hash=token_hash, user_id=user_id, auth_hash="1", seconds=seconds)


def hashes(tx: Session) -> list[str]:
    return list(tx.scalars(select(LoginSession.token_hash).order_by(LoginSession.token_hash)))


def waiting(database: Database) -> int:
    """Return the number of transactions that wait for a lock; one transaction always sees the same number."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with database.begin() as tx:
        return int(tx.scalars(text(query)).one())


def test_a_login_session_is_found_by_its_hash_until_it_expires(tx: Session) -> None:
    id = add_user(tx)
    row = add(tx, id)
    assert row.expires_at - row.created_at == timedelta(days=1)
    assert row.created_at == tx.scalars(select(func.now())).one()
    found = login_sessions.find(tx, token_hash="a")
    assert found is not None and (found.user.id, found.auth_hash, found.seconds_left) == (id, "1", DAY)
    assert login_sessions.find(tx, token_hash="b") is None and login_sessions.find(tx, token_hash="") is None
    tx.execute(text("UPDATE login_sessions SET expires_at = now()"))
    assert login_sessions.find(tx, token_hash="a") is None


def test_expired_ones_are_deleted_when_somebody_signs_in(tx: Session) -> None:
    ana, ben = add_user(tx), add_user(tx, "Ben")
    add(tx, ana, "a", -1)
    add(tx, ana, "b", 0)
    add(tx, ana, "c", 60)
    add(tx, ben, "d")
    assert hashes(tx) == ["c", "d"]


def test_removing_one_or_all_of_a_user(tx: Session) -> None:
    ana, ben = add_user(tx), add_user(tx, "Ben")
    for user, token_hash in ((ana, "a"), (ana, "b"), (ana, "c"), (ben, "d")):
        add(tx, user, token_hash)
    login_sessions.remove(tx, token_hash="b")
    login_sessions.remove(tx, token_hash="b")
    assert hashes(tx) == ["a", "c", "d"]
    login_sessions.remove_all(tx, user_id=ana)
    assert hashes(tx) == ["d"]


def test_a_new_password_and_a_removal_end_those_of_the_user(tx: Session) -> None:
    for n, name in enumerate(("Ana", "Ben", "Eva")):
        add(tx, add_user(tx, name), str(n))
    users.change_password(tx, name="Ana", password="correct horse")
    assert hashes(tx) == ["1", "2"]
    users.remove(tx, name="Ben")
    assert hashes(tx) == ["2"]


def test_a_login_session_of_nobody_is_refused(tx: Session) -> None:
    with pytest.raises(AccountError, match="no such user"):
        add(tx, uuid4())
    ana = add_user(tx)
    add(tx, ana)  # the transaction can be gone on with
    assert not login_sessions.restore(
        tx, token_hash="b", user_id=uuid4(), auth_hash="1", age=0, seconds_left=1
    )
    assert hashes(tx) == ["a"]


def test_one_that_is_restored_keeps_its_times_and_replaces_none(tx: Session) -> None:
    id = add_user(tx)
    for auth_hash, left in (("1", DAY), ("2", 3 * DAY)):
        assert login_sessions.restore(
            tx, token_hash="a", user_id=id, auth_hash=auth_hash, age=2 * DAY, seconds_left=left
        )
    row = tx.get_one(LoginSession, "a")
    assert row.auth_hash == "1" and row.expires_at - row.created_at == timedelta(days=3)
    found = login_sessions.find(tx, token_hash="a")
    assert found is not None and found.seconds_left == DAY


def test_nobody_signs_in_while_they_are_removed(own: Database) -> None:
    with own.begin() as tx:
        id = add_user(tx)
    ended: list[str] = []

    def signs_in() -> None:
        try:
            with own.begin() as tx:
                add(tx, id)
        except AccountError:
            ended.append("refused")

    thread = threading.Thread(target=signs_in)
    with own.begin() as tx:
        users.lock(tx, name="Ana")
        thread.start()
        until(lambda: waiting(own) == 1)
        users.remove(tx, name="Ana")
    thread.join(DEADLINE)
    assert ended == ["refused"]


def test_expired_ones_are_deleted_by_several_at_once(own: Database) -> None:
    with own.begin() as tx:
        id = add_user(tx)
        tx.add_all(
            LoginSession(token_hash=f"old{n}", user_id=id, auth_hash="1", expires_at=func.now())
            for n in range(200)
        )
    with own.begin() as tx, own.begin() as other:
        add(tx, id, "a")
        add(other, id, "b")  # waits for nobody
    with own.begin() as tx:
        assert hashes(tx) == ["a", "b"]
