"""The session service on a real database and with a real model, without a browser."""

from __future__ import annotations

import base64
import io
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import pytest
from PIL import Image

from db import repository
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import DatabaseAway, NotFound
from db.ledger import Ledger
from db.models import State
from pipeline import models
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.errors import BackgroundError, InputError, PromptError, VideoError
from pipeline.job import GREEN
from pipeline.jobs.runner import Runner
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Point, Prompt, Stroke
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import find_mattes
from tests import ffprobe, rendered
from tests.executors import Here
from tests.pipeline import stand_in
from tests.postgres import on_a_server_of_its_own
from tests.ui.hosted import LocalWorker
from tests.waiting import DEADLINE, until
from ui.page.sections.result import ResultSection
from ui.page.sections.video import VideoSection
from ui.sessions import deletion as module
from ui.sessions.library import stock_backgrounds
from ui.sessions.merging import Conflict, Marks, merge
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.rendering.protocol import EncodedImage
from ui.sessions.service import SessionService
from ui.sessions.session import Session

WIDTH, HEIGHT = 160, 90
SAMPLE = Path(__file__).resolve().parents[3] / "assets" / "sample.mp4"
MARKS = [{"time": 0.0, "points": [{"x": 85, "y": 65, "keep": True}]}]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """short.mp4 has 12 frames, long.mp4 has 240."""
    folder = tmp_path_factory.mktemp("clips")
    frames, _alphas = rendered.subject_over_background(60, WIDTH, HEIGHT)
    rendered.write_clip(folder / "short.mp4", frames[:12], sound=True)
    rendered.write_clip(folder / "long.mp4", frames * 4)
    return folder


pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def working() -> Iterator[Callable[[Path, Database], SessionService]]:
    """Makes service with a runner and a ledger, all in this process, and closes these."""
    closing: list[Callable[[], None]] = []

    def make(home: Path, database: Database) -> SessionService:
        ledger = Ledger(database)
        runner = Runner(ledger, [Here(process)])
        closing.extend([ledger.close, runner.close])
        return SessionService(home, database, runner, SAMPLE, LocalWorker(InferenceService))

    yield make
    for close in reversed(closing):
        close()


@pytest.fixture
def service(tmp_path: Path, database: Database, working: Any) -> Iterator[SessionService]:
    """Actions on a folder of their own; what a test puts into the shared database goes again."""
    made = working(tmp_path / "home", database)
    yield made
    for session in made.list_sessions():
        made.delete(session.id)


