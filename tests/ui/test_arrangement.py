"""The parts as the program puts them together: a database, a worker, and processes that look at uploads."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from db.engine import Database
from db.ledger import Ledger
from db.models import State
from pipeline.compositing.background import Footage, Picture
from pipeline.errors import BackgroundError, InputError, VideoError, WorkerLost
from pipeline.job import Job
from pipeline.jobs import sandbox
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from pipeline.limits import Limits
from pipeline.video.reading.frames import read_frames
from tests import ffprobe, rendered, waiting
from tests.pipeline import stand_in
from tests.pipeline.jobs.test_runner import Sink
from tests.ui import hosted
from tests.ui.conftest import Server
from tests.waiting import until
from ui.sessions.rendering.executors import PictureWorkerExecutor
from ui.sessions.service import SessionService
from ui.sessions.session import Session

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "sample.mp4"
FRAMES = 48
MARKS = [{"time": 0.0, "points": [{"x": 40, "y": 45, "keep": True}]}]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames, _alphas = rendered.subject_over_background(FRAMES, 160, 90)
    return rendered.write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames, sound=True)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with stand_in.registered(), Worker(hosted.create_inference_service) as worker:
        yield worker


@pytest.fixture(scope="module")
def service(
    worker: Worker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SessionService]:
    home = tmp_path_factory.mktemp("home")
    with (
        closing(Ledger(database)) as ledger,
        closing(Runner(ledger, [PictureWorkerExecutor("cpu", worker)])) as runner,
    ):
        made = SessionService(home, database, runner, SAMPLE, worker)
        yield made
        for opened in made.list_sessions():
            made.delete(opened.id)


@pytest.fixture
def session(service: SessionService, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One that was made without waiting for a process."""
    with monkeypatch.context() as patched:
        patched.setattr(sandbox, "Worker", hosted.LocalWorker)
        id = service.create(Path(shutil.copyfile(clip, tmp_path / "upload.mp4")), "clip.mp4")
    service.choices.choose_model(id, "slow")
    return id


def ended(service: SessionService, id: str) -> Session:
    until(lambda: service.queue_position(id) is None and not service.open(id).running)
    return service.open(id)


def zombies() -> list[psutil.Process]:
    return [c for c in psutil.Process().children(recursive=True) if c.status() == psutil.STATUS_ZOMBIE]


# ---------------------------------------------------------------- the worker


def test_a_session_is_served_by_the_worker(service: SessionService, session: str) -> None:
    service.choices.choose_model(session, "pointing")
    opened = service.choices.save_marks(session, MARKS)
    looks = service.frames
    assert len(looks.frame_times(opened)) == FRAMES
    assert looks.render_frame(opened, 0, "cutout").mime == "image/webp"
    assert [score for score, *_ in looks.render_candidates(opened, 0, 1)] == [0.55, 0.95, 0.75]
    assert [len(n) for n in looks.make_previews(opened)] == [1, 2, 3, 4, 5, 6]
    assert len(looks.cached_previews(opened)) == 6 and not looks.has_matte(opened)
    assert looks.filmstrip(opened).startswith(b"\xff\xd8") and looks.poster(opened)[1] == "image/jpeg"
    before = looks.revision(opened)
    service.run(session)
    done = ended(service, session)
    assert done.row.state is State.DONE and looks.has_matte(done) and not done.outdated
    assert looks.poster(done)[1] == "image/webp" and looks.revision(done) != before
    with pytest.raises(InputError, match="no frame number"):
        looks.render_frame(done, FRAMES, "mask")


def test_outdated_requests_are_aborted_in_the_worker(service: SessionService, session: str) -> None:
    """Not even what was under way when the marks changed."""
    service.choices.choose_model(session, "slow")
    opened = service.choices.save_marks(session, MARKS)
    steps = iter(service.frames.make_previews(opened))
    next(steps)
    service.choices.save_marks(session, [])
    with pytest.raises(InputError, match="have changed since"):
        list(steps)
    with pytest.raises(InputError, match="have changed since"):
        service.frames.render_frame(opened, 0, "mask")


def test_the_page_responds_during_a_run(service: SessionService, session: str) -> None:
    service.run(session)
    until(lambda: service.progress(session))
    opened = service.open(session)
    assert service.frames.render_frame(opened, 0, "original").final
    assert service.eta(session) == 0
    service.cancel(session)
    assert ended(service, session).row.state is State.CANCELLED


