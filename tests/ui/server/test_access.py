"""Access middleware, login and uploads."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import Browser, expect
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from db.errors import AccountError, DatabaseAway
from db.tokens import hash_token
from db.users import normalise_name
from tests.ui.conftest import ROOT, Server
from tests.waiting import DEADLINE
from ui.server.claims import Claims
from ui.server.login import login_pages
from ui.server.login.authentication import CookieAuthenticator
from ui.server.login.login_sessions import LIFETIME_SECONDS, Login
from ui.server.login.throttle import LoginThrottle
from ui.server.middleware.access import AccessMiddleware
from ui.server.middleware.gradio_requests import UPLOAD
from ui.server.uploads import UploadRefused, _MultipartFile
from ui.server.visitors import LOCAL, Visitor
from ui.sessions.service import SessionService

MOST = 300_000
HTML = {"accept": "text/html"}
JSON = {"content-type": "application/json"}
ANA, BEN, REN = (
    Visitor(uuid4(), name, admin, "1") for name, admin in (("Ana", True), ("Ben", False), ("Renée", False))
)


class Known:
    """Accounts without a database."""

    def __init__(self, *visitors: Visitor) -> None:
        self.visitors = {visitor.id: visitor for visitor in visitors}
        self.passwords: dict[str, str] = {}
        self.away = False

    def check(self, name: str, password: str) -> Visitor | None:
        self.asked()
        for visitor in self.visitors.values():
            right = self.passwords.get(visitor.name, f"{visitor.name}'s password")
            if normalise_name(visitor.name) == name and password == right:
                return visitor
        return None

    def any(self) -> bool:
        self.asked()
        return bool(self.visitors)

    def asked(self) -> None:
        if self.away:
            raise DatabaseAway("database.silent")


class KnownLogins:
    """Login sessions of these accounts, without a database."""

    def __init__(self, accounts: Known) -> None:
        self.accounts = accounts
        self.visitors: dict[str, Visitor] = {}
        """Visitors as they were at their login, by the hashes of their tokens."""

    def add(self, visitor: Visitor, *, replaces: str = "") -> str:
        self.accounts.asked()
        self.visitors.pop(replaces, None)
        token = secrets.token_urlsafe(32)
        self.visitors[hash_token(token)] = visitor
        return token

    def find(self, token_hash: str) -> Login | None:
        self.accounts.asked()
        before = self.visitors.get(token_hash)
        now = None if before is None or before.id is None else self.accounts.visitors.get(before.id)
        if before is None or now is None or now.auth_hash != before.auth_hash:
            return None
        return Login(now, LIFETIME_SECONDS)

    def remove(self, token_hash: str) -> None:
        self.accounts.asked()
        self.visitors.pop(token_hash, None)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Harness:
    """A whole application without its database, and clients of it."""

    def __init__(self, folder: Path) -> None:
        from ui.application import create_application  # imports Gradio, whose settings have to be set
        from ui.server.uploads import Uploads
        from ui.sessions.limits.quota import Quota, uploads_folder

        self.home = folder / "home"
        self.accounts = Known()
        self.logins = KnownLogins(self.accounts)
        self.clock = Clock()
        self.statuses: list[int] = []
        uploads = folder / "home" / "uploads"
        self.quota = Quota(0, lambda owner: [uploads_folder(uploads, owner)])
        self.uploads = Uploads(uploads, MOST, self.quota)
        self.authenticator = CookieAuthenticator(self.accounts, self.logins, clock=self.clock)
        away: Any = None
        self.app = create_application(
            SessionService(self.home, away, away, ROOT / "assets" / "sample.mp4", away),
            upload_bytes=MOST,
            uploads=self.uploads,
            authenticator=self.authenticator,
            hosts=["recorte.example.org"],
            on_response=self.statuses.append,
        )

    def client(self, base: str = "http://127.0.0.1:7860", address: str = "127.0.0.1") -> TestClient:
        return TestClient(
            self.app,
            base_url=base,
            follow_redirects=False,
            client=(address, 1),
            raise_server_exceptions=False,
        )

    def signed_in(self, name: str) -> TestClient:
        client = self.client()
        assert sign_in(client, name) == 303
        return client


def sign_in(client: TestClient, name: str, password: str | None = None, **more: str) -> int:
    form = {"name": name, "password": f"{name}'s password" if password is None else password}
    return client.post("/login", data=form | more).status_code


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One harness for all tests: the page takes seconds to build."""
    folder = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "home" / "uploads"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        # Gradio leaves loops unclosed when a page is built: they go here, and not in the middle of a test.
        with warnings.catch_warnings(action="ignore"):
            harness = Harness(folder)
            asyncio.set_event_loop(None)
            gc.collect()
        yield harness


@pytest.fixture
def alone(built: Harness) -> Harness:
    """The harness without accounts."""
    built.accounts.visitors.clear()
    built.accounts.passwords.clear()
    built.accounts.away = False
    built.authenticator._required = False
    built.authenticator.clear_cache()
    built.authenticator._ended.clear()
    built.logins.visitors.clear()
    built.app._gradio._claims = Claims()  # type: ignore[attr-defined]
    built.app._open = False  # type: ignore[attr-defined]
    built.quota.limit_bytes = 0
    shutil.rmtree(built.home / "uploads", ignore_errors=True)
    return built


@pytest.fixture
def team(alone: Harness) -> Harness:
    """The harness with two accounts."""
    alone.accounts.visitors |= {ANA.id: ANA, BEN.id: BEN}
    return alone


def streamed(app: ASGIApp, path: str, pieces: Iterator[bytes], **headers: str) -> tuple[int, str]:
    """Return status and body of the response to a POST without a length, whose pieces are made on demand."""
    sent: list[Message] = []

    async def receive() -> Message:
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(request(path, **headers), receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


def request(path: str, method: str = "POST", **headers: str) -> dict[str, Any]:
    named = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }


def upload(client: TestClient, name: str = "clip.mp4", data: bytes = b"video", **options: Any) -> Any:
    return client.post(UPLOAD, files={"files": (name, data)}, **options)


