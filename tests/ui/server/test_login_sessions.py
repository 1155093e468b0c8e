"""Login sessions in the database, and those that are taken over from the file of earlier versions."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import select, text
from starlette.requests import HTTPConnection

from db import users
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import AccountError, DatabaseAway
from db.models import LoginSession, User
from db.tokens import hash_token
from tests.postgres import on_a_server_of_its_own
from tests.ui.conftest import ROOT, running
from tests.waiting import DEADLINE
from ui.server.login import login_file
from ui.server.login.accounts import DatabaseAccounts, visitor_of
from ui.server.login.authentication import CookieAuthenticator
from ui.server.login.login_sessions import LIFETIME_SECONDS, DatabaseLoginSessions
from ui.server.visitors import Visitor

DAY = 24 * 3600.0
NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def add_user(database: Database, name: str, password: str = "a hash") -> Visitor:
    with database.begin() as tx:
        user = User(name=name, password=password)
        tx.add(user)
        tx.flush()
        return visitor_of(user)


def stored(database: Database) -> dict[str, LoginSession]:
    with database.begin() as tx:
        return {row.token_hash: row for row in tx.scalars(select(LoginSession))}


@pytest.fixture
def ana(own: Database) -> Visitor:
    return add_user(own, "Ana")


@pytest.fixture
def ben(own: Database) -> Visitor:
    return add_user(own, "Ben", "another hash")


def test_login_sessions_outlast_a_restart(own: Database, ana: Visitor, ben: Visitor) -> None:
    before = DatabaseLoginSessions(own)
    token, other = before.add(ana), before.add(ben)
    with own.begin() as tx:
        for row in tx.execute(text("SELECT row_to_json(l)::text FROM login_sessions l")):
            assert token not in row[0] and other not in row[0]
    again = DatabaseLoginSessions(own)
    found = again.find(hash_token(token))
    assert found is not None and found.visitor == ana
    assert LIFETIME_SECONDS - 60 < found.seconds_left <= LIFETIME_SECONDS == 30 * DAY
    again.remove(hash_token(token))
    for sessions in (before, again, DatabaseLoginSessions(own)):
        assert sessions.find(hash_token(token)) is None
        found = sessions.find(hash_token(other))
        assert found is not None and found.visitor == ben
    with own.begin() as tx:
        tx.execute(text("UPDATE login_sessions SET expires_at = now() - interval '1 second'"))
    assert again.find(hash_token(other)) is None


def test_one_login_session_replaces_another(own: Database, ana: Visitor, ben: Visitor) -> None:
    sessions = DatabaseLoginSessions(own)
    first = hash_token(sessions.add(ana))
    second = hash_token(sessions.add(ben, replaces=first))
    assert stored(own).keys() == {second}
    with own.begin() as tx:
        users.remove(tx, name="Ana")
    with pytest.raises(AccountError):
        sessions.add(ana, replaces=second)
    assert stored(own).keys() == {second}  # the transaction is one


def test_the_local_user_has_no_login_session(own: Database) -> None:
    with pytest.raises(AccountError):
        DatabaseLoginSessions(own).add(Visitor(None, ""))


def test_a_changed_password_ends_a_login_that_was_under_way(own: Database, ana: Visitor) -> None:
    """The password was checked before the change, and the login session is written after it."""
    with own.begin() as tx:
        users.change_password(tx, name="Ana", password="correct horse")
    sessions = DatabaseLoginSessions(own)
    assert sessions.find(hash_token(sessions.add(ana))) is None


# ---------------------------------------------------------------- behind requests


def request(token: str) -> HTTPConnection:
    headers = [(b"host", b"localhost"), (b"cookie", f"recorte={token}".encode())]
    return HTTPConnection(
        {
            "type": "http",
            "scheme": "http",
            "server": ("localhost", 80),
            "path": "/",
            "query_string": b"",
            "headers": headers,
        }
    )


def visitor(authenticator: CookieAuthenticator, token: str) -> Visitor | None:
    return asyncio.run(authenticator.authenticate(request(token)))


def authenticator(database: Database, clock: Clock | None = None) -> CookieAuthenticator:
    sessions = DatabaseLoginSessions(database)
    return CookieAuthenticator(DatabaseAccounts(database), sessions, required=True, clock=clock or Clock())


def test_signing_out_is_at_once_here_and_within_seconds_elsewhere(own: Database, ana: Visitor) -> None:
    clock = Clock()
    here, elsewhere = authenticator(own, clock), authenticator(own, clock)
    token = here.login_sessions.add(ana)
    assert visitor(here, token) == visitor(elsewhere, token) == ana
    here.sign_out(token)
    assert visitor(here, token) is None and stored(own) == {}
    clock.now += 5.1
    assert visitor(elsewhere, token) is None


@pytest.mark.parametrize("change", ["password", "remove"])
def test_a_change_by_another_process_ends_login_sessions_within_seconds(
    own: Database, ana: Visitor, ben: Visitor, change: str
) -> None:
    clock = Clock()
    server = authenticator(own, clock)
    token, other = server.login_sessions.add(ana), server.login_sessions.add(ben)
    assert visitor(server, token) == ana
    with own.begin() as tx:
        if change == "password":
            users.change_password(tx, name="Ana", password="correct horse")
        else:
            users.remove(tx, name="Ana")
    clock.now += 5.1
    assert visitor(server, token) is None and visitor(server, other) == ben
    assert stored(own).keys() == {hash_token(other)}


def test_signing_in_by_name_and_password(own: Database) -> None:
    with own.begin() as tx:
        eva = visitor_of(users.add(tx, name="Eva", password="correct horse"))
    server = authenticator(own)
    assert server.sign_in("eva", "wrong horse", old_token="") is None and stored(own) == {}
    first = server.sign_in("eva", "correct horse", old_token="")
    assert first is not None and visitor(server, first) == eva
    second = server.sign_in("eva", "correct horse", old_token=first)
    assert second is not None and visitor(server, second) == eva and visitor(server, first) is None
    assert stored(own).keys() == {hash_token(second)}


def test_signing_out_while_the_database_is_away_is_made_up_for(tmp_path: Path) -> None:
    clock = Clock()
    with ExitStack() as servers, on_a_server_of_its_own(tmp_path) as database:
        ana, ben = add_user(database, "Ana"), add_user(database, "Ben")
        server = authenticator(database, clock)
        token, other = server.login_sessions.add(ana), server.login_sessions.add(ben)
        assert visitor(server, token) == ana and visitor(server, other) == ben
        postgres = psutil.Process(int((tmp_path / "data" / "postmaster.pid").read_text().split()[0]))
        postgres.send_signal(signal.SIGINT)  # its fast shutdown
        postgres.wait(DEADLINE)
        clock.now += 60
        assert visitor(server, token) == ana  # goes on watching
        with pytest.raises(DatabaseAway):
            server.sign_out(token)
        assert visitor(server, token) is None and visitor(server, other) == ben
        with pytest.raises(DatabaseAway):
            visitor(server, "unknown")
        servers.enter_context(EmbeddedServer(tmp_path))
        assert stored(database).keys() == {hash_token(token), hash_token(other)}
        assert visitor(server, other) == ben
        assert stored(database).keys() == {hash_token(other)} and not server._ended
        assert visitor(server, token) is None


# ---------------------------------------------------------------- the file of earlier versions


def entry(visitor: Visitor, until: float = NOW + 10 * DAY) -> dict[str, Any]:
    return {"user": str(visitor.id), "stamp": visitor.auth_hash, "until": until}


def write(home: Path, **entries: dict[str, Any]) -> Path:
    """Write a file with an entry for each token."""
    file = home / "signed-in.json"
    file.write_text(json.dumps({hash_token(token): entry for token, entry in entries.items()}, indent=1))
    return file


def take_over(home: Path, database: Database) -> None:
    login_file.take_over(home, database, lambda: NOW)


def test_the_file_is_taken_over_once(own: Database, ana: Visitor, ben: Visitor, tmp_path: Path) -> None:
    take_over(tmp_path, own)  # there is none
    gone = Visitor(uuid4(), "Eva", auth_hash="1")
    file = write(
        tmp_path,
        one=entry(ana),
        two=entry(ben, NOW + 90 * DAY),
        gone=entry(gone),
        expired=entry(ana, NOW - 1),
        changed=entry(Visitor(ana.id, "Ana", auth_hash="0" * 16)),
    )
    take_over(tmp_path, own)
    assert not file.exists() and not list(tmp_path.iterdir())
    rows = stored(own)
    assert rows.keys() == {hash_token(token) for token in ("one", "two", "changed")}
    row = rows[hash_token("one")]
    assert (row.expires_at - row.created_at).total_seconds() == LIFETIME_SECONDS
    sessions = DatabaseLoginSessions(own)
    one, two = sessions.find(hash_token("one")), sessions.find(hash_token("two"))
    assert one is not None and one.visitor == ana and 10 * DAY - 60 < one.seconds_left <= 10 * DAY
    assert two is not None and two.visitor == ben and two.seconds_left <= LIFETIME_SECONDS
    assert sessions.find(hash_token("changed")) is None
    take_over(tmp_path, own)
    assert stored(own).keys() == rows.keys()


@pytest.mark.parametrize("entries", [{}, {"one": NOW - 1}])
def test_a_file_in_which_nobody_is_left_is_removed(
    own: Database, ana: Visitor, tmp_path: Path, entries: dict[str, float]
) -> None:
    file = write(tmp_path, **{token: entry(ana, until) for token, until in entries.items()})
    take_over(tmp_path, own)
    assert not file.exists() and stored(own) == {}


def test_the_file_stays_where_the_database_is_another(
    own: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eva = Visitor(uuid4(), "Eva", auth_hash="1")
    file = write(tmp_path, one=entry(eva))
    before = file.read_bytes()
    take_over(tmp_path, own)
    assert file.read_bytes() == before and "none of the users" in caplog.text
    with own.begin() as tx:
        tx.add(User(id=eva.id, name="Eva", password="a hash"))
    take_over(tmp_path, own)
    assert not file.exists() and stored(own).keys() == {hash_token("one")}


def test_the_file_stays_while_the_database_is_away(tmp_path: Path) -> None:
    with on_a_server_of_its_own(tmp_path / "database") as database:
        ana = add_user(database, "Ana")
        file = write(tmp_path, one=entry(ana))
    with pytest.raises(DatabaseAway):
        take_over(tmp_path, database)
    assert file.exists()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"x": {"y": 1}}',
        b'{"%s": {"user": "ana", "stamp": "1", "until": 1e12}}' % (b"0" * 64),
        b'{"%s": {"user": "%s", "stamp": "1", "until": NaN}}' % (b"0" * 64, str(uuid4()).encode()),
        b'{"%s": {"user": "%s", "stamp": "1", "until": 1%s}}'
        % (b"0" * 64, str(uuid4()).encode(), b"0" * 400),
        b'{"%s": {"user": "%s", "stamp": "\\u0000", "until": 1e12}}' % (b"0" * 64, str(uuid4()).encode()),
        b'{"token": {"user": "%s", "stamp": "1", "until": 1e12}}' % str(uuid4()).encode(),
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_a_damaged_file_is_put_aside(
    own: Database, tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "signed-in.json").write_bytes(damaged)
    take_over(tmp_path, own)
    assert [path.name for path in tmp_path.iterdir()] == ["signed-in.damaged.json"]
    assert (tmp_path / "signed-in.damaged.json").read_bytes() == damaged
    assert stored(own) == {} and "everybody has to sign in again" in caplog.text


def test_a_file_that_cannot_be_removed_is_an_error(
    own: Database, ana: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that stays would sign users in again after they have signed out."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path, one=entry(ana))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        with pytest.raises(PermissionError):
            take_over(tmp_path, own)
    assert file.exists()
    take_over(tmp_path, own)
    assert not file.exists() and stored(own).keys() == {hash_token("one")}


KILLED = """
import os, signal, sys
from pathlib import Path
from db import login_sessions
from db.engine import Database
from ui.server.login import login_file

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

