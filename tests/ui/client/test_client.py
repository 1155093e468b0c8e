"""The clients for programs, against a server in this process whose connections break."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from db import repository
from db.models import State
from pipeline.languages.messages import Message
from tests.ui import line
from tests.ui.conftest import serve
from tests.ui.server.api.conftest import Api
from tests.waiting import until
from ui.client import ApiError, AsyncRecorte, Damaged, PictureStep, Progress, Recorte, RunFailed, steps

pytestmark = pytest.mark.usefixtures("at_once")

BOX = [{"box": [20, 15, 140, 80]}]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHUNK_BYTES", 3000)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.0)


@contextmanager
def working(team: Api, result: bytes = b"result") -> Iterator[None]:
    """A runner that does whatever is queued."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            team.line.step(result)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Flaky(httpx.BaseTransport):
    """Breaks every second connection: some before the request is sent, others after it was carried out."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.count = 0
        self.broken: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        once = request.method == "POST" and request.url.path.endswith("/sessions")
        if self.count % 2 and not once:
            self.broken.append(f"{request.method} {request.url.path}")
            if self.count % 4 == 1:
                raise httpx.ConnectError("pulled")
            self._inner.handle_request(request).close()
            raise httpx.ReadError("pulled")
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def test_a_video_is_cut_over_a_connection_that_breaks(team: Api, tmp_path: Path) -> None:
    flaky = Flaky()
    with (
        serve(team.app) as url,
        working(team),
        Recorte(url, team.token("Ana").token, transport=flaky) as client,
    ):
        seen = list(
            client.cut(team.clip, to=tmp_path / "out.mp4", prompts=BOX, background="blur", quality="small")
        )
        assert list(client.sessions()) == []
    assert (tmp_path / "out.mp4").read_bytes() == b"result"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.mp4"]
    stages = [progress.stage for progress in seen]
    assert stages == sorted(stages, key=["upload", "queue", "matte", "render", "download"].index)
    size = team.clip.stat().st_size
    uploaded = [progress for progress in seen if progress.stage == "upload"]
    assert [each.done for each in uploaded] == sorted(each.done for each in uploaded)
    assert (uploaded[0].done, uploaded[-1]) == (0, Progress("upload", size, size))
    assert seen[-1] == Progress("download", 6, 6)
    assert len(team.line.submitted) == 1 and len({*flaky.broken}) > 5
    assert not list((team.home / "sessions").iterdir())


def test_a_video_is_cut_by_the_client_for_asyncio(team: Api, tmp_path: Path) -> None:
    async def cut(url: str) -> list[Progress]:
        async with AsyncRecorte(url, team.token("Ana").token) as client:
            cutting = client.cut(team.clip, to=tmp_path / "out.mp4", prompts=BOX, keep=True)
            seen = [progress async for progress in cutting]
            (session,) = [each async for each in client.sessions(search="a.mp4")]
            assert session["state"] == "done"
            described = await client.request("GET", f"sessions/{session['id']}")
            assert described["prompts"][0]["box"] == BOX[0]["box"]
            return seen

    with serve(team.app) as url, working(team):
        seen = asyncio.run(cut(url))
    assert (tmp_path / "out.mp4").read_bytes() == b"result"
    assert seen[-1] == Progress("download", 6, 6)


def test_a_caller_who_goes_no_further_leaves_nothing(team: Api, tmp_path: Path) -> None:
    with serve(team.app) as url, Recorte(url, team.token("Ana").token) as client:
        for progress in client.cut(team.clip, to=tmp_path / "out.mp4", prompts=BOX):
            if progress.stage == "queue":
                break
        until(lambda: list(client.sessions()) == [])
    assert not team.line.jobs


def test_a_caller_of_asyncio_who_goes_no_further_leaves_nothing(team: Api, tmp_path: Path) -> None:
    async def begin(url: str) -> None:
        async with AsyncRecorte(url, team.token("Ana").token) as client:
            cutting: Any = client.cut(team.clip, to=tmp_path / "out.mp4", prompts=BOX)
            async for progress in cutting:
                if progress.stage == "queue":
                    break
            await cutting.aclose()
            assert [each async for each in client.sessions()] == []

    with serve(team.app) as url:
        asyncio.run(begin(url))
    assert not team.line.jobs


def test_a_refusal_is_an_error_with_the_servers_sentence(team: Api, tmp_path: Path) -> None:
    with serve(team.app) as url, Recorte(url, team.token("Ana").token) as client:
        with pytest.raises(ApiError, match="vhs") as caught:
            list(client.cut(team.clip, to=tmp_path / "out.mp4", format="vhs"))
        assert caught.value.status == 422 and caught.value.code is not None
        assert list(client.sessions()) == []
        (tmp_path / "no.mp4").write_bytes(b"no video")
        with pytest.raises(ApiError) as caught:
            client.create(tmp_path / "no.mp4")
        assert caught.value.code is not None and caught.value.code.startswith("video.")
        assert "mp4" in [each["key"] for each in client.request("GET", "formats")["items"]]
    with serve(team.app) as url, Recorte(url) as client, pytest.raises(ApiError) as caught:
        client.request("GET", "models")
    assert caught.value.status == 401


def test_a_run_without_a_result_is_an_error(team: Api, tmp_path: Path) -> None:
    def fail() -> None:
        until(lambda: bool(team.line.jobs))
        (key,) = team.line.jobs
        with team.database.begin() as tx:
            repository.change_state(tx, id=key, state=State.FAILED, error=Message("runs.internal_error"))

    thread = threading.Thread(target=fail)
    thread.start()
    with serve(team.app) as url, Recorte(url, team.token("Ana").token) as client:
        with pytest.raises(RunFailed, match=str(Message("runs.internal_error"))):
            list(client.cut(team.clip, to=tmp_path / "out.mp4", prompts=BOX))
        assert list(client.sessions()) == []
    thread.join()
    assert not (tmp_path / "out.mp4").exists()


def test_a_download_goes_on_and_is_compared(team: Api, tmp_path: Path) -> None:
    id = team.make(team.users["Ana"])
    content = bytes(range(256)) * 40

    result = line.add_result(team.database, team.home, id)
    (team.home / "sessions" / id / "result-1.mp4").write_bytes(content)
    part = tmp_path / f".out.mp4.{result}.part"
    with serve(team.app) as url, Recorte(url, team.token("Ana").token) as client:
        part.write_bytes(content[:5000])
        seen = list(client.download(result, tmp_path / "out.mp4"))
        assert [progress.done for progress in seen] == [5000, 8000, len(content)]
        assert (tmp_path / "out.mp4").read_bytes() == content and not part.exists()
        for damaged in (b"?" * 5000, content + b"?"):
            part.write_bytes(damaged)
            with pytest.raises(Damaged):
                list(client.download(result, tmp_path / "out.mp4"))
            assert not part.exists()
    assert (tmp_path / "out.mp4").read_bytes() == content


class BreakingEvents(httpx.BaseTransport):
    """Breaks each stream of events after its first event, and notes what was asked for."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.asked: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if not request.url.path.endswith("/events") or response.status_code != 200:
            return response
        self.asked.append(request.headers.get("last-event-id"))
        inner = response.stream

        class Broken(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                for data in inner:  # type: ignore[union-attr]
                    yield data
                    if b"data: " in data:
                        raise httpx.ReadError("pulled")

            def close(self) -> None:
                response.close()

        return httpx.Response(200, headers=response.headers, stream=Broken())

    def close(self) -> None:
        self._inner.close()


def test_events_are_followed_from_where_they_broke_off(team: Api) -> None:
    transport = BreakingEvents()
    id = team.make(team.users["Ana"])
    team.service.for_owner(team.users["Ana"]).choices.save_marks(id, BOX)
    with serve(team.app) as url, Recorte(url, team.token("Ana").token, transport=transport) as client:
        run = client.start(id)["id"]
        following = client.follow(run)
        assert next(following)["state"] == "queued"
        team.line.step()
        # The ledger writes behind the queue: for a moment a run is queued still, and has no place any more.
        changes = [(each["state"], each["queue_position"]) for each in following]
    assert changes[-1] == ("done", None) and ("queued", 1) not in changes
    assert transport.asked[:2] == [None, "queued-1"]


PICTURE_STEPS = [("mask", "L"), ("cutout", "RGBA"), ("result", "RGB")]


def draw() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "#804020").save(data, "PNG")
    return data.getvalue()