def joined(client: TestClient, *data: Any, hash: str = "mine") -> int:
    """Send an event of the page and return the status."""
    event = {"data": list(data), "fn_index": 0, "session_hash": hash}
    return client.post("/gradio_api/queue/join", json=event).status_code


# ---------------------------------------------------------------- addresses

# Of all that Gradio answers: what the page needs.
NEEDED = {
    ("GET", "/"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/favicon.ico"),
    ("GET", "/manifest.json"),
    ("GET", "/static/{path:path}"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/upload_progress"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/{api_name}"),
    ("POST", "/gradio_api/upload"),  # ours stands before it
    ("POST", "/login"),  # ours stands before it
}


def gradio_application(app: Any) -> Any:
    """Gradio's, which stands where everything else has no answer; the other one is the API."""
    (mounted,) = (r.app for r in app._app._app.routes if isinstance(r, Mount) and r.path == "")
    return mounted


def gradios(app: Any) -> Iterator[tuple[str, str]]:
    mounted = gradio_application(app)

    def each(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            inside = getattr(route, "routes", None) or getattr(
                getattr(route, "original_router", None), "routes", None
            )
            if inside:
                yield from each(inside)
            for method in getattr(route, "methods", None) or ():
                yield method, route.path

    yield from each(mounted.routes)


def test_only_the_gradio_addresses_that_the_page_needs_are_allowed(alone: Harness) -> None:
    routes = set(gradios(alone.app))
    assert len(routes) > 60 and routes >= NEEDED
    client = alone.client()
    for method, path in sorted(routes - NEEDED):
        if method == "HEAD":
            continue
        filled = re.sub(r"{[^}]*}", "x", path)
        answer = client.request(method, filled)
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "There is nothing at this address."},
        ), f"{method} {filled}"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file={home}/sessions/x/source.mp4",
        "/gradio_api/file={home}/uploads/local/x/clip.mp4",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=assets/icon.svg",
        "/gradio_api/file%3D/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/proxy=https://huggingface.co/x",
        "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/gradio_api/stream/a/b/c/playlist-file",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/runs",
        "/gradio_api/queue/status",
        "/gradio_api/heartbeat/x",
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/call/predict/x",
        "/config",
        "/monitoring",
        "/monitoring/summary",
        "/logout",
        "/svelte/x.js",
        "/assets/../../../__init__.py",
        "/assets/%2e%2e/%2e%2e/%2e%2e/__init__.py",
        "/static/..%2f..%2findex.html",
        "/static/.htaccess",
        "//gradio_api/info",
        "/gradio_api//info",
        "/gradio_api/./info",
        "/GRADIO_API/info",
        "/docs",
        "/openapi.json",
    ],
)
def test_addresses_that_read_list_or_fetch_files_are_not_found(alone: Harness, path: str) -> None:
    asked = path.format(home=alone.home)
    (alone.home / "uploads" / "local" / "x").mkdir(parents=True)
    (alone.home / "uploads" / "local" / "x" / "clip.mp4").write_bytes(b"video")
    answer = alone.client().get(asked)
    assert answer.status_code == 404, answer.text
    assert answer.json() == {"error": "There is nothing at this address."}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_not_found(alone: Harness, method: str) -> None:
    assert alone.client().request(method, "/").status_code == 404


def test_the_page_configuration_reveals_only_what_the_page_needs(alone: Harness) -> None:
    page = alone.client().get("/", headers=HTML)
    assert page.status_code == 200 and "gradio_config" in page.text
    assert str(alone.home) not in page.text and str(ROOT) not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_gradio_page_states_are_bounded(alone: Harness) -> None:
    """Gradio keeps the state of each page and is not told when one is closed."""
    mounted = gradio_application(alone.app)
    held = mounted.state_holder
    for number in range(300):
        held[f"page{number}"]
    kept = len(held.session_data)
    tracemalloc.start()
    for number in range(20):
        held[f"newer{number}"]
    each = tracemalloc.get_traced_memory()[0] / 20
    tracemalloc.stop()
    assert "newer19" in held and "page0" not in held and len(held.time_last_used) == kept
    assert kept == len(held.session_data) and kept * each < 100 * 2**20


def test_page_events_run_in_their_own_threads(alone: Harness) -> None:
    mounted = gradio_application(alone.app)
    assert mounted.get_blocks().limiter is not None


def test_a_websocket_is_closed(alone: Harness) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    asyncio.run(alone.app({"type": "websocket", "path": "/"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


# ---------------------------------------------------------------- hosts and origins


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:7860", 200),
        ("recorte.example.org", 200),
        ("Recorte.example.org.:443", 200),
        ("127.0.0.1.evil.example", 400),
        ("evil.example", 400),
        ("evil.example:7860", 400),
        ("localhost@evil.example", 400),
        ("evil.example#localhost", 400),
        ("localhost/x", 400),
        ("localhost:x", 400),
        ("", 400),
        ("10.0.0.1", 400),
    ],
)
def test_a_foreign_host_header_is_refused(alone: Harness, host: str, status: int) -> None:
    answer = alone.client().get("/manifest.json", headers={"host": host})
    assert answer.status_code == status
    assert status == 200 or "RECORTE_HOSTS" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),  # reaches what is asked for, which is not there
        ({"sec-fetch-site": "same-origin"}, 404),
        ({"sec-fetch-site": "none"}, 404),
        ({"origin": "http://127.0.0.1:7860"}, 404),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://localhost:7860"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://127.0.0.1:7860"}, 403),
        ({"origin": "127.0.0.1:7860"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403),
    ],
)
def test_cross_origin_writes_are_refused(alone: Harness, headers: dict[str, str], status: int) -> None:
    client = alone.client()
    assert client.post("/gradio_api/queue/join/", headers=headers, json={}).status_code == status


def test_writes_from_a_page_without_tls_are_refused_behind_tls(alone: Harness) -> None:
    alone.app._open = True  # type: ignore[attr-defined]
    client = alone.client("https://recorte.example.org")
    join = "/gradio_api/queue/join/"
    assert client.post(join, headers={"origin": "https://recorte.example.org"}, json={}).status_code == 404
    refused = client.post(join, headers={"origin": "http://recorte.example.org"}, json={})
    assert refused.status_code == 403 and "X-Forwarded-Proto" in refused.json()["error"]


