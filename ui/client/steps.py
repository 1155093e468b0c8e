"""Steps of a client: what it asks and in which order, without sending anything.

A generator yields commands, which a client carries out, and what the client's caller is given; so that the
blocking client and that for asyncio do the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import httpx

CHUNK_BYTES = 8 * 2**20
"""Bytes that are sent or fetched by one request."""
ATTEMPTS = 6
"""Attempts at a request whose connection breaks, or that the server is too busy for, in a row."""
FIRST_WAIT = 0.5
"""Seconds before the second attempt; each wait is twice as long as the one before."""

BUSY = (429, 503)
"""Statuses of a server that is too busy."""

Json = dict[str, Any]
T = TypeVar("T")


class ApiError(Exception):
    """Error that the server has answered."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(problem.get("detail") or f"The server has answered {status}.")
        self.status = status
        self.problem = problem
        """Problem details (RFC 9457); empty where the answer has none."""

    @property
    def code(self) -> str | None:
        """Key of the sentence, which tells errors of one status apart."""
        return self.problem.get("code")


class RunFailed(Exception):
    """Run that has ended without a result."""

    def __init__(self, run: Json) -> None:
        super().__init__(run.get("error") or f"The run is {run['state']}.")
        self.run = run


class Abandoned(Exception):
    """The caller wants no more of a generator, which ends what it has begun."""


class Damaged(Exception):
    """Downloaded file that is not the one on the server."""


@dataclass(frozen=True)
class Progress:
    """Progress of a cut."""

    stage: Literal["upload", "queue", "matte", "render", "download"]
    done: int
    """Bytes of an upload or download; frames of a run; 0 in the queue."""
    total: int
    left: float | None = None
    """Seconds; None: unknown."""


# ---------------------------------------------------------------- steps, the same for both clients


@dataclass(frozen=True)
class Request:
    """Sends a request; the result is its response."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    params: dict[str, Any] = field(default_factory=dict)
    again: bool = True
    """True if it may be sent again after its connection broke, when it may have been carried out."""


@dataclass(frozen=True)
class Wait:
    """Waits."""

    seconds: float


@dataclass(frozen=True)
class Open:
    """Sends a request whose response is read by lines."""

    request: Request


@dataclass(frozen=True)
class Line:
    """Reads the next line of a response; None: it has ended."""

    stream: Any


@dataclass(frozen=True)
class Close:
    """Closes a response that is read by lines."""

    stream: Any


Command = Request | Wait | Open | Line | Close
Steps = Generator[Any, Any, T]
"""Yields commands, whose results it is sent, and what the client's caller is given; returns a value."""


def send(request: Request) -> Steps[httpx.Response]:
    """Send a request, again where that helps. Raises ApiError, or httpx.TransportError."""
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            response: httpx.Response = yield request
        except httpx.TransportError:
            if last or not request.again:
                raise
            yield Wait(FIRST_WAIT * 2**attempt)
            continue
        if response.status_code in BUSY and not last:
            named = response.headers.get("retry-after", "")
            yield Wait(float(named) if named.isdecimal() else FIRST_WAIT * 2**attempt)
            continue
        if response.is_error:
            raise error_of(response)
        return response
    raise AssertionError