def described(steps: list[PictureStep]) -> list[tuple[str, str]]:
    """Return the names of steps and the modes of their pictures, which have the size that they say."""
    pictures = [Image.open(io.BytesIO(step.data)) for step in steps]
    assert all(step.media_type == "image/png" for step in steps)
    assert [picture.size for picture in pictures] == [(step.width, step.height) for step in steps]
    return [(step.name, picture.mode) for step, picture in zip(steps, pictures, strict=True)]


def test_a_picture_is_cut_step_by_step(team: Api, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(draw())
    box = [{"box": [8, 8, 40, 40]}]
    with (
        serve(team.app) as url,
        working(team, draw()),
        Recorte(url, team.token("Ana").token) as client,
    ):
        assert described(list(client.cut_picture(tmp_path / "a.png", prompts=box))) == PICTURE_STEPS
        until(lambda: list(client.sessions()) == [])  # it is removed once all steps are sent
        with pytest.raises(ApiError, match="no picture") as caught:
            list(client.cut_picture(b"no picture"))
        assert caught.value.status == 422
        with pytest.raises(ApiError) as caught:
            list(client.cut_picture(draw(), model="sam-vit-b"))
        assert caught.value.status == 422 and caught.value.code
        until(lambda: list(client.sessions()) == [])


def test_a_picture_is_cut_by_the_client_for_asyncio(team: Api) -> None:
    async def cut(url: str) -> list[PictureStep]:
        async with AsyncRecorte(url, team.token("Ana").token) as client:
            steps = client.cut_picture(draw(), prompts=[{"box": [8, 8, 40, 40]}], keep=True)
            seen = [step async for step in steps]
            assert [each["name"] async for each in client.sessions()] == ["picture"]
            return seen

    with serve(team.app) as url, working(team, draw()):
        assert described(asyncio.run(cut(url))) == PICTURE_STEPS