@pytest.mark.parametrize("header", ["x-forwarded-host", "x-gradio-server", "x-forwarded-proto"])
def test_forwarded_headers_do_not_change_the_pages_server(alone: Harness, header: str) -> None:
    alone.app._open = True  # type: ignore[attr-defined]
    value = "https" if header.endswith("proto") else "https://evil.example"
    for path in ("/", "/manifest.json"):
        page = alone.client().get(path, headers=HTML | {header: value}).text
        assert "evil.example" not in page and "https://127.0.0.1" not in page
    secure = alone.client("https://recorte.example.org").get("/", headers=HTML).text
    assert '"root":"https://recorte.example.org"' in secure.replace(" ", "")


# ---------------------------------------------------------------- without accounts


@pytest.mark.parametrize(
    "header",
    [
        {"x-forwarded-for": "9.9.9.9"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-proto": "http"},
        {"x-forwarded-host": "localhost"},
        {"X-Forwarded-Anything": ""},
        {"forwarded": "for=9.9.9.9"},
        {"via": "1.1 proxy"},
    ],
)
def test_without_accounts_proxied_requests_are_refused(alone: Harness, header: dict[str, str]) -> None:
    client = alone.client()
    for answer in (
        client.get("/", headers=HTML | header),
        client.get("/theme.css", headers=header),
        client.post(UPLOAD, headers=header),
        client.get("/admin", headers=header),
    ):
        assert answer.status_code == 403 and "RECORTE_OPEN" in answer.json()["error"]
    assert client.get("/login", headers=header).status_code == 200  # open to all, and nobody's
    alone.app._open = True  # type: ignore[attr-defined]
    assert client.get("/", headers=HTML | header).status_code == 200


def test_without_accounts_other_machines_are_refused(alone: Harness) -> None:
    assert alone.client(address="10.0.0.7").get("/theme.css").status_code == 403
    assert alone.client("http://recorte.example.org").get("/theme.css").status_code == 403
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert alone.client(address=address).get("/theme.css").status_code == 200, address
    # nginx as it comes: the Host is that of this server, and nothing else is said.
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = request("/theme.css", "GET", host="127.0.0.1:7860", connection="close")
    asyncio.run(alone.app(scope | {"http_version": "1.0"}, receive, send))
    assert sent[0]["status"] == 403


def test_cross_origin_reads_are_refused_except_links_to_the_page(alone: Harness) -> None:
    client = alone.client()
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link | HTML).status_code == 200
    assert client.get("/", headers=link | {"sec-fetch-dest": "iframe"}).status_code == 403
    assert client.get("/theme.css", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    beside = client.get("/theme.css", headers={"origin": "http://localhost:3000"})
    assert beside.status_code == 403
    same = client.get("/theme.css", headers={"origin": "http://127.0.0.1:7860"})
    assert same.status_code == 200
    assert not [name for name in same.headers if name.startswith("access-control")]


def test_every_response_has_the_security_headers(team: Harness) -> None:
    client = team.client()
    answers = [client.get(path) for path in ("/login", "/theme.css", "/nowhere", "/media/x/strip")]
    answers += [client.post(UPLOAD), client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'self'" in policy.replace(
            "none", "self", 1
        )
        assert "http" not in policy and "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
    assert "script-src" not in client.get("/login").headers["content-security-policy"]
    secure = team.client("https://recorte.example.org").get("/login")
    assert "max-age" in secure.headers["strict-transport-security"]


def test_each_response_is_counted(alone: Harness) -> None:
    alone.statuses.clear()
    client = alone.client()
    client.get("/theme.css"), client.get("/nowhere")
    assert alone.statuses == [200, 404]


def test_streamed_responses_stay_streamed() -> None:
    """Each piece is sent before the next is made."""
    log: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def pieces() -> Any:
            for piece in ("a", "b", "c"):
                log.append(f"made {piece}")
                yield f"data: {piece}\n\n"

        await StreamingResponse(pieces(), media_type="text/event-stream")(scope, receive, send)

    async def send(message: Message) -> None:
        if message.get("body"):
            log.append(f"sent {message['body'].decode()[6]}")

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    class Anybody:
        async def authenticate(self, request: HTTPConnection) -> Visitor | None:
            return LOCAL

    scope = request("/gradio_api/queue/data", "GET")
    asyncio.run(AccessMiddleware(app, authenticator=Anybody())(scope, receive, send))
    assert log == ["made a", "sent a", "made b", "sent b", "made c", "sent c"]


# ---------------------------------------------------------------- events


def test_an_event_may_name_only_uploads_of_the_visitor(team: Harness) -> None:
    ana, ben = team.signed_in("Ana"), team.signed_in("Ben")
    (theirs,) = upload(ben, "ben.mp4").json()
    (mine,) = upload(ana, "ana.mp4").json()
    meta = {"_type": "gradio.FileData"}
    inside = Path(mine).parent
    (inside / "link").symlink_to(theirs)
    for path in (
        "/etc/passwd",
        theirs,
        f"{inside}/../../{BEN.id}/{Path(theirs).parent.name}/ben.mp4",
        f"{inside}/link",
        str(team.home / "sessions"),
        "relative.mp4",
        "http://127.0.0.1:1/clip.mp4",
        "https://example.org/clip.mp4",
        "~/clip.mp4",
        "",
        "\0",
        "x" * 5000,
    ):
        file = {"path": path, "meta": meta}
        for sent in (file, [file], {"value": file}, {"a": [{"b": [file]}]}, {"path": path}):
            assert joined(ana, sent) == 404, path
    assert joined(ana, {"path": mine, "meta": meta}) == 200


def test_a_file_sent_by_parts_is_named_to_its_visitor_once_it_is_there(team: Harness) -> None:
    ana, ben = team.signed_in("Ana"), team.signed_in("Ben")
    tus = {"tus-resumable": "1.0.0"}
    length = {"upload-length": "4", "upload-metadata": "filename YS5tcDQ="}
    address = ana.post("/api/v1/uploads", headers=tus | length).headers["location"]

    def find(client: TestClient, id: str = address.rpartition("/")[2]) -> Any:
        return client.post(UPLOAD, params={"upload_id": f"up{client is ana}", "finished": id})

    for offset, part in ((0, b"ab"), (2, b"cd")):
        assert find(ana).status_code == 404 and "not uploaded by you" in find(ana).text
        headers = tus | {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        assert ana.patch(address, content=part, headers=headers).status_code == 204
    (path,) = find(ana).json()
    assert Path(path).name == "a.mp4" and Path(path).read_bytes() == b"abcd"
    assert joined(ana, {"path": path, "meta": {"_type": "gradio.FileData"}}) == 200
    assert find(ben).status_code == 404
    for id in ("../..", "x", "0" * 32, path):
        assert find(ana, id).status_code == 404


def test_an_event_stream_belongs_to_its_first_user(team: Harness) -> None:
    ana, ben = team.signed_in("Ana"), team.signed_in("Ben")
    assert joined(ana, hash="anas") == 200
    assert joined(ben, hash="anas") == 404
    assert ben.get("/gradio_api/queue/data?session_hash=anas").status_code == 404
    assert ben.get("/gradio_api/queue/data?session_hash=bens&session_hash=anas").status_code == 400
    upload(ana, params={"upload_id": "anasupload"})
    assert ben.get("/gradio_api/upload_progress?upload_id=anasupload").status_code == 404


@pytest.mark.parametrize(
    "name", ["", "a-b", "a" * 65, "ñ", "a%00", "a%0A", "../x", "x&session_hash=y", "x" * 50_000]
)
@pytest.mark.parametrize("kind", ["session_hash", "upload_id"])
def test_a_malformed_event_stream_id_in_the_query_is_refused(alone: Harness, kind: str, name: str) -> None:
    name = name.replace("session_hash", kind)
    for path in ("/gradio_api/queue/data", "/gradio_api/upload_progress"):
        answer = alone.client().get(f"{path}?{kind}={name}")
        assert answer.status_code == 400 and answer.json()["error"].startswith("What was sent")
    assert not alone.app._gradio._claims._owners  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", "a-b", "x" * 3_000_000, 1, ["a"], {"a": 1}, True])
def test_a_malformed_event_stream_id_in_an_event_is_refused(alone: Harness, name: Any) -> None:
    assert joined(alone.client(), hash=name) == 400


def test_query_fields_are_bounded(alone: Harness) -> None:
    fields = "&".join(f"a{n}=b" for n in range(5000))
    assert alone.client().get(f"/theme.css?{fields}").status_code == 400


def test_one_users_claims_do_not_evict_those_of_another() -> None:
    claims = Claims()
    assert claims.claim("first", ANA.id)
    for n in range(50_000):
        assert claims.claim(f"b{n}", BEN.id)
    assert not claims.claim("first", BEN.id) and claims.claim("first", ANA.id)
    assert len(claims._owners) <= 1001 and not claims.claim("b49999", ANA.id)
    assert claims.claim("b0", ANA.id)  # Ben's own, pushed out by himself


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"[" * 100_000, b"\xff"])
def test_a_malformed_event_is_refused(alone: Harness, body: bytes) -> None:
    answer = alone.client().post("/gradio_api/run/predict", content=body, headers=JSON)
    assert answer.status_code == 400 and answer.json()["error"].startswith("What was sent cannot be read")


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/run/predict", "/login"])
def test_bodies_other_than_uploads_are_bounded(alone: Harness, path: str) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**16
            yield b" " * 2**16

    status, _body = streamed(alone.app, path, endless(), content_type="application/json")
    assert status == 413 and sent < 5 * 2**20