@pytest.fixture
def upload(clips: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a clip, as an upload would leave it."""

    def copy(which: str = "short.mp4", name: str = "upload.mp4") -> Path:
        folder = tmp_path / "uploads"
        folder.mkdir(exist_ok=True)
        return Path(shutil.copyfile(clips / which, folder / name))

    return copy


def pixels(look: EncodedImage) -> np.ndarray:
    with Image.open(io.BytesIO(look.data)) as picture:
        return np.asarray(picture)


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def uploaded(session: Session) -> list[Path]:
    """Files of a session before it makes anything."""
    return [session.job.source, session.job.source.with_name(f"{session.job.source.name}.index")]


def finished(service: SessionService, id: str) -> Session:
    until(lambda: service.queue_position(id) is None and not service.open(id).running)
    return service.open(id)


# ---------------------------------------------------------------- uploads


def test_an_upload_becomes_a_session(service: SessionService, upload: Any) -> None:
    file = upload()
    session = service.open(service.create(file, "Holiday.mp4"))
    assert not file.exists()
    assert session.row.name == "Holiday.mp4" and session.row.state is State.READY
    assert (session.clip.width, session.clip.height, session.clip.frames) == (WIDTH, HEIGHT, 12)
    assert session.clip.name == "Holiday.mp4" and session.clip.sound
    assert files(session.folder) == uploaded(session)
    assert [s.id for s in service.list_sessions()] == [session.id]
    assert service.list_sessions("HOLI")[0].id == session.id and service.list_sessions("%") == []


def test_a_sample_session_has_a_copy_of_the_sample(service: SessionService) -> None:
    session = service.open(service.create_sample())
    assert session.row.name == SAMPLE.name
    assert SAMPLE.exists() and session.job.source.read_bytes() == SAMPLE.read_bytes()
    assert [p.name for p in session.folder.parent.iterdir()] == [session.id]


@pytest.mark.parametrize("content", [b"", b"no video\n" * 99, b"\x00\x00\x00\x18ftypmp42" + bytes(500)])
def test_a_refused_upload_leaves_no_files(service: SessionService, upload: Any, content: bytes) -> None:
    file = upload()
    file.write_bytes(content)
    with pytest.raises(VideoError, match=r"^bad\.mp4"):
        service.create(file, "bad.mp4")
    assert service.list_sessions() == []
    assert not file.exists() and not [p for p in file.parent.parent.rglob("*") if p.is_file()]


NAMES = [
    "../../etc/x.mp4",
    "/etc/passwd",
    "a\"b'c;<script>.mp4",
    "line\nbreak.mp4",
    ".mp4",
    "x" * 500 + ".mp4",
    "п.ж",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_becomes_a_path(service: SessionService, upload: Any, tmp_path: Path, name: str) -> None:
    session = service.open(service.create(upload(), name))
    assert session.job.source.parent == session.folder
    assert session.job.source.name in ("source.mp4", "source")
    assert {p.relative_to(tmp_path).parts[0] for p in files(tmp_path)} == {"home"}
    service.choices.save_marks(session.id, MARKS)
    service.run(session.id)
    done = finished(service, session.id)
    path, mime, offered = service.result(session.id, str(done.row.results[0].id))
    assert path.parent == session.folder and mime == "video/mp4"
    assert offered.endswith("-recorte.mp4") and "/" not in offered


# ---------------------------------------------------------------- choices


def test_marks_are_saved_and_checked(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    box = [{"time": 0.25, "points": [], "box": [1, 2, 100, 80]}]
    service.choices.save_marks(id, MARKS + box)
    kept = service.open(id).job.prompts
    assert [p.time for p in kept] == [0.0, 0.25]
    assert kept[0].points[0].keep and kept[1].box is not None
    bad: list[Any] = [
        [{"time": 9, "points": [{"x": 1, "y": 1, "keep": True}]}],
        [{"time": 0, "points": [{"x": WIDTH + 1, "y": 1, "keep": True}]}],
        [{"time": 0, "points": [{"x": "no", "y": 1, "keep": True}]}],
        {"not": "a list"},
        "text",
        None,
        [[]],
    ]
    for marks in bad:
        with pytest.raises(PromptError):
            service.choices.save_marks(id, marks)
    assert service.open(id).job.prompts == kept


def test_backgrounds_and_formats_are_kept_compatible(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    assert service.choices.choose_background(id, "#102030").job.background == Colour(16, 32, 48)
    assert service.choices.choose_background(id, "blur:9").job.background == Blur(9)
    laid = service.choices.choose_background(id, "transparent").job
    assert laid.background == Transparent() and laid.format == "webm"
    laid = service.choices.choose_format(id, "mp4").job
    assert laid.background == GREEN and laid.format == "mp4"
    assert service.open(id).job == laid
    for spec in ("/etc/passwd", "a.png", "nonsense", "blur:-1"):
        with pytest.raises(InputError):
            service.choices.choose_background(id, spec)
    with pytest.raises(InputError):
        service.choices.choose_format(id, "avi")
    with pytest.raises(InputError):
        service.choices.choose_model(id, "nonsense")
    assert service.choices.choose_sound(id, "none").job.sound == "none"
    assert service.open(id).job == service.choices.choose_model(id, "recorte").job


def test_the_format_is_restored_after_transparency(
    tmp_path: Path, database: Database, working: Any, service: SessionService, upload: Any
) -> None:
    id = service.create(upload("short.mp4"), "a.mp4")
    service.choices.choose_format(id, "hevc")
    assert service.choices.choose_background(id, "transparent").job.format == "webm"
    service.choices.choose_background(id, "transparent")
    service.choices.choose_quality(id, "small")
    later = working(tmp_path / "home", database)  # it outlives the server
    assert later.choices.choose_background(id, "blur").job.format == "hevc"
    assert later.choices.choose_background(id, "#ffffff").job.format == "hevc"


def test_a_chosen_format_is_kept_after_transparency(service: SessionService, upload: Any) -> None:
    id = service.create(upload("short.mp4"), "a.mp4")
    service.choices.choose_background(id, "transparent")
    service.choices.choose_format(id, "prores")
    assert service.choices.choose_background(id, "#ffffff").job.format == "prores"
    service.choices.choose_format(id, "webm")
    service.choices.choose_background(id, "transparent")
    assert service.choices.choose_stock_background(id, "city").job.format == "webm"


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_a_run_is_refused_until_the_announced_background_is_uploaded(
    service: SessionService, upload: Any, kind: Any
) -> None:
    id = service.create(upload("short.mp4"), "a.mp4")
    service.choices.choose_background(id, "blur")
    assert service.choices.await_background(id, kind).awaited_background == kind
    service.choices.choose_edges(id, Edges(grow=2))
    assert service.open(id).awaited_background == kind  # whatever else is chosen meanwhile
    with pytest.raises(InputError, match=f"Choose the {kind}"):
        service.run(id)
    assert service.open(id).row.state is State.READY
    assert service.choices.choose_background(id, "blur").awaited_background is None
    service.run(id)
    finished(service, id)


def test_a_background_of_the_announced_kind_is_kept(service: SessionService, upload: Any) -> None:
    id = service.create(upload("short.mp4"), "a.mp4")
    service.choices.choose_stock_background(id, "city")
    service.choices.await_background(id, "video")
    session = service.choices.await_background(id, "picture")
    assert session.awaited_background is None and session.stock_background == "city"


def test_a_background_picture_is_rotated_upright(
    service: SessionService, upload: Any, tmp_path: Path
) -> None:
    id = service.create(upload(), "a.mp4")
    folder = service.open(id).folder
    turned = Image.new("RGB", (60, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    laid = service.choices.choose_picture(id, tmp_path / "turned.jpg", "turned.jpg", "fit").job.background
    assert isinstance(laid, Picture) and laid.fit == "fit" and laid.path.parent == folder
    with Image.open(laid.path) as kept:
        assert kept.size == (20, 60) and not kept.getexif()
    assert not (tmp_path / "turned.jpg").exists()
    assert service.choices.fit_background(id, "stretch").job.background == Picture(laid.path, "stretch")

    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(BackgroundError, match=r"^letter\.png"):
        service.choices.choose_picture(id, tmp_path / "bad.png", "letter.png")
    assert not (tmp_path / "bad.png").exists()
    assert list(folder.glob("background-*")) == [laid.path]

    Image.new("RGB", (8, 8), "blue").save(tmp_path / "second.png")
    second = service.choices.choose_picture(id, tmp_path / "second.png", "second.png").job.background
    assert isinstance(second, Picture)
    # Somebody may be looking at the first.
    assert set(folder.glob("background-*")) == {laid.path, second.path}
    third = service.choices.choose_stock_background(id, stock_backgrounds.NAMES[0]).job.background
    assert isinstance(third, Picture) and set(folder.glob("background-*")) == {second.path, third.path}


def test_a_stock_background_is_chosen_by_name(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    assert service.open(id).stock_background is None
    for name in stock_backgrounds.NAMES:
        session = service.choices.choose_stock_background(id, name, "fit")
        laid = session.job.background
        assert isinstance(laid, Picture) and laid.fit == "fit" and session.stock_background == name
        assert laid.path.read_bytes() == stock_backgrounds.path(name).read_bytes()
        assert laid.path in (kept := list(session.folder.glob("background-*"))) and len(kept) <= 2
    assert service.choices.choose_stock_background(id, name, "fill").job.background == Picture(
        laid.path, "fill"
    )
    before = service.open(id).job
    for bad in ("", "studio.jpg", "../sample", "/etc/passwd", "STUDIO"):
        with pytest.raises(InputError, match="no background called"):
            service.choices.choose_stock_background(id, bad)
        with pytest.raises(InputError):
            stock_backgrounds.thumbnail(bad)
    assert service.open(id).job == before
    assert service.choices.choose_background(id, "blur").stock_background is None


def test_a_background_video_is_moved_into_the_session(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    file = upload("long.mp4", "beach.gif")  # a name that would read as a picture's
    place = file.stat().st_ino
    session = service.choices.choose_video(id, file, "beach.gif", "fit", held=True)
    laid = session.job.background
    assert isinstance(laid, Footage) and (laid.fit, laid.hold_last) == ("fit", True)
    assert laid.path.parent == session.folder and laid.path.stat().st_ino == place and not file.exists()
    assert service.open(id).job == session.job
    other = service.choices.fit_background(id, "stretch", held=False).job.background
    assert other == Footage(laid.path, "stretch")
    assert (
        service.choices.fit_background(
            service.choices.choose_stock_background(id, "city").id, "fill"
        ).stock_background
        == "city"
    )
    service.choices.choose_stock_background(id, "garden")
    assert not laid.path.exists()

    letter = upload(name="letter.mp4")
    letter.write_text("Dear all, this is no video.\n" * 40)
    before = service.open(id).job
    with pytest.raises(VideoError, match=r"^letter\.mp4"):
        service.choices.choose_video(id, letter, "letter.mp4")
    assert service.open(id).job == before and not letter.exists()


def test_the_sound_of_a_replaced_background_is_deselected(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    heard = service.choices.choose_video(id, upload("short.mp4"), "b.mp4").job.background
    silent = service.create(upload("long.mp4"), "silent.mp4")
    assert service.frames.has_sound(heard) and not service.frames.has_sound(GREEN)
    assert service.choices.choose_sound(id, "behind").job.sound == "behind"
    assert service.choices.fit_background(id, "fit").job.sound == "behind"
    assert service.choices.choose_background(id, "blur").job.sound == "own"
    service.choices.choose_video(silent, upload("short.mp4"), "b.mp4")
    service.choices.choose_sound(silent, "behind")
    laid = service.choices.choose_video(silent, upload("long.mp4"), "c.mp4").job
    assert not service.frames.has_sound(laid.background) and laid.sound == "own"


def test_edges_are_saved_and_checked(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    edges = Edges(clean=False, grow=-3, feather=2, despill="blue")
    assert service.choices.choose_edges(id, edges).job.edges == edges == service.open(id).job.edges
    with pytest.raises(InputError):
        service.choices.choose_edges(id, Edges(grow=1000))
    assert service.open(id).job.edges == edges


def test_the_kept_range_is_rounded_to_frames(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    times = service.frames.frame_times(service.open(id))
    trimmed = service.choices.trim(id, 0.13, 0.35).job  # typed: between frames
    assert (trimmed.start, trimmed.end) == (times[3], times[8]) == (service.open(id).job.start, times[8])
    assert service.choices.trim(id, times[3], 0.49).job.end is None
    assert service.choices.trim(id, None, None).job.start == 0.0
    assert service.choices.trim(id, -5, 99).job == service.open(id).job
    for start, end in ((0.3, 0.1), (0.3, 0.3), ("soon", None), (0, "late"), (float("nan"), None), (True, 1)):
        with pytest.raises(InputError):
            service.choices.trim(id, start, end)


def test_older_sessions_are_read_unchanged(service: SessionService, upload: Any, database: Database) -> None:
    """Its job and clip know nothing of what came later, and its result has no key."""
    id = service.create(upload(), "a.mp4")
    service.run(id)
    session = finished(service, id)
    job = session.job.to_json(session.folder) | {"sound": False}
    clip = session.clip.to_json()
    for later in ("quality", "edges", "rate", "hardware"):
        del job[later]
    for later in ("transfer", "interlaced", "mended"):
        del clip[later]
    with database.begin() as tx:
        row = repository.save_job(tx, id=id, job=job)
        row.clip, row.results[0].key = clip, None
    opened = service.open(id)
    assert opened.job.edges == Edges() and opened.job.sound == "none" and opened.clip.remarks == ()
    assert not opened.outdated and not service.choices.choose_format(id, "webm").outdated
    service.run(id)
    assert finished(service, id).row.state is State.DONE


def test_edits_of_two_windows_are_merged(service: SessionService, upload: Any) -> None:
    def stage(session: Session, *prompts: Any, **more: Any) -> dict[str, Any]:
        return {"prompts": list(prompts), "objects": [], "start": 0, "end": None, **more}

    def point(x: float, frame: int = 0, **more: Any) -> dict[str, Any]:
        return {"time": frame / 24, "points": [{"x": x, "y": 5, "keep": True}], **more}

    def xs(session: Session) -> list[list[float]]:
        return [[point.x for point in prompt.points] for prompt in session.job.prompts]

    session = service.open(service.create(upload(), "a.mp4"))
    id, nothing = session.id, stage(session)
    both = stage(session, point(1))
    assert xs(service.choices.edit(id, both, nothing)[0]) == [[1]]
    # The other window knows of none of these: on another frame, and on the same one.
    session, clashes = service.choices.edit(id, stage(session, point(2, frame=4)), nothing)
    assert (xs(session), clashes) == ([[1], [2]], [])
    session, clashes = service.choices.edit(id, stage(session, point(3)), nothing)
    assert (xs(session), clashes) == ([[1, 3], [2]], [])
    # What was taken away goes, and what was trimmed or switched off elsewhere stays.
    service.choices.edit(
        id, stage(session, start=2 / 24, objects=[{"number": 1, "on": False}]), stage(session)
    )
    session, clashes = service.choices.edit(id, stage(session), both)
    assert (xs(session), clashes) == ([[3], [2]], [])
    assert session.job.start == pytest.approx(2 / 24, abs=1e-3) and not session.job.objects[0].on
    # Both have drawn the box, each another one: the newer stands, and it is said.
    for corner in (50, 60):
        boxed = stage(session, {"time": 0.0, "box": [1, 1, corner, 60]})
        session, clashes = service.choices.edit(id, boxed, stage(session))
    assert session.job.prompts[0].box is not None and session.job.prompts[0].box.x1 == 60
    assert clashes == [(1, 0.0)] and xs(session) == [[3], [2]]
    assert service.choices.edit(id, stage(session, point(7)))[0].job.prompts == service.open(id).job.prompts
    assert xs(service.open(id)) == [[7]]  # without a base all is as it says
    for bad in (None, [], {"prompts": "text"}, stage(session, point(7, frame=99))):
        with pytest.raises(PromptError):
            service.choices.edit(id, bad, nothing)


def test_points_moved_in_two_windows_conflict() -> None:
    def marks(*xs: float) -> Marks:
        prompt = Prompt(0.5, tuple(Point(x, 1) for x in xs))
        return Marks((prompt,) if xs else (), (), 0, None)

    assert merge(marks(1, 2), marks(1, 3), marks(1, 2)) == (marks(1, 3), [])
    merged, clashes = merge(marks(1), marks(2), marks(3))
    assert clashes == [Conflict(1, 0.5)] and {p.x for p in merged.prompts[0].points} == {2, 3}
    assert merge(marks(1), marks(), marks(1, 4)) == (marks(4), [])
    assert merge(marks(1), marks(), marks()) == (marks(), [])


def test_strokes_of_two_windows_are_merged_one_by_one() -> None:
    def marks(*numbers: int) -> Marks:
        strokes = tuple(Stroke(((float(n), 1.0),), 4.0, keep=n % 2 > 0) for n in numbers)
        return Marks((Prompt(0.5, strokes=strokes),) if strokes else (), (), 0.0, None)

    assert merge(marks(1), marks(1, 2), marks(1, 3)) == (marks(1, 3, 2), [])
    assert merge(marks(1, 2), marks(2), marks(1, 2, 3)) == (marks(2, 3), [])
    assert merge(marks(1), marks(), marks(1)) == (marks(), [])


def test_the_fingerprint_changes_with_what_the_page_shows(service: SessionService, upload: Any) -> None:
    session = service.open(service.create(upload(), "a.mp4"))
    assert service.open(session.id).fingerprint == session.fingerprint
    versions = {
        session.fingerprint,
        service.choices.save_marks(session.id, MARKS).fingerprint,
        service.choices.choose_quality(session.id, "small").fingerprint,
        service.rename(session.id, "b").fingerprint,
    }
    assert len(versions) == 4
    service.run(session.id)
    assert finished(service, session.id).fingerprint not in versions


def test_a_delayed_deletion_can_be_undone(service: SessionService, upload: Any, monkeypatch: Any) -> None:
    id, other = service.create(upload(), "a.mp4"), service.create(upload(), "b.mp4")
    assert service.delete_later(id).name == "a.mp4"
    assert [session.id for session in service.list_sessions()] == [other]
    for ask in (
        service.open,
        service.delete_later,
        lambda id: service.choices.save_marks(id, MARKS),
        service.run,
    ):
        with pytest.raises(NotFound):
            ask(id)
    with pytest.raises(NotFound):
        service.for_owner(uuid4()).undelete(id)
    service.undelete(id)
    assert service.open(id).id == id and len(service.list_sessions()) == 2
    service.delete_later(id)
    folder = service.open(other).folder.with_name(id)
    service.purge()
    assert folder.exists()  # not yet
    monkeypatch.setattr(module, "UNDO_SECONDS", 0)
    service.purge()
    assert not folder.exists()
    with pytest.raises(NotFound):
        service.undelete(id)


def test_sessions_about_to_be_deleted_do_not_count_towards_the_quota(
    service: SessionService, upload: Any, monkeypatch: Any
) -> None:
    id = service.create(upload(), "a.mp4")
    monkeypatch.setattr(service.quota, "limit_bytes", round(1.5 * service.quota.used_bytes(None)))
    with pytest.raises(InputError, match="Delete sessions"):
        service.create(upload(), "b.mp4")
    folder = service.open(id).folder
    service.delete_later(id)
    assert service.open(service.create(upload(), "b.mp4")).row.name == "b.mp4"
    assert not folder.exists()  # so that nobody keeps more than they may


def test_a_delayed_deletion_stops_the_run(service: SessionService, upload: Any) -> None:
    id = service.create(upload("long.mp4"), "a.mp4")
    service.run(id)
    until(lambda: (going := service.progress(id)) is not None and going.done)
    service.delete_later(id)
    until(lambda: service.queue_position(id) is None)
    service.undelete(id)
    until(lambda: not service.open(id).running)
    assert service.open(id).row.state is State.CANCELLED and service.open(id).can_resume


def test_sessions_can_be_renamed(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    assert service.rename(id, "  Our \n beach ").row.name == "Our beach"
    assert service.rename(id, "   ").row.name == "Our beach"
    assert len(service.rename(id, "x" * 1000).row.name) == 120


# ---------------------------------------------------------------- looking


def test_masks_need_a_mark_or_a_matte(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    session = service.choices.save_marks(id, MARKS)
    looks = service.frames
    assert np.allclose(looks.frame_times(session), np.arange(12) / 24, atol=1e-3)
    plain = pixels(looks.render_frame(session, 0, "original"))
    mask = looks.render_frame(session, 0, "mask")
    assert mask.final and plain.shape == pixels(mask).shape == (HEIGHT, WIDTH, 3)
    assert (plain != pixels(mask)).any(axis=2).mean() > 0.05
    assert pixels(looks.render_frame(session, 0, "cutout")).shape == (HEIGHT, WIDTH, 4)
    over = pixels(looks.render_frame(session, 0, "over"))
    assert np.abs(over[2, 2].astype(int) - (0, 177, 64)).max() < 4
    # Away from the marks there is nothing to show before previews or a run, and it may yet come.
    later = looks.render_frame(session, 8, "mask")
    assert not later.final and np.array_equal(
        pixels(later), pixels(looks.render_frame(session, 8, "original"))
    )
    for index, view in ((12, "mask"), (-1, "mask"), (0, "sideways")):
        with pytest.raises(InputError):
            looks.render_frame(session, index, view)


@pytest.mark.parametrize("view", ["original", "mask", "cutout", "over"])
def test_a_narrow_picture_is_the_same_one_made_smaller(
    service: SessionService, upload: Any, view: str
) -> None:
    session = service.choices.save_marks(service.create(upload(), "a.mp4"), MARKS)
    whole = service.frames.render_frame(session, 0, view)
    narrow = service.frames.render_frame(session, 0, view, width=WIDTH // 2)
    assert narrow.mime == whole.mime and narrow.final == whole.final
    large, small = pixels(whole), pixels(narrow)
    assert small.shape == (HEIGHT // 2, WIDTH // 2, large.shape[2])
    shrunk = np.asarray(Image.fromarray(large).resize((WIDTH // 2, HEIGHT // 2)))
    opaque = shrunk[..., 3] > 200 if view == "cutout" else np.ones(shrunk.shape[:2], bool)
    # The mask's outline is as wide in both.
    assert np.median(np.abs(small[opaque].astype(int) - shrunk[opaque])) < 8
    assert np.array_equal(
        pixels(service.frames.render_frame(session, 0, view, width=4 * WIDTH)).shape, large.shape
    )


def test_previews_are_yielded_one_by_one(service: SessionService, upload: Any) -> None:
    session = service.choices.save_marks(service.create(upload(), "a.mp4"), MARKS)
    assert service.frames.cached_previews(session) == []
    numbers = list(service.frames.make_previews(session))
    assert [len(n) for n in numbers] == [1, 2, 3, 4, 5, 6]
    assert service.frames.cached_previews(session) == sorted(numbers[-1])
    preview = service.frames.render_frame(session, numbers[-1][3], "over")
    assert preview.cut and not preview.final, "a run sees the frames in between, too"
    before = service.frames.revision(session)
    moved = service.choices.save_marks(
        session.id, [{"time": 0.0, "points": [{"x": 80, "y": 60, "keep": True}]}]
    )
    assert service.frames.revision(moved) != before and service.frames.cached_previews(moved) == []


def disc(look: np.ndarray, x: int, y: int) -> int:
    """The radius of the disc of the stand-in that shows round a place in a cut-out."""
    return int((look[y, x:, 3] > 127).argmin())


def lone(x: float, y: float, **more: Any) -> dict[str, Any]:
    return {"time": 0.0, "points": [{"x": x, "y": y, "keep": True}], **more}


@pytest.fixture
def pointed(service: SessionService, upload: Any) -> Iterator[str]:
    """A session whose model keeps a disc round each click."""
    with stand_in.registered():
        id = service.create(upload(), "a.mp4")
        service.choices.choose_model(id, "pointing")
        yield id
        service.choices.choose_model(id, "grabcut")


def test_a_single_click_has_candidates_to_choose_from(service: SessionService, pointed: str) -> None:
    session = service.choices.save_marks(pointed, [lone(40, 45)])
    read = service.frames.render_candidates(session, 0, 1)
    assert [candidate.score for candidate in read] == [0.55, 0.95, 0.75]
    pictures = [base64.b64decode(address.removeprefix("data:image/jpeg;base64,")) for _, address, _ in read]
    sizes = {Image.open(io.BytesIO(picture)).size for picture in pictures}
    assert len(sizes) == 1 and 60 < sizes.pop()[0] < 100  # as near as shows the largest of them
    assert disc(pixels(service.frames.render_frame(session, 0, "cutout")), 40, 45) == 14  # the best
    chosen = service.choices.save_marks(pointed, [lone(40, 45, candidate=2)])
    assert disc(pixels(service.frames.render_frame(chosen, 0, "cutout")), 40, 45) == 30
    assert service.frames.revision(chosen) != service.frames.revision(session)
    # No longer a lone click, another object, another frame, a model that has but one answer.
    assert service.frames.render_candidates(chosen, 0, 2) == []
    assert service.frames.render_candidates(chosen, 3, 1) == []
    two = service.choices.save_marks(
        pointed, [{"time": 0, "points": [{"x": 40, "y": 45}, {"x": 60, "y": 45}]}]
    )
    assert service.frames.render_candidates(two, 0, 1) == []
    assert (
        service.frames.render_candidates(
            service.choices.choose_model(service.choices.save_marks(pointed, [lone(40, 45)]).id, "shy"), 0, 1
        )
        == []
    )
    with pytest.raises(InputError, match="no frame number"):
        service.frames.render_candidates(session, 12, 1)


def test_edges_change_the_rendered_frames(service: SessionService, pointed: str) -> None:
    before = service.choices.save_marks(pointed, [lone(40, 45)])
    narrow = pixels(service.frames.render_frame(before, 0, "cutout"))
    wider = service.choices.choose_edges(pointed, Edges(grow=40))  # 5 pixels at this size
    wide = pixels(service.frames.render_frame(wider, 0, "cutout"))
    assert 3 <= disc(wide, 40, 45) - disc(narrow, 40, 45) <= 7
    over = [pixels(service.frames.render_frame(session, 0, "over")) for session in (before, wider)]
    assert (over[0] != over[1]).any()
    assert service.frames.revision(before) != service.frames.revision(wider)


def test_objects_have_colours_and_can_be_switched_off(service: SessionService, pointed: str) -> None:
    marks = [lone(40, 45), lone(110, 45, object=2)]
    both = service.choices.save_marks(
        pointed, marks, [{"number": 1, "name": "Man"}, {"number": 2, "on": True}]
    )
    assert [thing.name for thing in both.job.objects] == ["Man", ""]
    cut = pixels(service.frames.render_frame(both, 0, "cutout"))
    assert disc(cut, 40, 45) == disc(cut, 110, 45) == 14  # the union
    plain = pixels(service.frames.render_frame(both, 0, "original"))[45].astype(int)
    tints = pixels(service.frames.render_frame(both, 0, "mask"))[45].astype(int) - plain
    assert tints[40, 2] > 5 > tints[40, 0] and tints[110, 0] > 5 > tints[110, 2]  # blue and orange
    off = service.choices.save_marks(pointed, marks, [{"number": 1, "on": False}, {"number": 2}])
    cut = pixels(service.frames.render_frame(off, 0, "cutout"))
    assert (disc(cut, 40, 45), disc(cut, 110, 45)) == (0, 14)
    service.run(pointed)
    done = finished(service, pointed)
    assert service.frames.has_matte(done) and done.job.matte is not None
    matte = next(iter(MatteFile.open(done.job.matte).read(done.clip)))[1]
    assert (matte[45, 40], matte[45, 110]) == (0, 255)
    with pytest.raises(InputError, match="switched off"):
        service.choices.save_marks(pointed, marks, [{"number": 1, "on": False}, {"number": 2, "on": False}])
        service.run(pointed)


def test_mattes_of_several_objects_need_the_model_though_a_matte_is_kept(
    service: SessionService, pointed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = [lone(40, 45), lone(110, 45, object=2)]
    service.choices.save_marks(pointed, marks, [{"number": 1, "name": "Man"}, {"number": 2}])
    service.run(pointed)
    assert service.frames.has_matte(finished(service, pointed))
    service.choices.choose_format(pointed, "objects")
    asked: list[str] = []
    monkeypatch.setattr(models, "check_loadable", lambda card, weights: asked.append(card.key))
    service.run(pointed)
    done = finished(service, pointed)
    assert asked == ["pointing"]
    path, _, name = service.result(pointed, str(done.row.results[0].id))
    assert name.endswith("-objects.zip") and zipfile.ZipFile(path).namelist() == ["1-Man.mkv", "2.mkv"]
    service.choices.save_marks(pointed, marks, [{"number": 1}, {"number": 2, "on": False}])
    service.run(pointed)
    finished(service, pointed)
    service.run(pointed)  # of one object the kept matte is enough
    assert asked == ["pointing"] * 2 and finished(service, pointed).row.results


def test_a_mark_on_one_object_does_not_recompute_the_others(service: SessionService, pointed: str) -> None:
    made: list[int] = []
    model = models.load("pointing", "auto")
    original = model.predict

    def counting(stills: Any) -> Any:
        for prediction in original(stills):
            made.append(1)
            yield prediction

    model.predict = counting  # type: ignore[method-assign]
    session = service.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    service.frames.render_frame(session, 0, "mask")
    assert len(made) == 2
    moved = service.choices.save_marks(pointed, [lone(40, 45), lone(110, 50, object=2)])
    service.frames.render_frame(moved, 0, "mask")
    assert len(made) == 3


def test_a_correction_is_shown_as_in_a_run(service: SessionService, upload: Any) -> None:
    """In haste by a few frames on the way to it; who is patient sees what the result will have."""
    with stand_in.registered():
        id = service.create(upload(), "a.mp4")
        service.choices.choose_model(id, "remembering")
        box = {"time": 0.0, "box": [10, 10, 90, 80]}
        session = service.choices.save_marks(
            id, [box, {"time": 11 / 24, "points": [{"x": 40, "y": 45, "keep": True}]}]
        )
        hasty = service.frames.render_frame(session, 11, "cutout")
        patient = service.frames.render_frame(session, 11, "cutout", propagate=True)
        assert not hasty.final and patient.final
        assert service.frames.render_frame(session, 11, "cutout") == patient  # and from now on to all
        service.run(id)
        done = finished(service, id)
        assert service.frames.has_matte(done)
        assert np.array_equal(pixels(service.frames.render_frame(done, 11, "cutout")), pixels(patient))
        assert not np.array_equal(pixels(hasty), pixels(patient))
        service.choices.choose_model(id, "grabcut")


def test_invalid_objects_are_refused(service: SessionService, pointed: str) -> None:
    for wrong in ([{"number": 0}], [7], {"number": 1}, "all", [{"number": 1}] * 100):
        with pytest.raises(PromptError):
            service.choices.save_marks(pointed, [], wrong)


def test_unsupported_marks_are_kept_for_other_models(service: SessionService, pointed: str) -> None:
    service.choices.save_marks(pointed, [lone(40, 45)])
    blind = service.choices.choose_model(pointed, "blind")
    assert blind.job.prompts and not blind.effective_job.prompts
    service.run(pointed)
    assert finished(service, pointed).row.state is State.DONE
    again = service.choices.choose_model(pointed, "pointing")
    assert again.effective_job.prompts == again.job.prompts


def test_review_times_belong_to_one_matte(service: SessionService, pointed: str) -> None:
    service.choices.save_marks(pointed, [lone(40, 45)])
    service.choices.choose_model(pointed, "doubting")
    service.run(pointed)
    done = finished(service, pointed)
    assert done.review_times == pytest.approx([5 / 24], abs=1e-3)
    assert service.choices.save_marks(pointed, [lone(41, 45)]).review_times == []
    assert service.choices.save_marks(pointed, [lone(40, 45)]).review_times == done.review_times


def test_an_outdated_frame_request_is_aborted(service: SessionService, upload: Any) -> None:
    stale = service.choices.save_marks(service.create(upload(), "a.mp4"), MARKS)
    service.choices.save_marks(stale.id, [])
    with pytest.raises(InputError, match="have changed"):
        service.frames.render_frame(stale, 0, "mask")


def test_frames_can_be_rendered_concurrently(service: SessionService, upload: Any) -> None:
    session = service.choices.save_marks(service.create(upload(), "a.mp4"), MARKS)
    seen: list[np.ndarray] = []
    threads = [
        threading.Thread(
            target=lambda: seen.append(pixels(service.frames.render_frame(session, 0, "cutout")))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6 and all(np.array_equal(seen[0], other) for other in seen)


def test_thumbnails_are_rendered(service: SessionService, upload: Any) -> None:
    session = service.open(service.create(upload(), "a.mp4"))
    assert service.frames.filmstrip(session).startswith(b"\xff\xd8")
    assert service.frames.poster(session)[1] == "image/jpeg"
    service.run(session.id)
    assert service.frames.poster(finished(service, session.id))[1] == "image/webp"


# ---------------------------------------------------------------- running


def test_a_run_makes_a_result_and_the_next_one_only_renders(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "figure.mp4")
    service.choices.save_marks(id, MARKS)
    service.run(id)
    done = finished(service, id)
    assert done.row.state is State.DONE and done.row.error is None
    (result,) = done.row.results
    path, mime, offered = service.result(id, str(result.id))
    assert (mime, offered) == ("video/mp4", "figure-recorte.mp4")
    assert result.bytes == path.stat().st_size and result.frames == 12
    assert len(ffprobe.frame_times(path)) == 12 and ffprobe.stream(path, "audio")
    assert done.job.matte is not None
    matte = done.job.matte.stat().st_mtime_ns

    service.choices.choose_background(id, "transparent")
    service.run(id)
    done = finished(service, id)
    newest, older = done.row.results
    assert (newest.format, newest.background, older.format) == ("webm", "transparent", "mp4")
    assert done.job.matte.stat().st_mtime_ns == matte
    assert (done.folder / older.file).exists() and (done.folder / newest.file).exists()
    assert not [p for p in files(done.folder) if p.name.startswith(".")]
    with pytest.raises(InputError):
        service.result(id, "nonsense")


def test_a_trimmed_result_has_just_these_frames(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    service.choices.save_marks(id, MARKS)
    service.run(id)
    whole = finished(service, id)
    matte = whole.job.matte
    assert matte is not None
    made = matte.stat().st_mtime_ns
    times = service.frames.frame_times(whole)
    assert service.choices.trim(id, times[3], times[9]).outdated
    service.run(id)
    newest = finished(service, id).row.results[0]
    path = whole.folder / newest.file
    assert newest.frames == 6 and matte.stat().st_mtime_ns == made
    assert np.allclose([float(t) for t in ffprobe.frame_times(path)], np.arange(6) / 24, atol=1e-3)
    assert ffprobe.sound_duration(path) == pytest.approx(6 / 24, abs=0.03)


def test_a_matte_of_a_part_is_recomputed_for_a_larger_range(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    service.choices.trim(id, 0.25, None)
    service.run(id)
    assert service.frames.has_matte(finished(service, id))
    more = service.choices.trim(id, 0, None)
    assert not service.frames.has_matte(more)
    assert [len(n) for n in service.frames.make_previews(more)] == [1, 2, 3, 4, 5, 6]
    service.run(id)
    assert finished(service, id).row.results[0].frames == 12


def test_quality_changes_the_size(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    for quality in ("small", "best"):
        assert service.choices.choose_quality(id, quality).outdated == (quality == "best")
        service.run(id)
        best, *small = finished(service, id).row.results
    assert best.bytes > 1.3 * small[0].bytes


def test_outdated_results_are_recognised(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    service.choices.save_marks(id, MARKS)
    assert not service.open(id).outdated
    service.run(id)
    assert not finished(service, id).outdated
    assert service.choices.choose_background(id, "#102030").outdated
    assert not service.choices.choose_background(id, "#00b140").outdated
    assert service.choices.choose_format(id, "webm").outdated
    assert not service.choices.choose_format(id, "mp4").outdated
    assert service.choices.save_marks(id, []).outdated
    assert not service.choices.save_marks(id, MARKS).outdated


def test_notes_of_a_run_are_stored(service: SessionService, upload: Any, database: Database) -> None:
    id = service.create(upload(), "a.mp4")
    service.run(id)
    made = finished(service, id)
    with database.begin() as tx:
        row = repository.get(tx, id=id)
        row.results[0].notes = ["The card would not <encode>."]
        row.clip = made.clip.to_json() | {"transfer": "pq", "mended": 3}
    session = service.open(id)
    results = ResultSection(*map(str, range(len(fields(ResultSection)))))  # type: ignore[arg-type]
    status = results.show_run(session, service, "en")[results.progress].value
    assert "Done in" in status and "The card would not &lt;encode&gt;." in status
    videos = VideoSection(*map(str, range(len(fields(VideoSection)))))  # type: ignore[arg-type]
    for tongue, words in (("en", "HDR: brought to standard range"), ("es", "HDR: llevado al rango")):
        facts = videos.show(session, service, tongue)[videos.facts]
        assert words in facts and ": 3, " in facts and facts.count("<p") == 3


def test_a_session_runs_once_at_a_time(service: SessionService, upload: Any) -> None:
    id = service.create(upload("long.mp4"), "long.mp4")
    service.run(id)
    service.run(id)  # is no error, and changes nothing
    waiting = service.create(upload(), "b.mp4")
    service.run(waiting)
    assert service.queue_position(waiting) == 1
    assert service.find_unfinished() == waiting
    service.cancel(waiting)
    service.cancel(id)
    for each in (id, waiting):
        session = finished(service, each)
        assert session.row.state is State.CANCELLED and session.row.results == []
        assert files(session.folder) == uploaded(session)
    service.run(waiting)  # and may be made again
    assert finished(service, waiting).row.state is State.DONE


@pytest.mark.usefixtures("stand_ins")
def test_cancelling_takes_less_than_two_seconds(service: SessionService, upload: Any) -> None:
    id = service.create(upload("long.mp4"), "long.mp4")
    service.choices.choose_model(id, "slow")
    service.run(id)
    until(lambda: service.open(id).row.progress)
    with stand_in.stopped_within(seconds=2):
        service.cancel(id)
        until(lambda: service.queue_position(id) is None)
    session = finished(service, id)
    assert session.row.state is State.CANCELLED
    assert session.row.progress is not None and session.row.progress["done"] > 0  # how far it came
    assert files(session.folder) == uploaded(session)


def test_a_running_session_can_be_deleted(service: SessionService, upload: Any) -> None:
    id = service.create(upload("long.mp4"), "long.mp4")
    service.run(id)
    until(lambda: service.progress(id))
    folder = service.open(id).folder
    service.delete(id)
    assert service.queue_position(id) is None
    assert list(folder.parent.iterdir()) == []
    with pytest.raises(NotFound):
        service.open(id)
    with pytest.raises(NotFound):
        service.delete(id)


def test_a_removed_video_raises_an_error_sentence(service: SessionService, upload: Any) -> None:
    id = service.create(upload(), "a.mp4")
    service.open(id).job.source.unlink()
    with pytest.raises(VideoError, match=r"^a\.mp4: this video is no longer"):
        service.run(id)
    assert [session.id for session in service.list_sessions()] == [id]
    service.delete(id)
    assert service.list_sessions() == []


def test_a_failed_run_has_an_error_sentence(service: SessionService, upload: Any) -> None:
    first = service.create(upload("long.mp4"), "first.mp4")
    id = service.create(upload("long.mp4"), "long.mp4")
    service.run(first)
    service.run(id)
    service.open(id).job.source.write_bytes(b"no longer a video" * 9)  # while it waits in the line
    service.cancel(first)
    session = finished(service, id)
    assert session.row.state is State.FAILED and "source.mp4" in (session.row.error or "")
    assert files(session.folder) == uploaded(session)


def test_a_run_survives_a_database_outage(tmp_path: Path, upload: Any, working: Any) -> None:
    folder = tmp_path / "database"
    with on_a_server_of_its_own(folder) as database:
        service = working(tmp_path / "home", database)
        id = service.create(upload("long.mp4"), "long.mp4")
        service.run(id)
        until(lambda: service.open(id).row.progress)
        server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        server.wait(DEADLINE)
        with pytest.raises(DatabaseAway):
            service.open(id)
        with pytest.raises(DatabaseAway):
            service.create(upload(), "b.mp4")
        assert len(list((tmp_path / "home" / "sessions").iterdir())) == 1
        until(lambda: service.queue_position(id) is None)
        with EmbeddedServer(folder):
            session = finished(service, id)
            assert session.row.state is State.DONE and session.row.error is None
            assert (session.folder / session.row.results[0].file).exists()


def test_files_of_a_killed_server_are_recovered(service: SessionService, upload: Any, tmp_path: Path) -> None:
    kept, halfway = (service.create(upload(), name) for name in ("kept.mp4", "halfway.mp4"))
    folder = tmp_path / "home" / "sessions"
    whole = {path.relative_to(folder) for path in folder.rglob("*")}
    (folder / kept / ".result-1-x.part").write_bytes(b"half a result")
    (folder / kept / ".recorte-x").mkdir()
    (folder / kept / ".recorte-x" / "0.mkv").write_bytes(b"half a matte")
    (folder / ".upload.mp4").write_bytes(b"half an upload")
    (folder / halfway).rename(folder / f".deleted-{halfway}")
    (folder / ".deleted-00000000-0000-0000-0000-000000000000").mkdir()
    service.recover()
    assert {path.relative_to(folder) for path in folder.rglob("*")} == whole
    assert service.open(halfway).row.name == "halfway.mp4"


def test_a_picture_is_final_once_a_run_would_make_the_same(service: SessionService, upload: Any) -> None:
    id = service.create(upload("long.mp4"), "a.mp4")
    session = service.choices.choose_model(id, "recorte")
    predicted = service.frames.render_frame(session, 0, "cutout")
    assert predicted.cut and not predicted.final, "a run looks at more frames than this one"
    for _ in compute_ahead(session.effective_job):
        pass
    cut = service.frames.render_frame(session, 0, "cutout")
    stored = find_mattes(session.effective_job, session.clip, 0)
    assert cut.final and stored is not None
    assert np.array_equal(pixels(cut)[..., 3], stored[1])


# ---------------------------------------------------------------- several objects, several lookers


def test_a_frame_with_an_unknown_object_is_not_final(service: SessionService, pointed: str) -> None:
    session = service.choices.save_marks(pointed, [lone(40, 45)])
    for _ in service.frames.make_previews(session):
        pass
    shown = service.frames.cached_previews(session)[-1]
    assert service.frames.render_frame(session, 0, "cutout").final
    later = {**lone(110, 45, object=2), "time": 0.3}
    both = service.choices.save_marks(pointed, [lone(40, 45), later])
    for index in (0, shown):
        partly = service.frames.render_frame(both, index, "cutout")
        assert not partly.final
        assert disc(pixels(partly), 40, 45) == 14 and disc(pixels(partly), 110, 45) == 0
    assert service.frames.cached_previews(both) == []
    for _ in service.frames.make_previews(both):
        pass
    assert disc(pixels(service.frames.render_frame(both, shown, "cutout")), 110, 45) == 14
    at_once = service.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    whole = service.frames.render_frame(at_once, 0, "cutout")
    assert whole.final and disc(pixels(whole), 110, 45) == 14


def test_a_click_does_not_wait_for_previews_of_others(
    service: SessionService, upload: Any, pointed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for one frame of them."""
    original = stand_in.Pointing.predict
    clicked = threading.Event()

    def slow(self: stand_in.Pointing, stills: Any) -> Any:
        for prediction in original(self, stills):
            clicked.wait(1)  # each frame, until the click is answered
            yield prediction

    monkeypatch.setattr(stand_in.Pointing, "predict", slow)
    other = service.create(upload(), "b.mp4")
    service.choices.choose_model(other, "pointing")
    far = service.choices.save_marks(other, [{"time": 11 / 24, "points": [{"x": 40, "y": 45, "keep": True}]}])
    begun = threading.Event()
    order: list[str] = []

    def preview() -> None:
        begun.set()
        for _ in service.frames.make_previews(far):
            order.append("preview")

    thread = threading.Thread(target=preview)
    thread.start()
    begun.wait()
    service.frames.render_frame(service.choices.save_marks(pointed, [lone(40, 45)]), 0, "mask")
    order.append("click")
    clicked.set()
    thread.join()
    assert order[-1] == "preview"


def test_objects_of_a_stored_matte_are_not_recomputed(service: SessionService, pointed: str) -> None:
    service.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    service.run(pointed)
    done = finished(service, pointed)
    model = models.load("pointing", "auto")
    model.predict = None  # type: ignore[method-assign,assignment]
    assert [len(n) for n in service.frames.make_previews(done)] == [1, 2, 3, 4, 5, 6]


def test_an_uploaded_matte_takes_the_place_of_a_model(
    service: SessionService, upload: Any, tmp_path: Path
) -> None:
    session = service.open(service.create(upload(), "a.mp4"))
    white = [np.full((HEIGHT, WIDTH, 3), 255, np.uint8)] * 12
    file = rendered.write_clip(tmp_path / "white.mp4", white)
    taken = service.choices.choose_matte(session.id, file, "white.mp4")
    borrowed = taken.job.matte_in
    assert taken.job.model == "matte-in" and borrowed is not None and not file.exists()
    assert borrowed.path.parent == taken.folder and borrowed.path.suffix == ".mp4"
    inverted = service.choices.read_matte(session.id, True, False).job.matte_in
    assert inverted is not None and (inverted.path, inverted.invert) == (borrowed.path, True)
    picture = service.frames.render_frame(service.open(session.id), 3, "cutout")
    assert picture.cut and np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGBA"))[..., 3].max() < 8

    square = rendered.write_clip(tmp_path / "square.mp4", [np.zeros((64, 64, 3), np.uint8)] * 12)
    with pytest.raises(InputError, match="another shape"):
        service.choices.choose_matte(session.id, square, "square.mp4")
    assert not square.exists() and service.open(session.id).job.matte_in == inverted

    other = rendered.write_clip(tmp_path / "other.mp4", white)
    third = rendered.write_clip(tmp_path / "third.mp4", white)
    service.choices.choose_matte(session.id, other, "other.mp4")
    service.choices.choose_matte(session.id, third, "third.mp4")
    assert len(list(taken.folder.glob("matte-in-*"))) == 2  # the latest, and the one before it
    assert service.choices.choose_model(session.id, "grabcut").job.matte_in is not None


def write_mask(path: Path) -> Path:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:60, 40:90] = 255
    Image.fromarray(mask).save(path)
    return path


