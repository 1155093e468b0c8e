"""Users who may sign in."""

import statistics
import sys
import time

import pytest
from argon2 import PasswordHasher
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from db import repository, users
from db.errors import AccountError, NotFound
from db.models import User

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time: how many there are is what is looked at."""
    users._dummy_hash.cache_clear()
    monkeypatch.setattr(users, "_hasher", CHEAP)


def add(tx: Session, name: str = "Ana", password: str = "correct horse", **more: bool) -> User:
    return users.add(tx, name=name, password=password, **more)


def test_a_user_signs_in_by_name_and_password(tx: Session) -> None:
    ana = add(tx, " Ana ", admin=True)
    assert (ana.name, ana.admin) == ("Ana", True) and "horse" not in ana.password
    tx.expire_all()
    for name in ("Ana", "ana", "ANA ", "\tana"):
        user = users.authenticate(tx, name=name, password="correct horse")
        assert user is not None and user.id == ana.id
    for name, password in (
        ("Ana", "correct Horse"),
        ("Ana", ""),
        ("Ana", "correct horse" + "x" * 5000),
        ("An", "correct horse"),
        ("", "correct horse"),
        ("a%", "correct horse"),
        ("Ana\0", "correct horse"),
        ("\ud800", "\ud800"),
        ("nobody", "nobody's"),
    ):
        assert users.authenticate(tx, name=name, password=password) is None
    assert users.get(tx, id=str(ana.id)) is ana and users.get(tx, id="Ana") is None


def test_names_are_compared_in_normal_form(tx: Session) -> None:
    add(tx, "Jose\u0301")
    assert users.authenticate(tx, name="JOSÉ", password="correct horse") is not None
    with pytest.raises(AccountError, match="already"):
        add(tx, "josé")


@pytest.mark.parametrize(
    ("kept", "typed"),
    [
        ("Straße", "STRASSE"),
        ("STRAẞE", "straße"),
        ("ΑΝΝΑΣ", "ανναs".replace("s", "ς")),
        ("Émile", "E\u0301MILE"),
        ("Ana", "ana" + " " * 300 + "x"),
    ],
)
def test_a_name_is_found_by_its_normal_form(tx: Session, kept: str, typed: str) -> None:
    id = add(tx, kept).id
    user = users.authenticate(tx, name=users.normalise_name(typed), password="correct horse")
    assert user is not None and user.id == id
    with pytest.raises(AccountError, match="already"):
        add(tx, typed[:64])


@given(st.text(st.characters(), max_size=100))
@example("ᾳ\u0345İ")
@example("a" * 63 + " b")
def test_normalisation_is_idempotent(name: str) -> None:
    normal = users.normalise_name(name)
    assert users.normalise_name(normal) == normal and len(normal) <= users.LONGEST_NAME


def test_normalisation_is_idempotent_for_each_character() -> None:
    for point in range(sys.maxunicode + 1):
        normal = users.normalise_name(chr(point))
        assert users.normalise_name(normal) == normal, hex(point)


def test_two_older_accounts_with_one_normal_form_are_found_by_spelling(tx: Session) -> None:
    ids = {}
    for name in ("Straße", "Strasse"):
        user = User(name=name, password=CHEAP.hash("correct horse"), admin=False)
        tx.add(user)
        tx.flush()
        ids[name] = user.id
    for name, id in ids.items():
        assert users.change_password(tx, name=name, password="another horse").id == id


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "\x7f", "x" * 65, "a\u200bb", "\0"])
def test_invalid_names_are_refused(tx: Session, name: str) -> None:
    with pytest.raises(AccountError, match="1 to 64 characters"):
        add(tx, name)


def test_names_are_unique_without_regard_to_case(tx: Session) -> None:
    add(tx, "x" * 64)
    add(tx)
    for name in ("Ana", "ANA", " ana"):
        with pytest.raises(AccountError, match=f"called {name.strip()} already"):
            add(tx, name)
    assert users.count(tx) == 2  # and the transaction can be gone on with


@pytest.mark.parametrize("password", ["", "1234567", "é" * 7, "x" * 1025])
def test_invalid_passwords_are_refused(tx: Session, password: str) -> None:
    with pytest.raises(AccountError, match="A password has at"):
        add(tx, password=password)
    assert users.count(tx) == 0


def test_checking_an_unknown_name_takes_as_long_as_a_wrong_password(
    tx: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "_hasher", PasswordHasher(time_cost=2, memory_cost=16 * 1024, parallelism=1))
    users._dummy_hash.cache_clear()
    add(tx)
    users.authenticate(tx, name="Ana", password="warm up")

    def taken(name: str) -> float:
        began = time.process_time()
        assert users.authenticate(tx, name=name, password="wrong password") is None
        return time.process_time() - began

    known, unknown = (statistics.median(taken(name) for _ in range(7)) for name in ("Ana", "Eva"))
    assert 0.5 < known / unknown < 2
    users._dummy_hash.cache_clear()


def test_a_hash_with_older_parameters_is_replaced_at_login(
    tx: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = add(tx)
    before = ana.password
    assert users.authenticate(tx, name="Ana", password="correct horse") and ana.password == before
    monkeypatch.setattr(users, "_hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert users.authenticate(tx, name="Ana", password="wrong one") is None and ana.password == before
    assert users.authenticate(tx, name="Ana", password="correct horse")
    assert ana.password != before and "t=2" in ana.password
    assert users.authenticate(tx, name="Ana", password="correct horse")


def test_an_invalid_hash_refuses_every_password(tx: Session) -> None:
    add(tx)
    tx.execute(text("UPDATE users SET password = ''"))
    tx.expire_all()
    assert users.authenticate(tx, name="Ana", password="") is None


def test_users_are_listed_with_their_number_of_sessions(tx: Session) -> None:
    eva, ana = add(tx, "eva"), add(tx)
    for _ in range(2):
        repository.create(tx, name="a", source="a.mp4", clip={}, job={}, owner=eva.id)
    repository.create(tx, name="a", source="a.mp4", clip={}, job={})
    assert [(user.name, sessions) for user, sessions in users.list_users(tx)] == [("Ana", 0), ("eva", 2)]
    assert users.count(tx) == 2 and ana.created_at


def test_removing_a_user_deletes_their_sessions(tx: Session) -> None:
    ana, eva = add(tx), add(tx, "Eva")
    row, kept = (
        repository.create(tx, name="a", source="a.mp4", clip={}, job={}, owner=user.id).id
        for user in (ana, eva)
    )
    ids = ana.id, eva.id
    assert users.remove(tx, name="ANA").id == ids[0]
    tx.expire_all()
    with pytest.raises(NotFound):
        repository.get_any(tx, id=row)
    assert repository.get_any(tx, id=kept).owner_id == ids[1]
    assert users.authenticate(tx, name="Ana", password="correct horse") is None
    with pytest.raises(AccountError, match="no user called 'Ana'"):
        users.remove(tx, name="Ana")