# ---------------------------------------------------------------- signing in


def test_without_accounts_no_login_is_needed(alone: Harness) -> None:
    client = alone.client()
    assert client.get("/", headers=HTML).status_code == 200
    assert client.get("/login").headers["location"] == "/"


def test_with_accounts_only_the_public_addresses_need_no_login(team: Harness) -> None:
    client = team.client()
    for path in ("/login", "/plain.css", "/manifest.json", "/favicon.ico"):
        assert client.get(path).status_code == 200, path
    id = "/?session=00000000-0000-0000-0000-000000000000"
    asked = client.get(id, headers=HTML)
    assert asked.status_code == 303 and asked.headers["location"].startswith("/login?next=%2F%3Fsession")
    for path in ("/", "/theme.css", "/media/x/strip", "/gradio_api/queue/data", "/gradio_api/info", "/x"):
        answer = client.get(path)
        assert answer.status_code == 401 and "sign in" in answer.json()["error"], path
    for path in (UPLOAD, "/gradio_api/queue/join", "/logout", "/admin/cancel/x", "/x"):
        assert client.post(path, headers=HTML).status_code == 401, path


def test_signing_in_and_out(team: Harness) -> None:
    client = team.client()
    assert sign_in(client, "Ana") == 303
    assert client.get("/theme.css").status_code == 200
    kept = dict(client.cookies)
    assert client.post("/logout").headers["location"] == "/login"
    assert not client.cookies
    # Also for whoever kept the cookie.
    cookie = {"cookie": f"recorte={kept['recorte']}"}
    assert team.client().get("/theme.css", headers=cookie).status_code == 401


def test_the_cookie_is_host_only_and_http_only(team: Harness) -> None:
    form = {"name": "Ana", "password": "Ana's password"}
    plain = team.client().post("/login", data=form).headers["set-cookie"].lower()
    assert plain.startswith("recorte=") and "httponly" in plain and "samesite=strict" in plain
    assert "secure" not in plain and "path=/" in plain and "domain" not in plain
    secure = (
        team.client("https://recorte.example.org").post("/login", data=form).headers["set-cookie"].lower()
    )
    assert secure.startswith("__host-recorte=") and "; secure" in secure and "httponly" in secure