def test_runs_continue_after_the_worker_is_killed(
    service: SessionService, worker: Worker, session: str, tmp_path: Path
) -> None:
    """The session says so, the page answers, the next run finishes, and nothing is left of the one before."""
    service.choices.choose_model(session, "slow")
    service.choices.choose_sound(session, "none")
    before = {path.name for path in service.open(session).folder.iterdir()}
    dice = random.Random(6)
    for moment in range(10):
        service.run(session)
        until(lambda: service.queue_position(session) == 0)
        if moment:  # the first before anything was heard of it
            until(lambda: service.progress(session))
            time.sleep(dice.uniform(0, 1.5))
        pid = worker.pid
        if pid is not None:
            psutil.Process(pid).kill()
        opened = ended(service, session)
        assert opened.row.state is State.INTERRUPTED, moment
        assert opened.row.error == (
            "The process that worked on this was lost: it was killed, and memory may have run out. "
            "Start it again to continue."
        )
        assert opened.row.results == [] and not service.frames.has_matte(opened)
        assert service.frames.render_frame(opened, 0, "original").final and worker.pid not in (None, pid)
        assert not zombies()
    service.run(session)
    done = ended(service, session)
    assert done.row.state is State.DONE and done.row.error is None
    (result,) = done.row.results
    assert len(ffprobe.frame_times(done.folder / result.file)) == FRAMES
    left = {path.name for path in done.folder.iterdir()} - before
    assert left - {"strip.jpg"} == {"matte.mkv", result.file}


def test_a_lost_worker_raises_an_error_sentence_for_a_frame(
    service: SessionService, worker: Worker, session: str
) -> None:
    opened = service.choices.save_marks(session, MARKS)
    steps = iter(service.frames.make_previews(opened))
    next(steps)
    worker.kill()
    with pytest.raises(WorkerLost, match=r"was lost: .*\. Try again\.$"):
        list(steps)
    assert service.frames.cached_previews(opened) == []  # they went with it
    assert len(list(service.frames.make_previews(opened))) >= 6


def test_a_hanging_model_is_killed_and_the_next_job_runs(worker: Worker, clip: Path, tmp_path: Path) -> None:
    sink = Sink()
    # Long enough for a new process to begin with the next job on a busy machine.
    with closing(Runner(sink, [PictureWorkerExecutor("cpu", worker)], stall_seconds=18)) as runner:
        runner.submit("stuck", Job(clip, tmp_path / "stuck.mp4", model="hanging"))
        runner.submit("good", Job(clip, tmp_path / "good.mp4", model="threshold"))
        until(lambda: len(sink.ends()) == 2)
    assert sink.ends() == [("interrupted", "stuck"), ("finished", "good")]
    assert sink.said("stuck").startswith("Not one frame was finished for 0.3 minutes")
    assert not (tmp_path / "stuck.mp4").exists() and not zombies()


def test_the_server_survives_its_worker_and_stops_it(tmp_path: Path) -> None:
    def workers() -> list[psutil.Process]:
        return [child for child in server.children() if "spawn_main" in " ".join(child.cmdline())]

    program = Server(tmp_path / "home", program=("-m", "tests.ui.stand_in_app"))
    program.start()
    server = program.process
    try:
        (first,) = workers()  # from the start on, for the first click is not to wait for it
        first.kill()
        until(lambda: not psutil.pid_exists(first.pid))  # as a zombie would
        assert program.status("/") == 200
        family = server.children(recursive=True)
    finally:
        program.stop()
    _, alive = psutil.wait_procs(family, waiting.DEADLINE)
    assert not alive and not program.failed()


# ---------------------------------------------------------------- uploads


def test_uploads_are_probed_in_a_separate_process(
    service: SessionService, clip: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copyfile(clip, tmp_path / "upload.mp4"))
    opened = service.open(service.create(file, "Ours.mp4"))
    assert (opened.clip.name, opened.clip.frames, opened.clip.path) == ("Ours.mp4", FRAMES, opened.job.source)
    assert {p.name for p in opened.folder.iterdir()} == {"source.mp4", "source.mp4.index"}
    assert list(tmp_path.iterdir()) == []
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video" * 99)
    with pytest.raises(VideoError, match=r"^Theirs\.mp4: this cannot be read as a video"):
        service.create(bad, "Theirs.mp4")
    assert list(tmp_path.iterdir()) == []
    film = Path(shutil.copyfile(clip, tmp_path / "film.mp4"))
    laid = service.choices.choose_video(opened.id, film, "film.mp4").job.background
    assert isinstance(laid, Footage) and service.frames.has_sound(laid)
    Image.new("RGB", (8, 4), "red").save(tmp_path / "red.gif")
    laid = service.choices.choose_picture(opened.id, tmp_path / "red.gif", "red.gif").job.background
    assert isinstance(laid, Picture)
    with Image.open(laid.path) as kept:
        assert kept.size == (8, 4) and kept.format == "PNG"
    shades = [Image.new("RGB", (32, 16), colour) for colour in ("red", "blue")]
    shades[0].save(tmp_path / "moves.gif", save_all=True, append_images=shades[1:], duration=200)
    laid = service.choices.choose_picture(
        opened.id, tmp_path / "moves.gif", "moves.gif", "fit"
    ).job.background
    assert isinstance(laid, Footage) and laid.fit == "fit"
    assert [int(frame.image[0, 0].argmax()) for frame in read_frames(laid.path)] == [0, 2]
    assert list(tmp_path.iterdir()) == []