home, url, when = sys.argv[1:]
with Database.open(url, Path(home)) as database:
    if when == "before the commit":
        restore, left = login_sessions.restore, [1]
        login_sessions.restore = lambda *a, **k: restore(*a, **k) if left and left.pop() else killed()
    else:
        Path.unlink = killed
    login_file.take_over(Path(home), database, lambda: 1_800_000_000.0)
"""


@pytest.mark.parametrize("when", ["before the commit", "before the file is removed"])
def test_a_server_that_is_killed_while_it_takes_the_file_over_does_so_again(
    own: Database, ana: Visitor, ben: Visitor, tmp_path: Path, when: str
) -> None:
    file = write(tmp_path, one=entry(ana), two=entry(ben))
    url = own.engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), url, when], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL and file.exists()
    assert len(stored(own)) == (0 if when == "before the commit" else 2)
    with own.begin() as tx:  # while no server runs
        users.change_password(tx, name="Ben", password="correct horse")
    take_over(tmp_path, own)
    sessions = DatabaseLoginSessions(own)
    found = sessions.find(hash_token("one"))
    assert not file.exists() and found is not None and found.visitor == ana
    assert sessions.find(hash_token("two")) is None


# ---------------------------------------------------------------- a whole server


def status(url: str, token: str, *, method: str = "GET") -> int:
    asked = urllib.request.Request(url, method=method, headers={"Cookie": f"recorte={token}"})
    try:
        with urllib.request.urlopen(asked, timeout=DEADLINE) as response:
            return int(response.status)
    except HTTPError as refused:
        with refused:
            return refused.code


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder of an earlier version, with one user who is signed in by the cookie `old`."""
    home = tmp_path / "home"
    home.mkdir()
    with Database.open(None, home / "database") as database:
        ana = add_user(database, "Ana")
    (home / "signed-in.json").write_text(json.dumps({hash_token("old"): entry(ana, 1e10)}))
    return home


def test_a_cookie_of_an_earlier_version_goes_on_to_work(home: Path) -> None:
    for _start in range(2):
        with running(home) as server:
            assert not (home / "signed-in.json").exists()
            assert status(f"{server.url}/theme.css", "old") == 200
            assert status(f"{server.url}/theme.css", "older") == 401
    with running(home) as server:
        assert status(f"{server.url}/logout", "old", method="POST") == 200  # the login page
        assert status(f"{server.url}/theme.css", "old") == 401
    with running(home) as server:
        assert status(f"{server.url}/theme.css", "old") == 401