def test_only_the_cookie_of_the_scheme_authenticates(team: Harness) -> None:
    form = {"name": "Ana", "password": "Ana's password"}
    plain, secure = "http://127.0.0.1:7860", "https://recorte.example.org"
    for base, right in ((plain, "recorte"), (secure, "__Host-recorte")):
        secret = (
            team.client(base).post("/login", data=form).headers["set-cookie"].split(";")[0].split("=", 1)[1]
        )
        for name in ("recorte", "__Host-recorte"):
            answer = team.client(base).get("/theme.css", headers={"cookie": f"{name}={secret}"})
            assert answer.status_code == (200 if name == right else 401), (base, name)


def test_a_wrong_password_and_an_unknown_name_get_the_same_response(team: Harness) -> None:
    told = []
    for name, password in (("Ana", "wrong"), ("Nobody", "wrong"), ("", ""), ("Ana", "")):
        form = {"name": name, "password": password}
        answer = team.client().post("/login", data=form)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        told.append(re.sub('value="[^"]*"| autofocus', "", answer.text))
    assert len({re.sub(r"\s+", " ", said) for said in told}) == 1


def test_the_typed_name_is_escaped(team: Harness) -> None:
    answer = team.client().post("/login", data={"name": '"><script>', "password": "x"})
    assert "<script" not in answer.text and "&lt;script" in answer.text


def test_the_login_page_is_in_the_visitors_language(team: Harness) -> None:
    client = team.client()
    assert "Contraseña" in client.get("/login", headers={"accept-language": "es"}).text
    assert "No has entrado" in client.get("/x", headers={"accept-language": "es-MX"}).json()["error"]


