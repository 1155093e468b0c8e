"""Deliveries to webhooks: signed, repeated, and to public addresses only."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.models import Delivery, State, User, Webhook
from pipeline.errors import InputError
from pipeline.languages.messages import Message
from tests.ui.line import result_record
from tests.waiting import until
from ui.sessions.webhooks import addresses, delivery
from ui.sessions.webhooks.addresses import is_public, resolve
from ui.sessions.webhooks.delivery import DeliveryThread
from ui.sessions.webhooks.service import MOST, Webhooks

ALL = ("run.done", "run.failed", "run.cancelled")


class Receiver:
    """Takes requests on this machine, and answers them with the next of its statuses, then with 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((self.path, headers, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("Location", receiver.url + "elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def database(own: Database) -> Iterator[Database]:
    yield own
    with own.begin() as tx:
        for row in repository.list_all(tx):
            tx.delete(row)
        tx.execute(delete(Webhook))
        tx.execute(delete(User))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.01)


def add_user(database: Database) -> UUID:
    with database.begin() as tx:
        tx.add(user := User(name="Ana", password=""))
        tx.flush()
        return user.id


def hook(database: Database, url: str, *, owner: UUID | None = None, events: Any = ALL) -> Webhook:
    return Webhooks(database, owner, private=True).create(url, events)


def end_run(database: Database, state: State, owner: UUID | None = None) -> str:
    """Queue a session and end its run; returns the session's id."""
    with database.begin() as tx:
        row = repository.create(tx, name="Beach.mp4", source="a.mp4", clip={}, job={}, owner=owner)
        repository.queue(tx, id=row.id, owner=owner)
        if state is State.CANCELLED:
            assert repository.leave_queue(tx, id=row.id, owner=owner)
            return str(row.id)
        repository.change_state(tx, id=row.id, state=State.RUNNING)
        if state is State.INTERRUPTED:
            repository.interrupt_running(tx)
            return str(row.id)
        if state is State.DONE:
            repository.add_result(tx, id=row.id, result=result_record("result-1.mp4"))
        error = Message("runs.internal_error") if state is State.FAILED else None
        repository.change_state(tx, id=row.id, state=state, error=error)
        return str(row.id)


def waiting(database: Database) -> list[Delivery]:
    with database.begin() as tx:
        return list(tx.scalars(select(Delivery).order_by(Delivery.created_at)))


def read_hook(database: Database) -> Webhook:
    with database.begin() as tx:
        return tx.scalars(select(Webhook)).one()


@contextmanager
def sending(database: Database, *, private: bool = True) -> Iterator[None]:
    with closing(DeliveryThread(database, private=private)):
        yield


# ---------------------------------------------------------------- deliveries


def test_a_delivery_is_repeated_after_a_restart_until_it_is_taken(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hook(database, receiver.url + "hook?a=b")
    session = end_run(database, State.DONE)
    receiver.statuses = [500, 302]
    monkeypatch.setattr(delivery, "FIRST_WAIT", 3600.0)
    with sending(database):
        until(lambda: [row.attempts for row in waiting(database)] == [1])
    failing = read_hook(database)
    assert failing.error == "The receiver answered with status 500, not with 2xx."
    assert failing.failing_since is not None and failing.disabled_at is None
    (row,) = waiting(database)
    assert row.due_at - failing.failing_since >= timedelta(seconds=3600)
    with database.begin() as tx:  # an hour later
        tx.get_one(Delivery, row.id).due_at = row.created_at
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.0)
    with sending(database):
        until(lambda: not waiting(database))
    assert [path for path, _, _ in receiver.requests] == ["/hook?a=b"] * 3  # no redirect is followed
    assert len({body for _, _, body in receiver.requests}) == 1
    for _, headers, body in receiver.requests:
        signed = headers["recorte-timestamp"].encode() + b"." + body
        digest = hmac.new(made.secret.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["recorte-signature"] == f"sha256={digest}"
        assert headers["recorte-event"] == "run.done" and headers["recorte-delivery"] == str(row.id)
        assert headers["content-type"] == "application/json"
    content = json.loads(receiver.requests[0][2])
    assert (content["id"], content["event"], content["session"]) == (str(row.id), "run.done", session)
    assert content["state"] == "done" and content["run"] and content["name"] == "Beach.mp4"
    assert [result["format"] for result in content["results"]] == ["mp4"]
    taken = read_hook(database)
    assert (taken.error, taken.failing_since) == (None, None) and taken.delivered_at is not None


def test_each_end_of_a_run_is_told_to_who_wants_it(database: Database, receiver: Receiver) -> None:
    user = add_user(database)
    hook(database, receiver.url + "all")
    hook(database, receiver.url + "failed", events=["run.failed", "run.failed"])
    hook(database, receiver.url + "ana", owner=user)
    for state in (State.DONE, State.FAILED, State.CANCELLED, State.INTERRUPTED):
        end_run(database, state)
    end_run(database, State.CANCELLED, owner=user)
    with sending(database):
        until(lambda: not waiting(database))
    told = sorted(
        (path, headers["recorte-event"], json.loads(body)["state"])
        for path, headers, body in receiver.requests
    )
    assert told == [
        ("/all", "run.cancelled", "cancelled"),
        ("/all", "run.done", "done"),
        ("/all", "run.failed", "failed"),
        ("/all", "run.failed", "interrupted"),
        ("/ana", "run.cancelled", "cancelled"),
        ("/failed", "run.failed", "failed"),
        ("/failed", "run.failed", "interrupted"),
    ]


def test_a_webhook_that_fails_for_long_is_switched_off(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", timedelta(0))
    hook(database, receiver.url)
    receiver.statuses = [404]
    end_run(database, State.DONE)
    end_run(database, State.DONE)
    with sending(database):
        until(lambda: not waiting(database))
        off = read_hook(database)
        assert off.disabled_at is not None
        assert off.error == (
            "Switched off, for it has taken nothing for 0 hours. The last attempt: "
            "The receiver answered with status 404, not with 2xx."
        )
        end_run(database, State.DONE)
        assert not waiting(database)
    assert len(receiver.requests) == 1


def test_who_does_not_answer_in_time_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends a byte after the other for ever."""
    monkeypatch.setattr(delivery, "TIMEOUT", 0.2)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    while not over.wait(0.02):
                        connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        hook(database, f"http://127.0.0.1:{server.getsockname()[1]}/")
        end_run(database, State.DONE)
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        with sending(database):
            until(lambda: [row.attempts > 1 for row in waiting(database)] == [True])
        over.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()
    assert (read_hook(database).error or "").startswith("The receiver could not be reached")


# ---------------------------------------------------------------- addresses

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("ip", PRIVATE)
def test_addresses_that_are_not_public_are_told(ip: str) -> None:
    assert not is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize("ip", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are_told(ip: str) -> None:
    assert is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:10.0.0.1]"]
)
def test_private_addresses_are_refused_unless_allowed(database: Database, host: str) -> None:
    theirs = Webhooks(database, None, private=False)
    with pytest.raises(InputError, match="not at a public address"):
        theirs.create(f"http://{host}/", ALL)
    assert theirs.list_webhooks() == []
    resolve(f"http://{host}/", private=True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "example.org", "https://", "https:///a", "https://a:b@example.org/",
        "https://example.org/#a", "https://example.org/a b", "https://example.org/a\r\nb",
        "https://example.org:0/", "https://example.org:99999/", "https://[::1/", "https://example.org/é",
        "https://" + "a" * 80 + ".example/", "https://example.org/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no address of a webhook"):
        resolve(url, private=True)


def lookup(*ips: str) -> Callable[..., Any]:
    """Return a resolver by which every name is at these addresses."""

    def find(host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

    return find


def test_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "look_up", lookup("1.1.1.1", "127.0.0.1"))
    with pytest.raises(InputError, match="not at a public address"):
        resolve("https://mixed.example/", private=False)


def test_a_name_that_moves_to_a_private_address_is_not_followed(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "look_up", lookup("1.1.1.1"))
    Webhooks(database, None, private=False).create(f"http://moves.example:{receiver.port}/", ALL)
    monkeypatch.setattr(addresses, "look_up", lookup("127.0.0.1"))
    end_run(database, State.DONE)
    with sending(database, private=False):
        until(lambda: [row.attempts > 0 for row in waiting(database)] == [True])
    assert "not at a public address" in (read_hook(database).error or "")
    assert receiver.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was checked is used, and the receiver is told the name."""
    monkeypatch.setattr(addresses, "look_up", lookup("127.0.0.1"))
    target = resolve(f"http://moves.example:{receiver.port}/a", private=True)
    monkeypatch.undo()  # nobody knows the name any more
    with closing(addresses.CheckedConnection(target, 9)) as connection:
        connection.request("POST", target.path, b"{}")
        assert connection.getresponse().status == 204
    assert receiver.requests[0][1]["host"] == f"moves.example:{receiver.port}"


# ---------------------------------------------------------------- of one user


def test_webhooks_of_others_do_not_exist(database: Database, receiver: Receiver) -> None:
    user = add_user(database)
    made = hook(database, receiver.url, owner=user)
    for strangers in (Webhooks(database, None, private=True), Webhooks(database, uuid4(), private=True)):
        assert strangers.list_webhooks() == []
        for ask in (strangers.read, strangers.remove):
            with pytest.raises(NotFound):
                ask(made.id)
    end_run(database, State.DONE, owner=user)
    theirs = Webhooks(database, user, private=True)
    assert [(each.row.id, each.waiting) for each in theirs.list_webhooks()] == [(made.id, 1)]
    assert theirs.read(made.id).waiting == 1
    theirs.remove(made.id)
    assert theirs.list_webhooks() == [] and waiting(database) == []


def test_webhooks_are_bounded_and_end_with_their_user(database: Database, receiver: Receiver) -> None:
    user = add_user(database)
    for _ in range(MOST):
        hook(database, receiver.url, owner=user)
    with pytest.raises(InputError, match="20 webhooks already"):
        hook(database, receiver.url, owner=user)
    end_run(database, State.DONE, owner=user)
    assert len(waiting(database)) == MOST
    with database.begin() as tx:
        tx.delete(tx.get_one(User, user))
    assert waiting(database) == []
    assert Webhooks(database, user, private=True).list_webhooks() == []
