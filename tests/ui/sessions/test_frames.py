"""Pictures asked of the worker: many at once, large ones, and of what is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from db.engine import Database
from db.models import User
from pipeline.errors import InputError
from pipeline.jobs import preflight
from pipeline.jobs.runner import Runner
from tests.ui import line
from tests.ui.configured import settings
from tests.waiting import DEADLINE
from ui.server import media
from ui.server.visitors import Visitor
from ui.sessions.rendering import frames as module
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.rendering.protocol import EncodedImage, Inference, MarksChanged
from ui.sessions.service import SessionService
from ui.sessions.session import Session


class Worker:
    """Answers when it is let, and keeps count of what it is at."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.at_work: Counter[str] = Counter()
        self.pixels = self.peak = 0
        self._lock = threading.Lock()

    def call(self, method: Callable[..., Any], *args: Any) -> Any:
        if method is not Inference.render_frame:
            return None
        work = args[0]
        size = work.clip.width * work.clip.height
        with self._lock:
            self.at_work[work.id] += 1
            self.pixels += size
            self.peak = max(self.peak, self.pixels)
        assert self.go.wait(DEADLINE)
        time.sleep(0.02)
        with self._lock:
            self.at_work[work.id] -= 1
            self.pixels -= size
        return EncodedImage(b"picture", "image/jpeg", True)

    def stream(self, method: Callable[..., Any], *args: Any) -> Generator[Any, None, None]:
        assert self.go.wait(DEADLINE)
        yield [0]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.go.set()


@pytest.fixture
def service(own: Database, tmp_path: Path, worker: Worker) -> SessionService:
    queue: Any = line.ManualRunner(None)
    runner: Runner = queue
    return SessionService(tmp_path, own, runner, line.SAMPLE, worker)


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


def sized(session: Session, width: int, height: int) -> Session:
    return replace(session, clip=replace(session.clip, width=width, height=height))


@pytest.mark.parametrize(("size", "at_once"), [((3840, 2160), 4), ((1920, 1080), 17), ((16384, 8640), 1)])
def test_frames_that_are_decoded_at_once_share_a_budget_of_pixels(
    service: SessionService,
    make: Any,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    at_once: int,
) -> None:
    monkeypatch.setattr(preflight, "_free_memory", lambda: 64 * 2**30)
    session = sized(service.open(make()), *size)
    worker.go.set()
    threads = [
        threading.Thread(target=service.frames.render_frame, args=(session, n, "original")) for n in range(45)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert size[0] * size[1] <= worker.peak <= at_once * size[0] * size[1]
    assert service.frames._pixels._left == module.PIXELS


@pytest.mark.parametrize(
    "what", ["render_frame", "render_candidates", "filmstrip", "poster", "make_previews"]
)
def test_a_frame_for_which_there_is_no_memory_is_refused(
    service: SessionService, make: Any, worker: Worker, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    arguments = {"render_frame": (0, "original"), "render_candidates": (0, 1)}.get(what, ())

    def asked(session: Session) -> Any:
        answer = getattr(FrameClient, what)(service.frames, session, *arguments)
        return list(answer) if what == "make_previews" else answer

    monkeypatch.setattr(preflight, "_free_memory", lambda: 2 * 2**30)
    worker.go.set()
    session = service.open(make())
    with pytest.raises(InputError, match=r"^a\.mp4: frames of 16384 × 8640 need about .* of memory"):
        asked(sized(session, 16384, 8640))
    assert service.frames._pixels._left == service.frames._preview_pixels._left == module.PIXELS


def test_previews_of_one_user_leave_some_to_others(
    service: SessionService, own: Database, make: Any, worker: Worker
) -> None:
    ana = account(own)
    mine, others = service.for_owner(ana).open(make(ana)), service.open(make())
    refused: list[str] = []

    def previews(session: Session) -> None:
        try:
            list(service.frames.make_previews(session))
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=previews, args=(mine,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    worker.go.set()
    previews(others)
    for thread in threads:
        thread.join()
    assert all(said.startswith("Previews of yours are being made") for said in refused)
    assert len(refused) <= 12


# ---------------------------------------------------------------- over HTTP


class Gate:
    """Believes a header: `x-user` is an id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers", ())).get(b"x-user")
        scope.setdefault("state", {})["user"] = Visitor(UUID(name.decode()) if name else None, "")
        await self._app(scope, receive, send)


def account(database: Database) -> UUID:
    with database.begin() as tx:
        tx.add(user := User(name="Ana", password=""))
    return user.id


def served(service: SessionService) -> httpx.AsyncClient:
    server = FastAPI()
    server.include_router(media.router(service))

    @server.get("/plain")
    def plain() -> str:
        return "as every handler of its kind, in the threads that all share"

    server.add_middleware(Gate)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(server), base_url="http://localhost", timeout=DEADLINE
    )


def test_many_frame_requests_of_one_user_do_not_block_others(
    service: SessionService, own: Database, make: Any, worker: Worker
) -> None:
    ana = account(own)
    hers, others = make(ana), make()

    async def run() -> list[int]:
        async with served(service) as client:
            many = [
                asyncio.create_task(
                    client.get(f"/media/{hers}/frames/{n % 12}", headers={"x-user": str(ana)})
                )
                for n in range(45)
            ]
            while not worker.at_work[hers]:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            assert worker.at_work[hers] == media._PICTURE_THREADS_PER_USER
            assert (await client.get("/plain")).status_code == 200
            another = asyncio.create_task(client.get(f"/media/{others}/frames/0"))
            while not worker.at_work[others]:
                await asyncio.sleep(0.02)
            worker.go.set()
            return [answer.status_code for answer in await asyncio.gather(another, *many)]

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [200] * 46


def test_a_picture_of_older_marks_is_a_conflict(
    service: SessionService, make: Any, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(method: Callable[..., Any], *args: Any) -> Any:
        raise MarksChanged

    monkeypatch.setattr(worker, "call", refuse)

    async def run() -> httpx.Response:
        async with served(service) as client:
            return await client.get(f"/media/{make()}/frames/0?view=mask")

    answer = asyncio.run(run())
    assert (answer.status_code, answer.json()) == (409, {"error": "The marks have changed since."})


def test_missing_result_and_filmstrip_files_are_not_found(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    id = make()
    result = line.add_result(own, tmp_path, id)

    async def run() -> list[int]:
        async with served(service) as client:
            before = await client.get(f"/media/{id}/results/{result}")
            (tmp_path / "sessions" / id / "result-1.mp4").unlink()
            after = await client.get(f"/media/{id}/results/{result}")
            strip = await client.get(f"/media/{id}/strip")  # which the worker here does not write
            return [before.status_code, after.status_code, strip.status_code]

    assert asyncio.run(run()) == [200, 404, 404]


# ---------------------------------------------------------------- bounds


def test_frames_beyond_8k_are_refused_by_default() -> None:
    assert settings().max_pixels == 8192 * 4320 == module.PIXELS
    assert settings(RECORTE_MOST_PIXELS="0").max_pixels == 0


@pytest.mark.parametrize(("most", "whole"), [("max", 8 * 2**30), (f"{2**30}", 2**30), ("", 8 * 2**30)])
def test_the_memory_limit_is_that_of_the_machine_or_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, whole: int
) -> None:
    class Machine:
        total = 8 * 2**30

    monkeypatch.setattr(preflight.psutil, "virtual_memory", Machine)
    monkeypatch.setattr(preflight, "_CGROUP", tmp_path)
    if most:
        (tmp_path / "memory.max").write_text(f"{most}\n")
    assert preflight.machine_memory() == whole
