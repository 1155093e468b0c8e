"""Clients that send nothing, too slowly or too much, or that do not read."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from tests.ui.conftest import Server
from tests.waiting import until
from ui.server import logs
from ui.server.middleware import bodies, connections
from ui.server.middleware.access import AccessMiddleware
from ui.server.middleware.bodies import Bodies, TooMuchHeld, enforce_min_rate
from ui.server.middleware.connections import BoundedProtocol, Connections, max_connections
from ui.server.visitors import Visitor

MOST = 20
ASK = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers /large with more than the system holds back, /stream piece by piece, and all else at once."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/large":
        await PlainTextResponse(b"x" * 50_000_000)(scope, receive, send)
    elif scope["path"] == "/stream":

        async def pieces() -> Any:
            for _ in range(1000):
                yield b"x"
                await asyncio.sleep(0.05)

        await StreamingResponse(pieces())(scope, receive, send)
    elif scope["path"] == "/read":
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        await PlainTextResponse(str(len(body)))(scope, receive, send)
    else:
        await PlainTextResponse("here")(scope, receive, send)


class Here:
    """A server in a thread."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            http=cast(Any, partial(BoundedProtocol, bounds=Connections(MOST))),
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    @property
    def open(self) -> int:
        return len(self.server.server_state.connections)

    def connect(self, said: bytes = b"", buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        client.settimeout(30)
        if buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(("127.0.0.1", self.port))
        client.sendall(said)
        return client

    def answers(self) -> bool:
        with self.connect(ASK % b"") as client:
            return client.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 1.0)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 1.0)
    monkeypatch.setattr(connections, "STALL_SECONDS", 1.0)
    server = Here()
    server.thread.start()
    until(lambda: server.server.started)
    yield server
    server.server.should_exit = True
    server.thread.join()


def is_closed(client: socket.socket) -> bool:
    """Wait for the other side to close it; return False if it does not before the socket's timeout."""
    try:
        while client.recv(2**16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_a_silent_connection_is_closed(here: Here) -> None:
    with here.connect() as client:
        assert is_closed(client)
    assert here.answers()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", ASK % b"" + b"GET / HTTP/1.1\r\nX: "]
)
def test_headers_that_trickle_are_cut_off(here: Here, said: bytes) -> None:
    """Also those of a second request on the same connection."""
    began = time.monotonic()
    with here.connect(said) as client, pytest.raises(ConnectionError):
        while time.monotonic() - began < 30:
            client.sendall(b"x")
            time.sleep(0.1)
    until(lambda: here.open == 0)


def test_a_body_that_is_not_read_is_cut_off(here: Here) -> None:
    began = time.monotonic()
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    with here.connect(request) as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 30:
                client.sendall(b"x")
                time.sleep(0.1)
    until(lambda: here.open == 0)


def test_idle_connections_do_not_keep_others_out(here: Here) -> None:
    with ExitStack() as held:
        streams = [held.enter_context(here.connect(ASK % b"stream")) for _ in range(5)]
        for stream in streams:
            assert stream.recv(1000).startswith(b"HTTP/1.1 200")
        silent = [held.enter_context(here.connect()) for _ in range(5 * MOST)]
        assert here.answers() and here.open <= MOST
        assert is_closed(silent[0])
        for stream in streams:  # what is worked on goes on
            stream.settimeout(30)
            assert stream.recv(1000)


def test_one_connection_too_many_is_closed_when_all_are_busy(here: Here) -> None:
    with ExitStack() as held:
        streams = [held.enter_context(here.connect(ASK % b"stream")) for _ in range(MOST)]
        assert all(stream.recv(1000) for stream in streams)
        assert is_closed(held.enter_context(here.connect(ASK % b"")))
        assert here.open == MOST
    until(here.answers)


def test_a_client_that_does_not_read_is_cut_off(here: Here) -> None:
    with here.connect(ASK % b"large", buffer=4096):
        until(lambda: here.open == 1)
        until(lambda: here.open == 0)


def test_a_slow_reader_is_not_cut_off(here: Here) -> None:
    with here.connect(ASK % b"large", buffer=4096) as client:
        began = time.monotonic()
        while time.monotonic() - began < 4:  # beyond each of the bounds
            assert client.recv(2**15)
            time.sleep(0.05)
        assert here.open == 1


def test_a_connection_is_reused(here: Here) -> None:
    with here.connect() as client:
        for _ in range(3):
            client.sendall(ASK % b"")
            answer = b""
            while not answer.endswith(b"here"):
                answer += client.recv(1000)
            time.sleep(0.6)  # together longer than the headers of one may take


def test_connections_stay_below_the_file_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((400, 136), (1024, 448), (64, 32), (10**6, 1000), (-1, 1000)):
        monkeypatch.setattr(connections.resource, "getrlimit", lambda _, files=files: (files, files))
        assert max_connections() == most


# ---------------------------------------------------------------- bodies