CRASHING = {
    Limits(seconds=1): "it took too long",
    Limits(cpu_seconds=1): "it took too long",
    Limits(memory_bytes=2**28): "not enough memory|cannot be read safely",
}


class Trap(sandbox.SandboxedReader):
    """Reads for ever, or takes all there is."""

    def footage(self, path: Path, name: str, index: bool) -> Any:
        return self.picture(path, name, path)

    def picture(self, path: Path, name: str, kept: Path) -> None:
        held = []
        while True:
            held.append(bytes(2**20))
            held[2000:] = []


@pytest.mark.parametrize("bounds", CRASHING)
def test_uploads_that_exceed_resource_limits_are_refused(
    service: SessionService, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: Limits
) -> None:
    monkeypatch.setattr(sandbox, "SandboxedReader", Trap)
    monkeypatch.setattr(sandbox, "LIMITS", bounds)
    monkeypatch.setattr(sandbox, "PICTURE_LIMITS", bounds)
    before = {opened.id for opened in service.list_sessions()}
    file = Path(shutil.copyfile(clip, tmp_path / "upload.mp4"))
    with pytest.raises((VideoError, Exception), match=CRASHING[bounds]) as told:
        service.create(file, "big.mp4")
    assert "cannot be read safely" in str(told.value) or bounds.memory_bytes
    assert {opened.id for opened in service.list_sessions()} == before and list(tmp_path.iterdir()) == []
    if bounds.memory_bytes is None:
        shutil.copyfile(clip, tmp_path / "p.png")
        with pytest.raises(BackgroundError, match=r"^p\.png: this file cannot be read safely"):
            service.choices.choose_picture(next(iter(before)), tmp_path / "p.png", "p.png")


# ---------------------------------------------------------------- the server's own process

SERVE = """
import sys
from pathlib import Path

from db.engine import Database
from db.ledger import Ledger
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from ui.application import create_application
from ui.sessions.library import stock_backgrounds
from ui.sessions.rendering.executors import PictureWorkerExecutor
from ui.sessions.service import SessionService
from ui.sessions.rendering.frames import create_inference_service

if __name__ == "__main__":
    import shutil, time
    from fastapi.testclient import TestClient

    home, clip, root = map(Path, sys.argv[1:])
    sys.path.insert(0, str(root))
    shutil.copyfile(clip, home / "upload.mp4")
    with Database.open(None, home / "database") as database, Worker(create_inference_service) as worker:
        ledger = Ledger(database)
        runner = Runner(ledger, [PictureWorkerExecutor("cpu", worker)])
        service = SessionService(home, database, runner, root / "assets" / "sample.mp4", worker)
        page = create_application(service, upload_bytes=2**30)
        id = service.create(home / "upload.mp4", "a.mp4")
        service.choices.save_marks(id, [{"time": 0.0, "points": [{"x": 85, "y": 65, "keep": True}]}])
        service.choices.choose_stock_background(id, "city")
        service.choices.trim(id, 0.2, 0.6)
        found = service.open(id)
        assert len(list(service.frames.make_previews(found))) == 6
        service.run(id)
        while service.queue_position(id) is not None or service.open(id).running:
            time.sleep(0.05)
        found = service.open(id)
        assert found.row.state == "done", found.row.error
        assert service.frames.has_matte(found) and service.frames.revision(found)
        client = TestClient(page, "http://localhost", client=("127.0.0.1", 1))
        for asked in ("times", "strip", "poster", "frames/3?view=over", "frames/3/candidates"):
            answer = client.get(f"/media/{id}/{asked}")
            assert answer.status_code == 200, (asked, answer.text)
        assert client.get("/media/scenes/city").status_code == 200
        runner.close()
        ledger.close()
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_server_process_decodes_no_video_and_loads_no_model(clip: Path, tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(home), str(clip), str(ROOT)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "gradio" in loaded
    assert not loaded & {"torch", "av", "transformers", "supervision"}