def test_an_uploaded_mask_is_that_of_an_object_on_its_frame(
    service: SessionService, pointed: str, tmp_path: Path
) -> None:
    service.choices.choose_model(pointed, "recorte")
    service.choices.save_marks(pointed, [lone(40, 45)])
    file = write_mask(tmp_path / "mask.png")
    taken = service.choices.add_mask(pointed, file, "mask.png", 0.25, 2)
    mask = taken.job.prompts[1].mask
    assert not file.exists() and mask is not None and taken.job.prompts[1].object == 2
    assert mask.path.parent == taken.folder and service.open(pointed).job == taken.job
    shown = service.frames.render_frame(service.open(pointed), taken.clip.frames // 2, "cutout")
    assert shown.data
    inverted = service.choices.invert_masks(pointed, True).job.prompts[1].mask
    assert inverted is not None and inverted.invert and inverted.path == mask.path

    # The stage sends it back by its name; no other file is taken for one.
    marks = [prompt.to_json(taken.folder) for prompt in taken.job.prompts]
    assert marks[1]["mask"] == {"file": mask.path.name}
    assert service.choices.save_marks(pointed, marks).job.prompts == taken.job.prompts
    outside = write_mask(tmp_path / "mask-12345678.png")
    (taken.folder / "background-1.png").write_bytes(outside.read_bytes())
    for file in (str(outside), "background-1.png", "mask-00000000.png", f"../{pointed}/{mask.path.name}"):
        with pytest.raises(PromptError, match="was not uploaded here"):
            service.choices.save_marks(pointed, [{"time": 0.25, "mask": {"file": str(file)}}])


def test_what_is_no_mask_of_the_video_is_refused(
    service: SessionService, pointed: str, tmp_path: Path
) -> None:
    before = service.open(pointed).job
    Image.new("L", (64, 64), 255).save(tmp_path / "square.png")
    with pytest.raises(InputError, match=r"square\.png.*another shape"):
        service.choices.add_mask(pointed, tmp_path / "square.png", "square.png", 0.0)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png.*cannot be read"):
        service.choices.add_mask(pointed, tmp_path / "text.png", "text.png", 0.0)
    for time, number in ((99.0, 1), (0.0, 0)):
        with pytest.raises(PromptError):
            service.choices.add_mask(pointed, write_mask(tmp_path / "mask.png"), "mask.png", time, number)
    assert service.open(pointed).job == before and not list(service.open(pointed).folder.glob("mask-*"))
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".png"]


def test_a_map_of_classes_is_a_view_of_the_models_that_know_some(
    service: SessionService, pointed: str
) -> None:
    with pytest.raises(InputError, match="no view called"):
        service.frames.render_frame(service.open(pointed), 0, "classes")
    session = service.choices.choose_model(pointed, "mapping")
    picture = service.frames.render_frame(session, 0, "classes", encoding="png")
    assert picture.final and picture.cut
    drawn = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))
    assert drawn.shape[:2] == (HEIGHT, WIDTH)
    left, right = drawn[:, : WIDTH // 2].mean((0, 1)), drawn[:, WIDTH // 2 :].mean((0, 1))
    assert np.abs(left - right).max() > 40
    small = service.frames.render_frame(session, 0, "classes", width=80, encoding="png")
    assert Image.open(io.BytesIO(small.data)).width <= 80