def pieces(*messages: tuple[float, bytes]) -> Receive:
    """A client that sends each of these so many seconds after the one before, and then nothing."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.sleep(3600)
        wait, body = left.pop(0)
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": body, "more_body": True}

    return receive


async def all_of(receive: Receive) -> int:
    """Count the bytes that came before the client was taken for gone."""
    count = 0
    while (message := await receive())["type"] == "http.request":
        count += len(message["body"])
    return count


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(bodies, "MIN_RATE", 1000.0)
    trickle = pieces(*[(0.05, b"x")] * 1000)
    assert 2 <= asyncio.run(all_of(enforce_min_rate(trickle))) <= 11
    steady = pieces(*[(0.05, b"x" * 100)] * 20)  # for twice the grace
    assert asyncio.run(all_of(enforce_min_rate(steady))) == 2000


def test_a_long_silence_is_given_up_however_much_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_SILENCE_SECONDS", 0.3)
    began = time.monotonic()
    assert asyncio.run(all_of(enforce_min_rate(pieces((0, b"x" * 10**7))))) == 10**7
    assert time.monotonic() - began < 5


def test_time_in_which_the_server_does_not_read_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.5)

    async def read() -> None:
        receive = enforce_min_rate(pieces((0, b"x"), (0, b"y")))
        assert (await receive())["body"] == b"x"
        await asyncio.sleep(1)
        assert (await receive())["body"] == b"y"

    asyncio.run(read())


def test_messages_after_a_body_have_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.1)

    async def client() -> Message:
        if not sent:
            sent.append(1)
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(0.5)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def read() -> Message:
        receive = enforce_min_rate(client)
        await receive()
        return await receive()

    sent: list[int] = []
    assert asyncio.run(read())["type"] == "http.request"


def test_held_bodies_are_bounded_by_user() -> None:
    held, ana, ben = Bodies(), uuid4(), uuid4()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(held.hold(ana)).grow(4 * 2**20)
        another = stack.enter_context(held.hold(ana))
        another.grow(bodies.UNCOUNTED_BYTES)
        with pytest.raises(TooMuchHeld):
            another.grow(2**20)
        stack.enter_context(held.hold(ben)).grow(4 * 2**20)
    assert not +held._held


class Anybody:
    def __init__(self, *visitors: Visitor | None) -> None:
        self.visitors = visitors

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        return self.visitors[0]


ANA = Visitor(uuid4(), "Ana")


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }


async def asked(gate: AccessMiddleware, path: str, receive: Receive) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await gate(scope(path), receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("path", "who", "status", "most"),
    [("/gradio_api/queue/join", ANA, 429, 40), ("/login", None, 413, 10)],
)
def test_a_hundred_bodies_that_are_held_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, path: str, who: Visitor | None, status: int, most: int
) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 2.0)
    gate = AccessMiddleware(app, authenticator=Anybody(who))

    async def attack() -> list[int]:
        sent = [(0.0, bytes(39_000))] * 100
        return await asyncio.gather(*(asked(gate, path, pieces(*sent)) for _ in range(100)))

    monkeypatch.setattr(bodies, "MAX_SILENCE_SECONDS", 2.0)
    tracemalloc.start()
    statuses = asyncio.run(attack())
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most * 2**20
    assert statuses.count(status) + statuses.count(408) == 100 and statuses.count(status) >= 96
    assert not +gate._bodies._held and gate._active == 0


def test_a_login_that_trickles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.3)
    gate = AccessMiddleware(app, authenticator=Anybody(None))
    assert asyncio.run(asked(gate, "/login", pieces(*[(0.05, b"x")] * 100))) == 408


def test_a_busy_server_refuses_requests_but_answers_healthz(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = AccessMiddleware(app, authenticator=Anybody(ANA), max_requests=3)

    async def ask() -> list[int]:
        held = [asyncio.create_task(asked(gate, "/login", pieces())) for _ in range(3)]
        await asyncio.sleep(0.1)
        more = [await asked(gate, "/login", pieces())]

        async def well(scope: Scope, receive: Receive, send: Send) -> None:
            await gate({**scope, "method": "GET"}, receive, send)

        more.append(await asked(cast(AccessMiddleware, well), "/healthz", pieces()))
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return more

    assert asyncio.run(ask()) == [503, 200]


# ---------------------------------------------------------------- the log, and the server as a whole


def test_repeated_events_are_logged_once_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("asyncio")
    once = logs.RateLimitFilter()
    monkeypatch.setattr(log, "filters", [once])
    for number in range(1000):
        log.error(
            f"socket.accept() out of system resource\nsocket: {number}", exc_info=OSError(24, "Too many")
        )
    log.error("another")
    assert [record.getMessage().split("\n")[0] for record in caplog.records] == [
        "socket.accept() out of system resource",
        "another",
    ]
    time.sleep(1.1)
    log.error("socket.accept() out of system resource", exc_info=OSError(24, "Too many"))
    assert caplog.records[-1].count == 1000  # type: ignore[attr-defined]
    for number in range(1000):
        log.error(f"another {number}")
    assert len(once._last) <= 100


FEW_FILES = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
runpy.run_path("app.py", run_name="__main__")
"""


HELD = (
    b"",
    b"GET / HTTP/1.1\r\nX: ",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
)


def test_more_connections_than_files_do_not_stop_the_server(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", program=("-c", FEW_FILES))
    server.start()
    host, port = server.url.removeprefix("http://").split(":")
    try:
        until(lambda: server.status("/healthz") == 200)
        before = server.said().count("\n")
        for said in HELD:
            with ExitStack() as held:
                for _ in range(420):
                    client = held.enter_context(socket.socket())
                    client.connect((host, int(port)))
                    client.sendall(said)
                assert server.status("/healthz") == 200
                assert server.process.num_fds() < 350
        assert server.said().count("\n") - before < 5
        assert not server.failed()
    finally:
        server.stop()