@pytest.mark.parametrize(
    ("next", "led"),
    [
        ("/?session=0f8fad5b-d9cb-469f-a165-70867728950e", "/?session=0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("/admin", "/admin"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/login?next=/", "/"),
        ("javascript:alert(1)", "/"),
        ("/?session=x\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_login_redirects_only_to_this_server(team: Harness, next: str, led: str) -> None:
    form = {"name": "Ana", "password": "Ana's password", "next": next}
    assert team.client().post("/login", data=form).headers["location"] == led


def test_removing_a_user_or_changing_a_password_ends_login_sessions(team: Harness) -> None:
    ana, ben = team.signed_in("Ana"), team.signed_in("Ben")
    team.accounts.visitors[ANA.id] = Visitor(ANA.id, "Ana", True, "2")
    del team.accounts.visitors[BEN.id]
    team.clock.now += 6
    assert ana.get("/theme.css").status_code == 401
    assert ben.get("/theme.css").status_code == 401


def test_removing_the_last_account_does_not_open_the_server(team: Harness) -> None:
    assert team.client().get("/theme.css").status_code == 401
    team.accounts.visitors.clear()
    team.clock.now += 60
    assert team.client().get("/theme.css").status_code == 401


def test_requests_while_the_database_is_away(team: Harness) -> None:
    ana = team.signed_in("Ana")
    assert ana.get("/theme.css").status_code == 200
    team.accounts.away = True
    team.clock.now += 60
    assert ana.get("/theme.css").status_code == 200  # who is in goes on watching
    assert sign_in(team.client(), "Ben") == 503
    team.authenticator.clear_cache()
    assert ana.get("/theme.css").status_code == 503
    team.authenticator._required = False
    assert team.client().get("/theme.css").status_code == 503  # not taken for one without accounts
    assert team.client().get("/login").status_code == 200


def test_a_hanging_database_does_not_block_requests_that_need_none(
    team: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = team.signed_in("Ana")
    assert ana.get("/theme.css").status_code == 200
    answers = threading.Event()
    monkeypatch.setattr(team.accounts, "asked", lambda: answers.wait(DEADLINE))
    team.clock.now += 60
    try:
        began = time.monotonic()
        for path in ("/theme.css", "/manifest.json", "/plain.css", "/theme.css"):
            assert ana.get(path).status_code == 200
        nobody = team.client()
        assert nobody.get("/plain.css").status_code == 200
        assert time.monotonic() - began < 4  # one second of it for the first who is looked up again
    finally:
        answers.set()


def test_a_link_from_another_site_is_reloaded_with_the_cookie(team: Harness) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = team.client().get("/", headers=HTML | link)
    assert answer.status_code == 200 and 'http-equiv="refresh"' in answer.text


def test_signing_out_ends_the_login_session_at_once(team: Harness) -> None:
    """For a copy of the cookie, too, though it was looked up just before."""
    client = team.signed_in("Ana")
    copied = {"cookie": f"recorte={client.cookies['recorte']}"}
    assert client.get("/theme.css").status_code == 200
    answer = client.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert team.client().get("/theme.css", headers=copied).status_code == 401
    assert team.logins.visitors == {}


def test_signing_in_again_ends_the_earlier_login_session_of_the_browser(team: Harness) -> None:
    client = team.signed_in("Ana")
    earlier = {"cookie": f"recorte={client.cookies['recorte']}"}
    assert client.get("/theme.css").status_code == 200
    assert sign_in(client, "Ben") == 303
    assert team.client().get("/theme.css", headers=earlier).status_code == 401
    assert client.get("/theme.css").status_code == 200
    assert [visitor.name for visitor in team.logins.visitors.values()] == ["Ben"]


def test_signing_out_while_the_database_is_away(team: Harness) -> None:
    client, ben = team.signed_in("Ana"), team.signed_in("Ben")
    copied = {"cookie": f"recorte={client.cookies['recorte']}"}
    assert client.get("/theme.css").status_code == ben.get("/theme.css").status_code == 200
    team.accounts.away = True
    answer = client.post("/logout")
    assert answer.status_code == 503 and "You are signed out in this browser" in answer.text
    assert answer.headers["clear-site-data"] == '"cache"' and "recorte" not in client.cookies
    assert team.client().get("/theme.css", headers=copied).status_code == 401
    assert len(team.logins.visitors) == 2
    team.accounts.away = False
    team.clock.now += 6
    assert ben.get("/theme.css").status_code == 200
    assert [visitor.name for visitor in team.logins.visitors.values()] == ["Ben"]
    assert team.client().get("/theme.css", headers=copied).status_code == 401


def test_signing_in_while_the_database_is_away_leaves_the_earlier_login_session(
    team: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = team.signed_in("Ana")

    def away(*_: object, **__: object) -> str:
        raise DatabaseAway("database.silent")

    with monkeypatch.context() as patch:
        patch.setattr(team.logins, "add", away)
        assert sign_in(client, "Ben") == 503
    assert client.get("/theme.css").status_code == 200


def test_a_user_who_is_removed_while_signing_in_is_refused(
    team: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(*_: object, **__: object) -> str:
        raise AccountError("accounts.no_longer")

    monkeypatch.setattr(team.logins, "add", removed)
    client = team.client()
    assert sign_in(client, "Ana") == 401 and "recorte" not in client.cookies


def test_a_login_session_ends_when_it_expires_though_the_database_is_away(team: Harness) -> None:
    client = team.signed_in("Ana")
    assert client.get("/theme.css").status_code == 200
    team.accounts.away = True
    team.clock.now += LIFETIME_SECONDS - 1
    assert client.get("/theme.css").status_code == 200
    team.clock.now += 2
    assert client.get("/theme.css").status_code == 401


def test_made_up_cookies_do_not_drive_out_those_who_are_signed_in(team: Harness) -> None:
    client = team.signed_in("Ana")
    assert client.get("/theme.css").status_code == 200
    for n in range(1200):
        headers = {"cookie": f"recorte={n}"}
        assert team.client().get("/theme.css", headers=headers).status_code == 401
    team.accounts.away = True
    team.clock.now += 60
    assert client.get("/theme.css").status_code == 200


# ---------------------------------------------------------------- who guesses


def tried(throttle: LoginThrottle, clock: Clock, seconds: int, name: str, address: str) -> int:
    """Return how many attempts are allowed within these seconds, of ten a second."""
    heard = 0
    for _ in range(seconds * 10):
        heard += throttle.register_attempt(name, address) == 0
        clock.now += 0.1
    return heard


def test_repeated_failures_wait_ever_longer() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    assert [throttle.register_attempt("ana", "1.2.3.4") for _ in range(3)] == [0, 0, 0]
    assert throttle.register_attempt("ana", "1.2.3.4") > 0
    assert tried(throttle, clock, 3600, "ana", "1.2.3.4") < 30


def test_failures_from_many_addresses_do_not_lock_the_owner_out() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    heard = 0
    for n in range(6000):
        heard += throttle.register_attempt("ana", f"10.0.{n // 250}.{n % 250}") == 0
        clock.now += 0.1
    assert heard < 40
    assert throttle.register_attempt("ana", "192.168.0.1") <= 30
    assert throttle.register_attempt("ben", "192.168.0.1") == 0


def test_failures_under_many_names_wait_too() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    heard = sum(throttle.register_attempt(f"name{n}", "1.2.3.4") == 0 for n in range(1000))
    assert heard == 20
    of_one_network = sum(
        throttle.register_attempt(f"name{n}", f"2001:db8:1:2::{n:x}") == 0 for n in range(1000)
    )
    assert of_one_network == 20


def test_a_successful_login_is_forgiven_and_memory_is_bounded() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(2):
        assert throttle.register_attempt("ana", "1.2.3.4") == 0
    throttle.forgive("ana", "1.2.3.4")
    assert [throttle.register_attempt("ana", "1.2.3.4") for _ in range(3)] == [0, 0, 0]
    for n in range(50_000):
        throttle.register_attempt(f"name{n}", f"{n}")
        clock.now += 0.001
    assert len(throttle._failures) <= 10_000
    clock.now += 1000
    assert throttle.register_attempt("name49999", "49999") == 0


def test_the_login_page_throttles_failures(team: Harness) -> None:
    client = team.client(address="9.9.9.9")
    said = [sign_in(client, "Ben", "wrong") for _ in range(5)]
    assert said == [401, 401, 401, 429, 429]
    refused = client.post("/login", data={"name": "Ben", "password": "Ben's password"})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert sign_in(team.client(address="9.9.9.8"), "Ben") == 303


@pytest.mark.parametrize(
    "spelled",
    [
        lambda n: "Renée" + " " * 300 + f"x{n}",
        lambda n: " " * n + "Renée" + "\u2003" * n,
        lambda n: "".join(c.upper() if n >> i & 1 else c for i, c in enumerate("renée")),
        lambda n: "Rene\u0301e" if n % 2 else "Renée",
    ],
    ids=["padded", "blanks", "case", "accents"],
)
def test_all_spellings_of_a_name_share_one_count(team: Harness, spelled: Callable[[int], str]) -> None:
    team.accounts.visitors[REN.id] = REN
    server = FastAPI()
    server.include_router(login_pages.router(team.authenticator, LoginThrottle(Clock())))
    app = AccessMiddleware(server, authenticator=team.authenticator)
    said = []
    for n in range(30):
        client = TestClient(app, base_url="http://127.0.0.1", client=(f"10.1.0.{n}", 1))
        said.append(sign_in(client, spelled(n), "wrong"))  # ten of a name are without a wait
    assert said == [401] * 10 + [429] * 20


def test_every_spelling_of_a_name_signs_in(team: Harness) -> None:
    team.accounts.visitors[REN.id] = REN
    for spelled in ("Renée", " RENE\u0301E ", "renée" + " " * 300):
        form = {"name": spelled, "password": "Renée's password"}
        assert team.client().post("/login", data=form).status_code == 303


def test_long_names_of_failed_logins_take_no_memory() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    tracemalloc.start()
    for n in range(200):
        assert throttle.register_attempt(f"{n}" * 500_000, f"10.2.0.{n}") == 0
    now, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 500_000
    clock.now += 1000
    assert (
        throttle.register_attempt("ana", "1.2.3.4") == 0 and len(throttle._failures) == 3
    )  # what is old is forgotten


def test_a_long_password_signs_in(team: Harness) -> None:
    long = "🎬" * 1024
    team.accounts.passwords["Ana"] = long
    assert sign_in(team.client(), "Ana", long) == 303
    assert sign_in(team.client(), "Ana", long[:256]) == 401


# ---------------------------------------------------------------- uploads


def left(harness: Harness) -> list[Path]:
    return [path for path in harness.home.rglob("*") if path.is_file() and "sessions" not in path.parts]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../x.mp4", "x.mp4"),
        ("..\\..\\x.mp4", "x.mp4"),
        ("/etc/passwd", "passwd"),
        (".htaccess", "htaccess"),
        ("..", "file"),
        (".", "file"),
        ("/", "file"),
        ("a/", "file"),
        ("%2e%2e%2fx.mp4", "%2e%2e%2fx.mp4"),
        ("con\x00trol\x07.mp4", "control.mp4"),
        ("vacaciones en España 🎬.mp4", "vacaciones en España 🎬.mp4"),
        ("\u202egnp.mp4", "gnp.mp4"),
        ("x" * 3000 + ".mp4", "x" * 196 + ".mp4"),
        ("é" * 500 + ".mp4", "é" * 98 + ".mp4"),
        ("a." + "y" * 3000, "a." + "y" * 197),
    ],
)
def test_an_upload_is_stored_in_a_folder_of_its_own(alone: Harness, name: str, kept: str) -> None:
    boundary = "XX"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + b"video"
        + f"\r\n--{boundary}--\r\n".encode()
    )
    answer = alone.client().post(
        UPLOAD, content=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"}
    )
    assert answer.status_code == 200, answer.text
    (path,) = map(Path, answer.json())
    assert path.name == kept and path.read_bytes() == b"video"
    folder, token = path.parent.parent, path.parent.name
    assert folder == alone.home / "uploads" / "local" and re.fullmatch("[0-9a-f]{32}", token)
    assert left(alone) == [path]


def test_equal_uploads_are_stored_separately(team: Harness) -> None:
    paths = {upload(team.signed_in(name)).json()[0] for name in ("Ana", "Ben", "Ben")}
    assert len(paths) == 3 and {Path(path).parent.parent.name for path in paths} == {str(ANA.id), str(BEN.id)}


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(alone: Harness) -> None:
    read = 0

    def body() -> Iterator[bytes]:
        nonlocal read
        read += 1
        yield b"x"

    headers = {"content-type": "multipart/form-data; boundary=X", "content-length": str(10**12)}
    answer = alone.client().post(UPLOAD, content=body(), headers=headers)
    assert answer.status_code == 413
    assert answer.text == "This file is too large: the largest that may be uploaded has 300 kB."
    assert left(alone) == []
    assert alone.client().post(UPLOAD, headers=headers | {"content-length": "x"}).status_code in (400, 413)


def form(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield b'--X\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    yield from pieces
    yield b"\r\n--X--\r\n"


FORM = {"content-type": "multipart/form-data; boundary=X"}


def test_an_upload_without_a_length_is_cut_off_when_it_is_too_large(alone: Harness) -> None:
    largest = 0

    def pieces() -> Iterator[bytes]:
        nonlocal largest
        for _ in range(100):
            yield b"x" * 10_000
            largest = max([largest, *(path.stat().st_size for path in left(alone))])

    status, said = streamed(alone.app, UPLOAD, form(pieces()), content_type=FORM["content-type"])
    assert status == 413 and said.startswith("This file is too large")
    assert 0 < largest <= MOST and left(alone) == []


def test_the_quota_bounds_uploads(alone: Harness) -> None:
    client = alone.client()
    alone.quota.limit_bytes = 1000
    assert upload(client, data=b"x" * 600).status_code == 200
    answer = client.post(UPLOAD, content=form(iter([b"x" * 600])), headers=FORM)
    assert answer.status_code == 413 and "no room for this file" in answer.text  # the first one counts
    alone.quota.limit_bytes = 600
    assert upload(client, data=b"x" * 100_000).status_code == 413
    assert len(left(alone)) == 1


def test_simultaneous_uploads_stay_within_the_quota(alone: Harness) -> None:
    """Each fits into the quota alone, but not all together: with a declared length, and without."""
    alone.quota.limit_bytes = 100_000
    for length in ({"content_length": "40200"}, {}):
        shutil.rmtree(alone.home / "uploads", ignore_errors=True)
        sent: list[list[Message]] = [[] for _ in range(4)]

        async def one(number: int, length: dict[str, str], sent: list[list[Message]] = sent) -> None:
            pieces = form(iter([b"x" * 10_000] * 4))

            async def receive() -> Message:
                await asyncio.sleep(0.05)  # so that all are under way before the first is done
                piece = next(pieces, None)
                return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

            async def send(message: Message) -> None:
                sent[number].append(message)

            await alone.app(request(UPLOAD, content_type=FORM["content-type"], **length), receive, send)

        async def all_at_once(length: dict[str, str] = length, one: Any = one) -> None:
            await asyncio.gather(*(one(number, length) for number in range(4)))

        asyncio.run(all_at_once())
        statuses = sorted(messages[0]["status"] for messages in sent)
        assert sum(path.stat().st_size for path in left(alone)) <= alone.quota.limit_bytes
        assert statuses.count(200) in (1, 2) and set(statuses) == {200, 413}, statuses
        # What was held for those that were refused is free again.
        alone.quota.limit_bytes = 100_000 + 40_500
        assert upload(alone.client(), data=b"x" * 40_000).status_code == 200
        alone.quota.limit_bytes = 100_000


def test_an_upload_is_measured_while_other_files_of_the_user_are_deleted(
    alone: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that disappear during the measurement are ignored."""
    alone.quota.limit_bytes = MOST
    client = alone.client()
    (other,) = map(Path, upload(client).json())
    listing = os.walk

    def gone(*arguments: Any, **options: Any) -> Iterator[Any]:
        for entry in listing(*arguments, **options):
            shutil.rmtree(other.parent, ignore_errors=True)
            yield entry

    monkeypatch.setattr("os.walk", gone)
    assert upload(client).status_code == 200
    assert not other.exists() and len(left(alone)) == 1


def test_an_interrupted_upload_leaves_nothing(alone: Harness) -> None:
    there: list[list[Path]] = []

    async def receive() -> Message:
        if there:
            return {"type": "http.disconnect"}
        there.append([])
        body = b'--X\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n' + b"x" * 1000
        return {"type": "http.request", "body": body, "more_body": True}

    async def send(message: Message) -> None:
        pass

    scope = request(UPLOAD, content_type=FORM["content-type"])
    asyncio.run(alone.app(scope, receive, send))
    assert there and left(alone) == []


def test_a_truncated_upload_is_refused(alone: Harness) -> None:
    body = b'--X\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\nhalf'
    assert alone.client().post(UPLOAD, content=body, headers=FORM).status_code == 400
    assert left(alone) == []


def test_a_malformed_upload_is_refused(alone: Harness) -> None:
    client = alone.client()
    assert client.post(UPLOAD, json={}).status_code == 400
    assert client.post(UPLOAD, content=b"x", headers=FORM).status_code == 400
    two = [("files", ("a.mp4", b"a")), ("files", ("b.mp4", b"b"))]
    answer = client.post(UPLOAD, files=two)
    assert answer.status_code == 400 and "One file at a time" in answer.text
    assert client.post(UPLOAD, data={"files": "x"}, files={"y": b""}).status_code in (200, 400)
    assert all(path.stat().st_size == 0 for path in left(alone))


@pytest.mark.parametrize("length", [257, 5000])
def test_a_boundary_that_is_too_long_is_refused(alone: Harness, length: int) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={'x' * length}"}
    for path in (UPLOAD, "/login"):
        answer = alone.client().post(path, content=b"--" + b"x" * length + b"\r\n", headers=headers)
        assert answer.status_code in (400, 415) and answer.text, path
    assert left(alone) == []


_ODD = st.text("abc=;\"\\'*%0- \r\nñ", max_size=300)


@given(_ODD, _ODD, st.binary(max_size=300))
@example("boundary*=utf-8''x", 'form-data; filename*="', b"--x\r\n")
def test_no_form_causes_a_server_error(options: str, disposition: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(UploadRefused):
        form = _MultipartFile(Path(folder) / "part", f"multipart/form-data; {options}; boundary=x")
        part = f"--x\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        form.file_data(part), form.file_data(data), form.file_data(b"\r\n--x--\r\n")


def test_form_fields_take_no_memory(alone: Harness) -> None:
    def field() -> Iterator[bytes]:
        yield b'--X\r\nContent-Disposition: form-data; name="x"\r\n\r\n'
        for _ in range(300):
            yield b"x" * 10_000
        yield b"\r\n--X--\r\n"

    tracemalloc.start()
    status, _said = streamed(alone.app, UPLOAD, field(), content_type=FORM["content-type"])
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status in (400, 413) and peak < 2_000_000


def test_a_full_disk_is_reported(alone: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ui.server.uploads._MultipartFile.write", full)
    answer = upload(alone.client())
    assert answer.status_code == 507 and "disk is full" in answer.text
    assert left(alone) == []


def test_an_upload_is_refused_while_the_quota_cannot_be_read(
    alone: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: UUID | None) -> None:
        raise DatabaseAway("database.silent")

    alone.quota.limit_bytes = 1000
    monkeypatch.setattr(alone.quota, "_folders", away)
    assert upload(alone.client()).status_code == 503
    assert left(alone) == []


def test_stale_uploads_are_deleted(alone: Harness) -> None:
    client = alone.client()
    (old,) = map(Path, upload(client).json())
    empty = alone.home / "uploads" / "tmp123"
    empty.touch()
    for path in (old.parent, empty):
        os.utime(path, (1, 1))
    (new,) = map(Path, upload(client).json())
    alone.uploads.remove_stale()
    assert new.exists() and not old.exists() and not empty.exists()


# ---------------------------------------------------------------- in a browser


def user(home: Path, *arguments: str, password: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "app.py", "user", *arguments],
        cwd=ROOT,
        env=environment(home),
        input=f"{password}\n",
        capture_output=True,
        text=True,
    )
    return (done.stdout or done.stderr).splitlines()[-1]


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    return clean | {"RECORTE_HOME": str(home)}


def test_a_person_signs_in_and_out(
    tmp_path: Path, chrome: Browser, watched: Callable[..., list[str]]
) -> None:
    home = tmp_path / "home"
    assert user(home, "add", "Ana", "--admin", password="ana's password") == "Ana may sign in."
    server = Server(home)
    server.start()
    context = chrome.new_context(locale="es-ES")
    try:
        page = context.new_page()
        complaints = watched(page)
        page.goto(f"{server.url}/admin")
        expect(page).to_have_url(re.compile("/login"))
        expect(page.locator("html")).to_have_attribute("lang", "es")
        page.get_by_label("Nombre").fill("ana")
        page.get_by_label("Contraseña").fill("wrong password")
        page.get_by_role("button").click()
        expect(page.get_by_role("alert")).to_contain_text("no van juntos")
        page.get_by_label("Contraseña").fill("ana's password")
        page.get_by_role("button").click()
        expect(page).to_have_url(f"{server.url}/admin")
        expect(page.get_by_role("heading", name="Cola")).to_be_visible()
        page.get_by_role("link").click()
        expect(page.locator("#account")).to_contain_text("Ana")

        # A link in a mail or a chat finds them signed in, though the cookie stays at home at first.
        other = context.new_page()
        other.set_content(f'<a href="{server.url}/">link</a>')
        other.get_by_role("link").click()
        expect(other.locator("#account")).to_contain_text("Ana")

        page.locator("#account").get_by_role("button", name="Salir").click()
        expect(page).to_have_url(f"{server.url}/login")
        other.reload()
        expect(other).to_have_url(re.compile("/login"))
        assert complaints == []
    finally:
        context.close()
        server.stop()
    assert "password" not in server.said() and "Ana" not in server.said()
    assert all(json.loads(line) for line in server.said().splitlines()[1:])