def error_of(response: httpx.Response) -> ApiError:
    """Return the error of a response that has been read."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    return ApiError(response.status_code, problem if isinstance(problem, dict) else {})


def send_for_json(request: Request) -> Steps[Any]:
    """Send a request, and return the JSON of its response; None where it has none."""
    response = yield from send(request)
    return response.json() if response.content else None


_TUS = {"Tus-Resumable": "1.0.0"}


def upload(file: Path) -> Steps[str]:
    """Upload a file in parts, and return the id of the upload; yields Progress."""
    length = file.stat().st_size
    name = base64.b64encode(file.name.encode()).decode()
    headers = _TUS | {"Upload-Length": str(length), "Upload-Metadata": f"filename {name}"}
    id = (yield from send(Request("POST", "uploads", headers))).headers["location"].rpartition("/")[2]
    address, offset, failures = f"uploads/{id}", 0, 0
    with file.open("rb") as stream:
        while offset < length:
            yield Progress("upload", offset, length)
            stream.seek(offset)
            part = stream.read(CHUNK_BYTES)
            headers = _TUS | {
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
            }
            before = offset
            try:
                # Not sent again as it is: a part of it may have arrived.
                response = yield from send(Request("PATCH", address, headers, content=part, again=False))
            except (httpx.TransportError, ApiError) as error:
                if failures >= ATTEMPTS or (isinstance(error, ApiError) and error.status != 409):
                    raise
                yield Wait(FIRST_WAIT * 2**failures)
                response = yield from send(Request("HEAD", address, _TUS))
            offset = int(response.headers["upload-offset"])
            failures = 0 if offset > before else failures + 1
    yield Progress("upload", length, length)
    return id


def create(file: Path) -> Steps[Json]:
    """Upload a video, and return the session that is made of it."""
    id = yield from upload(file)
    session: Json = yield from send_for_json(Request("POST", "sessions", json={"upload": id}, again=False))
    return session


def follow(run: str) -> Steps[Json]:
    """Yield a run whenever it has changed, and return it as it ended."""
    last: str | None = None
    described: Json = {}
    failures = 0
    while failures < ATTEMPTS:
        try:
            headers = {} if last is None else {"Last-Event-ID": last}
            stream = yield Open(Request("GET", f"runs/{run}/events", headers))
        except (httpx.TransportError, ApiError) as error:
            if isinstance(error, ApiError) and error.status not in BUSY:
                raise
            failures += 1
            yield Wait(FIRST_WAIT * 2**failures)
            continue
        try:
            while (line := (yield Line(stream))) is not None:
                name, _, value = line.partition(": ")
                if name == "id":
                    last = value
                elif name == "data":
                    described, failures = json.loads(value), 0
                    yield described
        except httpx.TransportError:
            pass
        finally:
            yield Close(stream)
        if described.get("state") not in (None, "queued", "running"):
            return described
        failures += 1
        yield Wait(FIRST_WAIT)
    described = yield from send_for_json(Request("GET", f"runs/{run}"))
    return described


def download(result: str, to: Path) -> Steps[None]:
    """Fetch a result by parts into a file beside `to`, compare it, and give it its name; yields Progress."""
    part = to.with_name(f".{to.name}.{result}.part")
    address = f"results/{result}"
    head = yield from send(Request("GET", address, {"Range": "bytes=0-0", "Want-Repr-Digest": "sha-256=1"}))
    total = int(head.headers["content-range"].rpartition("/")[2])
    digest = head.headers["repr-digest"].split(":")[1]
    with part.open("ab") as stream:
        while (done := stream.tell()) < total:
            yield Progress("download", done, total)
            end = min(done + CHUNK_BYTES, total) - 1
            headers = {"Range": f"bytes={done}-{end}", "If-Range": head.headers["etag"]}
            response = yield from send(Request("GET", address, headers))
            if response.status_code != 206:
                raise Damaged(f"{result} has changed on the server while it was downloaded.")
            stream.write(response.content)
    with part.open("rb") as stream:
        actual = base64.b64encode(hashlib.file_digest(stream, "sha256").digest()).decode()
    if part.stat().st_size != total or actual != digest:
        part.unlink()
        raise Damaged(f"{to} is not what the server has sent. Download it again.")
    part.replace(to)
    yield Progress("download", total, total)


def cut(
    file: Path, to: Path, prompts: list[Json] | None, objects: list[Json] | None, keep: bool, choices: Json
) -> Steps[None]:
    """Upload, cut out and download; yields Progress."""
    session = yield from create(file)
    address = f"sessions/{session['id']}"
    try:
        if choices:
            yield from send(Request("PATCH", address, json=choices))
        if prompts is not None:
            marks = {"prompts": prompts, "objects": objects or []}
            yield from send(Request("PUT", f"{address}/prompts", json=marks))
        run = yield from start(session["id"])
        run = yield from map_values(follow(run["id"]), _progress_of)
        if run["state"] != "done":
            raise RunFailed(run)
        yield from download(run["results"][0]["id"], to)
    finally:
        if not keep:
            with suppress(ApiError):  # somebody has deleted it meanwhile
                yield from send(Request("DELETE", address))


def map_values(steps: Steps[T], change: Callable[[Any], Any]) -> Steps[T]:
    """Do as `steps`, and change what they yield for the caller; None is not yielded."""
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            value: T = end.value
            return value
        answer, error = None, None
        if not isinstance(step, Command):
            step = change(step)
            if step is None:
                continue
        try:
            answer = yield step
        except GeneratorExit:
            raise
        except BaseException as thrown:
            error = thrown


def start(session: str) -> Steps[Json]:
    """Queue a session, and return its run."""
    headers = {"Idempotency-Key": uuid4().hex}
    run: Json = yield from send_for_json(Request("POST", f"sessions/{session}/runs", headers))
    return run


def _progress_of(run: Json) -> Progress | None:
    """Return the progress of a run; None where there is none, as of one that has ended."""
    progress = run["progress"]
    if run["state"] == "queued":
        return Progress("queue", 0, 0, run["eta"])
    if run["state"] != "running" or progress is None:
        return None
    return Progress(progress["stage"], progress["done"], progress["total"], progress["left"])


def list_sessions(params: Json) -> Steps[None]:
    """Yield sessions, page by page."""
    cursor: str | None = None
    while True:
        page = yield from send_for_json(
            Request("GET", "sessions", params=params | ({} if cursor is None else {"cursor": cursor}))
        )
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def options(url: str, token: str | None, timeout: float, transport: Any) -> dict[str, Any]:
    """Return the options of an httpx client."""
    return {
        "base_url": f"{url.rstrip('/')}/api/v1/",
        "headers": {} if token is None else {"Authorization": f"Bearer {token}"},
        "timeout": timeout,
        "transport": transport,
    }


def build(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return the request of a command."""
    return http.build_request(
        request.method,
        request.path,
        headers=request.headers,
        json=request.json,
        content=request.content,
        params=request.params or None,
    )
