"""The session service on a real database and with a real model, without a browser."""

from __future__ import annotations

import base64
import io
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
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
from pipeline.prompts import Point, Prompt
from tests import ffprobe, rendered
from tests.pipeline import stand_in
from tests.postgres import on_a_server_of_its_own
from tests.ui.hosted import LocalWorker
from tests.waiting import DEADLINE, until
from ui.page.sections.result import ResultSection
from ui.page.sections.video import VideoSection
from ui.sessions import deletion as module
from ui.sessions import stock_backgrounds
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
    """Makes actions with a runner and a ledger, all in this process, and closes these."""
    closing: list[Callable[[], None]] = []

    def make(home: Path, database: Database) -> SessionService:
        ledger = Ledger(database)
        runner = Runner(ledger, process)
        closing.extend([ledger.close, runner.close])
        return SessionService(home, database, runner, SAMPLE, LocalWorker(InferenceService))

    yield make
    for close in reversed(closing):
        close()


@pytest.fixture
def actions(tmp_path: Path, database: Database, working: Any) -> Iterator[SessionService]:
    """Actions on a folder of their own; what a test puts into the shared database goes again."""
    made = working(tmp_path / "home", database)
    yield made
    for found in made.list_sessions():
        made.delete(found.id)


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


def uploaded(found: Session) -> list[Path]:
    """Files of a session before it makes anything."""
    return [found.job.source, found.job.source.with_name(f"{found.job.source.name}.index")]


def finished(actions: SessionService, id: str) -> Session:
    until(lambda: actions.queue_position(id) is None and not actions.open(id).running)
    return actions.open(id)


# ---------------------------------------------------------------- uploads


def test_an_upload_becomes_a_session(actions: SessionService, upload: Any) -> None:
    file = upload()
    found = actions.open(actions.create(file, "Holiday.mp4"))
    assert not file.exists()
    assert found.row.name == "Holiday.mp4" and found.row.state is State.READY
    assert (found.clip.width, found.clip.height, found.clip.frames) == (WIDTH, HEIGHT, 12)
    assert found.clip.name == "Holiday.mp4" and found.clip.sound
    assert files(found.folder) == uploaded(found)
    assert [s.id for s in actions.list_sessions()] == [found.id]
    assert actions.list_sessions("HOLI")[0].id == found.id and actions.list_sessions("%") == []


def test_a_sample_session_has_a_copy_of_the_sample(actions: SessionService) -> None:
    found = actions.open(actions.create_sample())
    assert found.row.name == SAMPLE.name
    assert SAMPLE.exists() and found.job.source.read_bytes() == SAMPLE.read_bytes()
    assert [p.name for p in found.folder.parent.iterdir()] == [found.id]


@pytest.mark.parametrize("content", [b"", b"no video\n" * 99, b"\x00\x00\x00\x18ftypmp42" + bytes(500)])
def test_a_refused_upload_leaves_no_files(actions: SessionService, upload: Any, content: bytes) -> None:
    file = upload()
    file.write_bytes(content)
    with pytest.raises(VideoError, match=r"^bad\.mp4"):
        actions.create(file, "bad.mp4")
    assert actions.list_sessions() == []
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
def test_a_name_never_becomes_a_path(actions: SessionService, upload: Any, tmp_path: Path, name: str) -> None:
    found = actions.open(actions.create(upload(), name))
    assert found.job.source.parent == found.folder
    assert found.job.source.name in ("source.mp4", "source")
    assert {p.relative_to(tmp_path).parts[0] for p in files(tmp_path)} == {"home"}
    actions.choices.save_marks(found.id, MARKS)
    actions.run(found.id)
    done = finished(actions, found.id)
    path, mime, offered = actions.result(found.id, str(done.row.results[0].id))
    assert path.parent == found.folder and mime == "video/mp4"
    assert offered.endswith("-recorte.mp4") and "/" not in offered


# ---------------------------------------------------------------- choices


def test_marks_are_saved_and_checked(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    box = [{"time": 0.25, "points": [], "box": [1, 2, 100, 80]}]
    actions.choices.save_marks(id, MARKS + box)
    kept = actions.open(id).job.prompts
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
            actions.choices.save_marks(id, marks)
    assert actions.open(id).job.prompts == kept


def test_backgrounds_and_formats_are_kept_compatible(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    assert actions.choices.choose_background(id, "#102030").job.background == Colour(16, 32, 48)
    assert actions.choices.choose_background(id, "blur:9").job.background == Blur(9)
    laid = actions.choices.choose_background(id, "transparent").job
    assert laid.background == Transparent() and laid.format == "webm"
    laid = actions.choices.choose_format(id, "mp4").job
    assert laid.background == GREEN and laid.format == "mp4"
    assert actions.open(id).job == laid
    for spec in ("/etc/passwd", "a.png", "nonsense", "blur:-1"):
        with pytest.raises(InputError):
            actions.choices.choose_background(id, spec)
    with pytest.raises(InputError):
        actions.choices.choose_format(id, "avi")
    with pytest.raises(InputError):
        actions.choices.choose_model(id, "nonsense")
    assert actions.choices.choose_sound(id, "none").job.sound == "none"
    assert actions.open(id).job == actions.choices.choose_model(id, "recorte").job


def test_the_format_is_restored_after_transparency(
    tmp_path: Path, database: Database, working: Any, actions: SessionService, upload: Any
) -> None:
    id = actions.create(upload("short.mp4"), "a.mp4")
    actions.choices.choose_format(id, "hevc")
    assert actions.choices.choose_background(id, "transparent").job.format == "webm"
    actions.choices.choose_background(id, "transparent")
    actions.choices.choose_quality(id, "small")
    later = working(tmp_path / "home", database)  # it outlives the server
    assert later.choices.choose_background(id, "blur").job.format == "hevc"
    assert later.choices.choose_background(id, "#ffffff").job.format == "hevc"


def test_a_chosen_format_is_kept_after_transparency(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("short.mp4"), "a.mp4")
    actions.choices.choose_background(id, "transparent")
    actions.choices.choose_format(id, "prores")
    assert actions.choices.choose_background(id, "#ffffff").job.format == "prores"
    actions.choices.choose_format(id, "webm")
    actions.choices.choose_background(id, "transparent")
    assert actions.choices.choose_stock_background(id, "city").job.format == "webm"


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_a_run_is_refused_until_the_announced_background_is_uploaded(
    actions: SessionService, upload: Any, kind: Any
) -> None:
    id = actions.create(upload("short.mp4"), "a.mp4")
    actions.choices.choose_background(id, "blur")
    assert actions.choices.await_background(id, kind).awaited_background == kind
    actions.choices.choose_edges(id, Edges(grow=2))
    assert actions.open(id).awaited_background == kind  # whatever else is chosen meanwhile
    with pytest.raises(InputError, match=f"Choose the {kind}"):
        actions.run(id)
    assert actions.open(id).row.state is State.READY
    assert actions.choices.choose_background(id, "blur").awaited_background is None
    actions.run(id)
    finished(actions, id)


def test_a_background_of_the_announced_kind_is_kept(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("short.mp4"), "a.mp4")
    actions.choices.choose_stock_background(id, "city")
    actions.choices.await_background(id, "video")
    found = actions.choices.await_background(id, "picture")
    assert found.awaited_background is None and found.stock_background == "city"


def test_a_background_picture_is_rotated_upright(
    actions: SessionService, upload: Any, tmp_path: Path
) -> None:
    id = actions.create(upload(), "a.mp4")
    folder = actions.open(id).folder
    turned = Image.new("RGB", (60, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    laid = actions.choices.choose_picture(id, tmp_path / "turned.jpg", "turned.jpg", "fit").job.background
    assert isinstance(laid, Picture) and laid.fit == "fit" and laid.path.parent == folder
    with Image.open(laid.path) as kept:
        assert kept.size == (20, 60) and not kept.getexif()
    assert not (tmp_path / "turned.jpg").exists()
    assert actions.choices.fit_background(id, "stretch").job.background == Picture(laid.path, "stretch")

    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(BackgroundError, match=r"^letter\.png"):
        actions.choices.choose_picture(id, tmp_path / "bad.png", "letter.png")
    assert not (tmp_path / "bad.png").exists()
    assert list(folder.glob("background-*")) == [laid.path]

    Image.new("RGB", (8, 8), "blue").save(tmp_path / "second.png")
    second = actions.choices.choose_picture(id, tmp_path / "second.png", "second.png").job.background
    assert isinstance(second, Picture)
    # Somebody may be looking at the first.
    assert set(folder.glob("background-*")) == {laid.path, second.path}
    third = actions.choices.choose_stock_background(id, stock_backgrounds.NAMES[0]).job.background
    assert isinstance(third, Picture) and set(folder.glob("background-*")) == {second.path, third.path}


def test_a_stock_background_is_chosen_by_name(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    assert actions.open(id).stock_background is None
    for name in stock_backgrounds.NAMES:
        found = actions.choices.choose_stock_background(id, name, "fit")
        laid = found.job.background
        assert isinstance(laid, Picture) and laid.fit == "fit" and found.stock_background == name
        assert laid.path.read_bytes() == stock_backgrounds.path(name).read_bytes()
        assert laid.path in (kept := list(found.folder.glob("background-*"))) and len(kept) <= 2
    assert actions.choices.choose_stock_background(id, name, "fill").job.background == Picture(
        laid.path, "fill"
    )
    before = actions.open(id).job
    for bad in ("", "studio.jpg", "../sample", "/etc/passwd", "STUDIO"):
        with pytest.raises(InputError, match="no background called"):
            actions.choices.choose_stock_background(id, bad)
        with pytest.raises(InputError):
            stock_backgrounds.thumbnail(bad)
    assert actions.open(id).job == before
    assert actions.choices.choose_background(id, "blur").stock_background is None


def test_a_background_video_is_moved_into_the_session(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    file = upload("long.mp4", "beach.gif")  # a name that would read as a picture's
    place = file.stat().st_ino
    found = actions.choices.choose_video(id, file, "beach.gif", "fit", held=True)
    laid = found.job.background
    assert isinstance(laid, Footage) and (laid.fit, laid.hold_last) == ("fit", True)
    assert laid.path.parent == found.folder and laid.path.stat().st_ino == place and not file.exists()
    assert actions.open(id).job == found.job
    other = actions.choices.fit_background(id, "stretch", held=False).job.background
    assert other == Footage(laid.path, "stretch")
    assert (
        actions.choices.fit_background(
            actions.choices.choose_stock_background(id, "city").id, "fill"
        ).stock_background
        == "city"
    )
    actions.choices.choose_stock_background(id, "garden")
    assert not laid.path.exists()

    letter = upload(name="letter.mp4")
    letter.write_text("Dear all, this is no video.\n" * 40)
    before = actions.open(id).job
    with pytest.raises(VideoError, match=r"^letter\.mp4"):
        actions.choices.choose_video(id, letter, "letter.mp4")
    assert actions.open(id).job == before and not letter.exists()


def test_the_sound_of_a_replaced_background_is_deselected(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    heard = actions.choices.choose_video(id, upload("short.mp4"), "b.mp4").job.background
    silent = actions.create(upload("long.mp4"), "silent.mp4")
    assert actions.frames.has_sound(heard) and not actions.frames.has_sound(GREEN)
    assert actions.choices.choose_sound(id, "behind").job.sound == "behind"
    assert actions.choices.fit_background(id, "fit").job.sound == "behind"
    assert actions.choices.choose_background(id, "blur").job.sound == "own"
    actions.choices.choose_video(silent, upload("short.mp4"), "b.mp4")
    actions.choices.choose_sound(silent, "behind")
    laid = actions.choices.choose_video(silent, upload("long.mp4"), "c.mp4").job
    assert not actions.frames.has_sound(laid.background) and laid.sound == "own"


def test_edges_are_saved_and_checked(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    edges = Edges(clean=False, grow=-3, feather=2, despill="blue")
    assert actions.choices.choose_edges(id, edges).job.edges == edges == actions.open(id).job.edges
    with pytest.raises(InputError):
        actions.choices.choose_edges(id, Edges(grow=1000))
    assert actions.open(id).job.edges == edges


def test_the_kept_range_is_rounded_to_frames(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    times = actions.frames.frame_times(actions.open(id))
    trimmed = actions.choices.trim(id, 0.13, 0.35).job  # typed: between frames
    assert (trimmed.start, trimmed.end) == (times[3], times[8]) == (actions.open(id).job.start, times[8])
    assert actions.choices.trim(id, times[3], 0.49).job.end is None
    assert actions.choices.trim(id, None, None).job.start == 0.0
    assert actions.choices.trim(id, -5, 99).job == actions.open(id).job
    for start, end in ((0.3, 0.1), (0.3, 0.3), ("soon", None), (0, "late"), (float("nan"), None), (True, 1)):
        with pytest.raises(InputError):
            actions.choices.trim(id, start, end)


def test_older_sessions_are_read_unchanged(actions: SessionService, upload: Any, database: Database) -> None:
    """Its job and clip know nothing of what came later, and its result has no key."""
    id = actions.create(upload(), "a.mp4")
    actions.run(id)
    found = finished(actions, id)
    job = found.job.to_json(found.folder) | {"sound": False}
    clip = found.clip.to_json()
    for later in ("quality", "edges", "rate", "hardware"):
        del job[later]
    for later in ("transfer", "interlaced", "mended"):
        del clip[later]
    with database.begin() as tx:
        row = repository.save_job(tx, id=id, job=job)
        row.clip, row.results[0].key = clip, None
    opened = actions.open(id)
    assert opened.job.edges == Edges() and opened.job.sound == "none" and opened.clip.remarks == ()
    assert not opened.outdated and not actions.choices.choose_format(id, "webm").outdated
    actions.run(id)
    assert finished(actions, id).row.state is State.DONE


def test_edits_of_two_windows_are_merged(actions: SessionService, upload: Any) -> None:
    def stage(found: Session, *prompts: Any, **more: Any) -> dict[str, Any]:
        return {"prompts": list(prompts), "objects": [], "start": 0, "end": None, **more}

    def point(x: float, frame: int = 0, **more: Any) -> dict[str, Any]:
        return {"time": frame / 24, "points": [{"x": x, "y": 5, "keep": True}], **more}

    def xs(found: Session) -> list[list[float]]:
        return [[point.x for point in prompt.points] for prompt in found.job.prompts]

    found = actions.open(actions.create(upload(), "a.mp4"))
    id, nothing = found.id, stage(found)
    both = stage(found, point(1))
    assert xs(actions.choices.edit(id, both, nothing)[0]) == [[1]]
    # The other window knows of none of these: on another frame, and on the same one.
    found, clashes = actions.choices.edit(id, stage(found, point(2, frame=4)), nothing)
    assert (xs(found), clashes) == ([[1], [2]], [])
    found, clashes = actions.choices.edit(id, stage(found, point(3)), nothing)
    assert (xs(found), clashes) == ([[1, 3], [2]], [])
    # What was taken away goes, and what was trimmed or switched off elsewhere stays.
    actions.choices.edit(id, stage(found, start=2 / 24, objects=[{"number": 1, "on": False}]), stage(found))
    found, clashes = actions.choices.edit(id, stage(found), both)
    assert (xs(found), clashes) == ([[3], [2]], [])
    assert found.job.start == pytest.approx(2 / 24, abs=1e-3) and not found.job.objects[0].on
    # Both have drawn the box, each another one: the newer stands, and it is said.
    for corner in (50, 60):
        boxed = stage(found, {"time": 0.0, "box": [1, 1, corner, 60]})
        found, clashes = actions.choices.edit(id, boxed, stage(found))
    assert found.job.prompts[0].box is not None and found.job.prompts[0].box.x1 == 60
    assert clashes == [(1, 0.0)] and xs(found) == [[3], [2]]
    assert actions.choices.edit(id, stage(found, point(7)))[0].job.prompts == actions.open(id).job.prompts
    assert xs(actions.open(id)) == [[7]]  # without a base all is as it says
    for bad in (None, [], {"prompts": "text"}, stage(found, point(7, frame=99))):
        with pytest.raises(PromptError):
            actions.choices.edit(id, bad, nothing)


def test_points_moved_in_two_windows_conflict() -> None:
    def marks(*xs: float) -> Marks:
        prompt = Prompt(0.5, tuple(Point(x, 1) for x in xs))
        return Marks((prompt,) if xs else (), (), 0, None)

    assert merge(marks(1, 2), marks(1, 3), marks(1, 2)) == (marks(1, 3), [])
    merged, clashes = merge(marks(1), marks(2), marks(3))
    assert clashes == [Conflict(1, 0.5)] and {p.x for p in merged.prompts[0].points} == {2, 3}
    assert merge(marks(1), marks(), marks(1, 4)) == (marks(4), [])
    assert merge(marks(1), marks(), marks()) == (marks(), [])


def test_the_fingerprint_changes_with_what_the_page_shows(actions: SessionService, upload: Any) -> None:
    found = actions.open(actions.create(upload(), "a.mp4"))
    assert actions.open(found.id).fingerprint == found.fingerprint
    versions = {
        found.fingerprint,
        actions.choices.save_marks(found.id, MARKS).fingerprint,
        actions.choices.choose_quality(found.id, "small").fingerprint,
        actions.rename(found.id, "b").fingerprint,
    }
    assert len(versions) == 4
    actions.run(found.id)
    assert finished(actions, found.id).fingerprint not in versions


def test_a_delayed_deletion_can_be_undone(actions: SessionService, upload: Any, monkeypatch: Any) -> None:
    id, other = actions.create(upload(), "a.mp4"), actions.create(upload(), "b.mp4")
    assert actions.delete_later(id).name == "a.mp4"
    assert [found.id for found in actions.list_sessions()] == [other]
    for ask in (
        actions.open,
        actions.delete_later,
        lambda id: actions.choices.save_marks(id, MARKS),
        actions.run,
    ):
        with pytest.raises(NotFound):
            ask(id)
    with pytest.raises(NotFound):
        actions.for_owner(uuid4()).undelete(id)
    actions.undelete(id)
    assert actions.open(id).id == id and len(actions.list_sessions()) == 2
    actions.delete_later(id)
    folder = actions.open(other).folder.with_name(id)
    actions.purge()
    assert folder.exists()  # not yet
    monkeypatch.setattr(module, "UNDO_SECONDS", 0)
    actions.purge()
    assert not folder.exists()
    with pytest.raises(NotFound):
        actions.undelete(id)


def test_sessions_about_to_be_deleted_do_not_count_towards_the_quota(
    actions: SessionService, upload: Any, monkeypatch: Any
) -> None:
    id = actions.create(upload(), "a.mp4")
    monkeypatch.setattr(actions.quota, "limit_bytes", round(1.5 * actions.quota.used_bytes(None)))
    with pytest.raises(InputError, match="Delete sessions"):
        actions.create(upload(), "b.mp4")
    folder = actions.open(id).folder
    actions.delete_later(id)
    assert actions.open(actions.create(upload(), "b.mp4")).row.name == "b.mp4"
    assert not folder.exists()  # so that nobody keeps more than they may


def test_a_delayed_deletion_stops_the_run(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("long.mp4"), "a.mp4")
    actions.run(id)
    until(lambda: (going := actions.progress(id)) is not None and going.done)
    actions.delete_later(id)
    until(lambda: actions.queue_position(id) is None)
    actions.undelete(id)
    until(lambda: not actions.open(id).running)
    assert actions.open(id).row.state is State.CANCELLED and actions.open(id).can_resume


def test_sessions_can_be_renamed(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    assert actions.rename(id, "  Our \n beach ").row.name == "Our beach"
    assert actions.rename(id, "   ").row.name == "Our beach"
    assert len(actions.rename(id, "x" * 1000).row.name) == 120


# ---------------------------------------------------------------- looking


def test_masks_need_a_mark_or_a_matte(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    found = actions.choices.save_marks(id, MARKS)
    looks = actions.frames
    assert np.allclose(looks.frame_times(found), np.arange(12) / 24, atol=1e-3)
    plain = pixels(looks.render_frame(found, 0, "original"))
    mask = looks.render_frame(found, 0, "mask")
    assert mask.final and plain.shape == pixels(mask).shape == (HEIGHT, WIDTH, 3)
    assert (plain != pixels(mask)).any(axis=2).mean() > 0.05
    assert pixels(looks.render_frame(found, 0, "cutout")).shape == (HEIGHT, WIDTH, 4)
    over = pixels(looks.render_frame(found, 0, "over"))
    assert np.abs(over[2, 2].astype(int) - (0, 177, 64)).max() < 4
    # Away from the marks there is nothing to show before previews or a run, and it may yet come.
    later = looks.render_frame(found, 8, "mask")
    assert not later.final and np.array_equal(pixels(later), pixels(looks.render_frame(found, 8, "original")))
    for index, view in ((12, "mask"), (-1, "mask"), (0, "sideways")):
        with pytest.raises(InputError):
            looks.render_frame(found, index, view)


@pytest.mark.parametrize("view", ["original", "mask", "cutout", "over"])
def test_a_narrow_picture_is_the_same_one_made_smaller(
    actions: SessionService, upload: Any, view: str
) -> None:
    found = actions.choices.save_marks(actions.create(upload(), "a.mp4"), MARKS)
    whole = actions.frames.render_frame(found, 0, view)
    narrow = actions.frames.render_frame(found, 0, view, width=WIDTH // 2)
    assert narrow.mime == whole.mime and narrow.final == whole.final
    large, small = pixels(whole), pixels(narrow)
    assert small.shape == (HEIGHT // 2, WIDTH // 2, large.shape[2])
    shrunk = np.asarray(Image.fromarray(large).resize((WIDTH // 2, HEIGHT // 2)))
    opaque = shrunk[..., 3] > 200 if view == "cutout" else np.ones(shrunk.shape[:2], bool)
    # The mask's outline is as wide in both.
    assert np.median(np.abs(small[opaque].astype(int) - shrunk[opaque])) < 8
    assert np.array_equal(
        pixels(actions.frames.render_frame(found, 0, view, width=4 * WIDTH)).shape, large.shape
    )


def test_previews_are_yielded_one_by_one(actions: SessionService, upload: Any) -> None:
    found = actions.choices.save_marks(actions.create(upload(), "a.mp4"), MARKS)
    assert actions.frames.cached_previews(found) == []
    numbers = list(actions.frames.make_previews(found))
    assert [len(n) for n in numbers] == [1, 2, 3, 4, 5, 6]
    assert actions.frames.cached_previews(found) == sorted(numbers[-1])
    assert actions.frames.render_frame(found, numbers[-1][3], "over").final
    before = actions.frames.revision(found)
    moved = actions.choices.save_marks(
        found.id, [{"time": 0.0, "points": [{"x": 80, "y": 60, "keep": True}]}]
    )
    assert actions.frames.revision(moved) != before and actions.frames.cached_previews(moved) == []


def disc(look: np.ndarray, x: int, y: int) -> int:
    """The radius of the disc of the stand-in that shows round a place in a cut-out."""
    return int((look[y, x:, 3] > 127).argmin())


def lone(x: float, y: float, **more: Any) -> dict[str, Any]:
    return {"time": 0.0, "points": [{"x": x, "y": y, "keep": True}], **more}


@pytest.fixture
def pointed(actions: SessionService, upload: Any) -> Iterator[str]:
    """A session whose model keeps a disc round each click."""
    with stand_in.registered():
        id = actions.create(upload(), "a.mp4")
        actions.choices.choose_model(id, "pointing")
        yield id
        actions.choices.choose_model(id, "grabcut")


def test_a_single_click_has_candidates_to_choose_from(actions: SessionService, pointed: str) -> None:
    found = actions.choices.save_marks(pointed, [lone(40, 45)])
    read = actions.frames.render_candidates(found, 0, 1)
    assert [score for score, _ in read] == [0.55, 0.95, 0.75]
    pictures = [base64.b64decode(address.removeprefix("data:image/jpeg;base64,")) for _, address in read]
    sizes = {Image.open(io.BytesIO(picture)).size for picture in pictures}
    assert len(sizes) == 1 and 60 < sizes.pop()[0] < 100  # as near as shows the largest of them
    assert disc(pixels(actions.frames.render_frame(found, 0, "cutout")), 40, 45) == 14  # the best
    chosen = actions.choices.save_marks(pointed, [lone(40, 45, candidate=2)])
    assert disc(pixels(actions.frames.render_frame(chosen, 0, "cutout")), 40, 45) == 30
    assert actions.frames.revision(chosen) != actions.frames.revision(found)
    # No longer a lone click, another object, another frame, a model that has but one answer.
    assert actions.frames.render_candidates(chosen, 0, 2) == []
    assert actions.frames.render_candidates(chosen, 3, 1) == []
    two = actions.choices.save_marks(
        pointed, [{"time": 0, "points": [{"x": 40, "y": 45}, {"x": 60, "y": 45}]}]
    )
    assert actions.frames.render_candidates(two, 0, 1) == []
    assert (
        actions.frames.render_candidates(
            actions.choices.choose_model(actions.choices.save_marks(pointed, [lone(40, 45)]).id, "shy"), 0, 1
        )
        == []
    )
    with pytest.raises(InputError, match="no frame number"):
        actions.frames.render_candidates(found, 12, 1)


def test_edges_change_the_rendered_frames(actions: SessionService, pointed: str) -> None:
    before = actions.choices.save_marks(pointed, [lone(40, 45)])
    narrow = pixels(actions.frames.render_frame(before, 0, "cutout"))
    wider = actions.choices.choose_edges(pointed, Edges(grow=40))  # 5 pixels at this size
    wide = pixels(actions.frames.render_frame(wider, 0, "cutout"))
    assert 3 <= disc(wide, 40, 45) - disc(narrow, 40, 45) <= 7
    over = [pixels(actions.frames.render_frame(found, 0, "over")) for found in (before, wider)]
    assert (over[0] != over[1]).any()
    assert actions.frames.revision(before) != actions.frames.revision(wider)


def test_objects_have_colours_and_can_be_switched_off(actions: SessionService, pointed: str) -> None:
    marks = [lone(40, 45), lone(110, 45, object=2)]
    both = actions.choices.save_marks(
        pointed, marks, [{"number": 1, "name": "Man"}, {"number": 2, "on": True}]
    )
    assert [thing.name for thing in both.job.objects] == ["Man", ""]
    cut = pixels(actions.frames.render_frame(both, 0, "cutout"))
    assert disc(cut, 40, 45) == disc(cut, 110, 45) == 14  # the union
    plain = pixels(actions.frames.render_frame(both, 0, "original"))[45].astype(int)
    tints = pixels(actions.frames.render_frame(both, 0, "mask"))[45].astype(int) - plain
    assert tints[40, 2] > 5 > tints[40, 0] and tints[110, 0] > 5 > tints[110, 2]  # blue and orange
    off = actions.choices.save_marks(pointed, marks, [{"number": 1, "on": False}, {"number": 2}])
    cut = pixels(actions.frames.render_frame(off, 0, "cutout"))
    assert (disc(cut, 40, 45), disc(cut, 110, 45)) == (0, 14)
    actions.run(pointed)
    done = finished(actions, pointed)
    assert actions.frames.has_matte(done) and done.job.matte is not None
    matte = next(iter(MatteFile.open(done.job.matte).read(done.clip)))[1]
    assert (matte[45, 40], matte[45, 110]) == (0, 255)
    with pytest.raises(InputError, match="switched off"):
        actions.choices.save_marks(pointed, marks, [{"number": 1, "on": False}, {"number": 2, "on": False}])
        actions.run(pointed)


def test_a_mark_on_one_object_does_not_recompute_the_others(actions: SessionService, pointed: str) -> None:
    made: list[int] = []
    model = models.load("pointing", "auto")
    original = model.predict

    def counting(stills: Any) -> Any:
        for found in original(stills):
            made.append(1)
            yield found

    model.predict = counting  # type: ignore[method-assign]
    found = actions.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    actions.frames.render_frame(found, 0, "mask")
    assert len(made) == 2
    moved = actions.choices.save_marks(pointed, [lone(40, 45), lone(110, 50, object=2)])
    actions.frames.render_frame(moved, 0, "mask")
    assert len(made) == 3


def test_a_correction_is_shown_as_in_a_run(actions: SessionService, upload: Any) -> None:
    """In haste by a few frames on the way to it; who is patient sees what the result will have."""
    with stand_in.registered():
        id = actions.create(upload(), "a.mp4")
        actions.choices.choose_model(id, "remembering")
        box = {"time": 0.0, "box": [10, 10, 90, 80]}
        found = actions.choices.save_marks(
            id, [box, {"time": 11 / 24, "points": [{"x": 40, "y": 45, "keep": True}]}]
        )
        hasty = actions.frames.render_frame(found, 11, "cutout")
        patient = actions.frames.render_frame(found, 11, "cutout", propagate=True)
        assert not hasty.final and patient.final
        assert actions.frames.render_frame(found, 11, "cutout") == patient  # and from now on to all
        actions.run(id)
        done = finished(actions, id)
        assert actions.frames.has_matte(done)
        assert np.array_equal(pixels(actions.frames.render_frame(done, 11, "cutout")), pixels(patient))
        assert not np.array_equal(pixels(hasty), pixels(patient))
        actions.choices.choose_model(id, "grabcut")


def test_invalid_objects_are_refused(actions: SessionService, pointed: str) -> None:
    for wrong in ([{"number": 0}], [7], {"number": 1}, "all", [{"number": 1}] * 100):
        with pytest.raises(PromptError):
            actions.choices.save_marks(pointed, [], wrong)


def test_unsupported_marks_are_kept_for_other_models(actions: SessionService, pointed: str) -> None:
    actions.choices.save_marks(pointed, [lone(40, 45)])
    blind = actions.choices.choose_model(pointed, "blind")
    assert blind.job.prompts and not blind.effective_job.prompts
    actions.run(pointed)
    assert finished(actions, pointed).row.state is State.DONE
    again = actions.choices.choose_model(pointed, "pointing")
    assert again.effective_job.prompts == again.job.prompts


def test_review_times_belong_to_one_matte(actions: SessionService, pointed: str) -> None:
    actions.choices.save_marks(pointed, [lone(40, 45)])
    actions.choices.choose_model(pointed, "doubting")
    actions.run(pointed)
    done = finished(actions, pointed)
    assert done.review_times == pytest.approx([5 / 24], abs=1e-3)
    assert actions.choices.save_marks(pointed, [lone(41, 45)]).review_times == []
    assert actions.choices.save_marks(pointed, [lone(40, 45)]).review_times == done.review_times


def test_an_outdated_frame_request_is_aborted(actions: SessionService, upload: Any) -> None:
    stale = actions.choices.save_marks(actions.create(upload(), "a.mp4"), MARKS)
    actions.choices.save_marks(stale.id, [])
    with pytest.raises(InputError, match="have changed"):
        actions.frames.render_frame(stale, 0, "mask")


def test_frames_can_be_rendered_concurrently(actions: SessionService, upload: Any) -> None:
    found = actions.choices.save_marks(actions.create(upload(), "a.mp4"), MARKS)
    seen: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: seen.append(pixels(actions.frames.render_frame(found, 0, "cutout"))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6 and all(np.array_equal(seen[0], other) for other in seen)


def test_thumbnails_are_rendered(actions: SessionService, upload: Any) -> None:
    found = actions.open(actions.create(upload(), "a.mp4"))
    assert actions.frames.filmstrip(found).startswith(b"\xff\xd8")
    assert actions.frames.poster(found)[1] == "image/jpeg"
    actions.run(found.id)
    assert actions.frames.poster(finished(actions, found.id))[1] == "image/webp"


# ---------------------------------------------------------------- running


def test_a_run_makes_a_result_and_the_next_one_only_renders(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "figure.mp4")
    actions.choices.save_marks(id, MARKS)
    actions.run(id)
    done = finished(actions, id)
    assert done.row.state is State.DONE and done.row.error is None
    (result,) = done.row.results
    path, mime, offered = actions.result(id, str(result.id))
    assert (mime, offered) == ("video/mp4", "figure-recorte.mp4")
    assert result.bytes == path.stat().st_size and result.frames == 12
    assert len(ffprobe.frame_times(path)) == 12 and ffprobe.stream(path, "audio")
    assert done.job.matte is not None
    matte = done.job.matte.stat().st_mtime_ns

    actions.choices.choose_background(id, "transparent")
    actions.run(id)
    done = finished(actions, id)
    newest, older = done.row.results
    assert (newest.format, newest.background, older.format) == ("webm", "transparent", "mp4")
    assert done.job.matte.stat().st_mtime_ns == matte
    assert (done.folder / older.file).exists() and (done.folder / newest.file).exists()
    assert not [p for p in files(done.folder) if p.name.startswith(".")]
    with pytest.raises(InputError):
        actions.result(id, "nonsense")


def test_a_trimmed_result_has_just_these_frames(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    actions.choices.save_marks(id, MARKS)
    actions.run(id)
    whole = finished(actions, id)
    matte = whole.job.matte
    assert matte is not None
    made = matte.stat().st_mtime_ns
    times = actions.frames.frame_times(whole)
    assert actions.choices.trim(id, times[3], times[9]).outdated
    actions.run(id)
    newest = finished(actions, id).row.results[0]
    path = whole.folder / newest.file
    assert newest.frames == 6 and matte.stat().st_mtime_ns == made
    assert np.allclose([float(t) for t in ffprobe.frame_times(path)], np.arange(6) / 24, atol=1e-3)
    assert ffprobe.sound_duration(path) == pytest.approx(6 / 24, abs=0.03)


def test_a_matte_of_a_part_is_recomputed_for_a_larger_range(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    actions.choices.trim(id, 0.25, None)
    actions.run(id)
    assert actions.frames.has_matte(finished(actions, id))
    more = actions.choices.trim(id, 0, None)
    assert not actions.frames.has_matte(more)
    assert [len(n) for n in actions.frames.make_previews(more)] == [1, 2, 3, 4, 5, 6]
    actions.run(id)
    assert finished(actions, id).row.results[0].frames == 12


def test_quality_changes_the_size(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    for quality in ("small", "best"):
        assert actions.choices.choose_quality(id, quality).outdated == (quality == "best")
        actions.run(id)
        best, *small = finished(actions, id).row.results
    assert best.bytes > 1.3 * small[0].bytes


def test_outdated_results_are_recognised(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    actions.choices.save_marks(id, MARKS)
    assert not actions.open(id).outdated
    actions.run(id)
    assert not finished(actions, id).outdated
    assert actions.choices.choose_background(id, "#102030").outdated
    assert not actions.choices.choose_background(id, "#00b140").outdated
    assert actions.choices.choose_format(id, "webm").outdated
    assert not actions.choices.choose_format(id, "mp4").outdated
    assert actions.choices.save_marks(id, []).outdated
    assert not actions.choices.save_marks(id, MARKS).outdated


def test_notes_of_a_run_are_stored(actions: SessionService, upload: Any, database: Database) -> None:
    id = actions.create(upload(), "a.mp4")
    actions.run(id)
    made = finished(actions, id)
    with database.begin() as tx:
        row = repository.get(tx, id=id)
        row.results[0].notes = ["The card would not <encode>."]
        row.clip = made.clip.to_json() | {"transfer": "pq", "mended": 3}
    found = actions.open(id)
    results = ResultSection(*map(str, range(10)))  # type: ignore[arg-type]
    status = results.show_run(found, actions, "en")[results.progress].value
    assert "Done in" in status and "The card would not &lt;encode&gt;." in status
    videos = VideoSection(*map(str, range(3)))  # type: ignore[arg-type]
    for tongue, words in (("en", "HDR: brought to standard range"), ("es", "HDR: llevado al rango")):
        facts = videos.show(found, actions, tongue)[videos.facts]
        assert words in facts and ": 3, " in facts and facts.count("<p") == 3


def test_a_session_runs_once_at_a_time(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("long.mp4"), "long.mp4")
    actions.run(id)
    actions.run(id)  # is no error, and changes nothing
    waiting = actions.create(upload(), "b.mp4")
    actions.run(waiting)
    assert actions.queue_position(waiting) == 1
    assert actions.find_unfinished() == waiting
    actions.cancel(waiting)
    actions.cancel(id)
    for each in (id, waiting):
        found = finished(actions, each)
        assert found.row.state is State.CANCELLED and found.row.results == []
        assert files(found.folder) == uploaded(found)
    actions.run(waiting)  # and may be made again
    assert finished(actions, waiting).row.state is State.DONE


@pytest.mark.usefixtures("stand_ins")
def test_cancelling_takes_less_than_two_seconds(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("long.mp4"), "long.mp4")
    actions.choices.choose_model(id, "slow")
    actions.run(id)
    until(lambda: actions.open(id).row.progress)
    with stand_in.stopped_within(seconds=2):
        actions.cancel(id)
        until(lambda: actions.queue_position(id) is None)
    found = finished(actions, id)
    assert found.row.state is State.CANCELLED
    assert found.row.progress is not None and found.row.progress["done"] > 0  # how far it came
    assert files(found.folder) == uploaded(found)


def test_a_running_session_can_be_deleted(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload("long.mp4"), "long.mp4")
    actions.run(id)
    until(lambda: actions.progress(id))
    folder = actions.open(id).folder
    actions.delete(id)
    assert actions.queue_position(id) is None
    assert list(folder.parent.iterdir()) == []
    with pytest.raises(NotFound):
        actions.open(id)
    with pytest.raises(NotFound):
        actions.delete(id)


def test_a_removed_video_raises_an_error_sentence(actions: SessionService, upload: Any) -> None:
    id = actions.create(upload(), "a.mp4")
    actions.open(id).job.source.unlink()
    with pytest.raises(VideoError, match=r"^a\.mp4: this video is no longer"):
        actions.run(id)
    assert [found.id for found in actions.list_sessions()] == [id]
    actions.delete(id)
    assert actions.list_sessions() == []


def test_a_failed_run_has_an_error_sentence(actions: SessionService, upload: Any) -> None:
    first = actions.create(upload("long.mp4"), "first.mp4")
    id = actions.create(upload("long.mp4"), "long.mp4")
    actions.run(first)
    actions.run(id)
    actions.open(id).job.source.write_bytes(b"no longer a video" * 9)  # while it waits in the line
    actions.cancel(first)
    found = finished(actions, id)
    assert found.row.state is State.FAILED and "source.mp4" in (found.row.error or "")
    assert files(found.folder) == uploaded(found)


def test_a_run_survives_a_database_outage(tmp_path: Path, upload: Any, working: Any) -> None:
    folder = tmp_path / "database"
    with on_a_server_of_its_own(folder) as database:
        actions = working(tmp_path / "home", database)
        id = actions.create(upload("long.mp4"), "long.mp4")
        actions.run(id)
        until(lambda: actions.open(id).row.progress)
        server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        server.wait(DEADLINE)
        with pytest.raises(DatabaseAway):
            actions.open(id)
        with pytest.raises(DatabaseAway):
            actions.create(upload(), "b.mp4")
        assert len(list((tmp_path / "home" / "sessions").iterdir())) == 1
        until(lambda: actions.queue_position(id) is None)
        with EmbeddedServer(folder):
            found = finished(actions, id)
            assert found.row.state is State.DONE and found.row.error is None
            assert (found.folder / found.row.results[0].file).exists()


def test_files_of_a_killed_server_are_recovered(actions: SessionService, upload: Any, tmp_path: Path) -> None:
    kept, halfway = (actions.create(upload(), name) for name in ("kept.mp4", "halfway.mp4"))
    folder = tmp_path / "home" / "sessions"
    whole = {path.relative_to(folder) for path in folder.rglob("*")}
    (folder / kept / ".result-1-x.part").write_bytes(b"half a result")
    (folder / kept / ".recorte-x").mkdir()
    (folder / kept / ".recorte-x" / "0.mkv").write_bytes(b"half a matte")
    (folder / ".upload.mp4").write_bytes(b"half an upload")
    (folder / halfway).rename(folder / f".deleted-{halfway}")
    (folder / ".deleted-00000000-0000-0000-0000-000000000000").mkdir()
    actions.recover()
    assert {path.relative_to(folder) for path in folder.rglob("*")} == whole
    assert actions.open(halfway).row.name == "halfway.mp4"


# ---------------------------------------------------------------- several objects, several lookers


def test_a_frame_with_an_unknown_object_is_not_final(actions: SessionService, pointed: str) -> None:
    found = actions.choices.save_marks(pointed, [lone(40, 45)])
    for _ in actions.frames.make_previews(found):
        pass
    shown = actions.frames.cached_previews(found)[-1]
    assert actions.frames.render_frame(found, shown, "cutout").final
    both = actions.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    partly = actions.frames.render_frame(both, shown, "cutout")
    assert not partly.final and disc(pixels(partly), 40, 45) == 14 and disc(pixels(partly), 110, 45) == 0
    assert actions.frames.cached_previews(both) == []
    for _ in actions.frames.make_previews(both):
        pass
    whole = actions.frames.render_frame(both, shown, "cutout")
    assert whole.final and disc(pixels(whole), 110, 45) == 14


def test_a_click_does_not_wait_for_previews_of_others(
    actions: SessionService, upload: Any, pointed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for one frame of them."""
    original = stand_in.Pointing.predict
    clicked = threading.Event()

    def slow(self: stand_in.Pointing, stills: Any) -> Any:
        for found in original(self, stills):
            clicked.wait(1)  # each frame, until the click is answered
            yield found

    monkeypatch.setattr(stand_in.Pointing, "predict", slow)
    other = actions.create(upload(), "b.mp4")
    actions.choices.choose_model(other, "pointing")
    far = actions.choices.save_marks(other, [{"time": 11 / 24, "points": [{"x": 40, "y": 45, "keep": True}]}])
    begun = threading.Event()
    order: list[str] = []

    def preview() -> None:
        begun.set()
        for _ in actions.frames.make_previews(far):
            order.append("preview")

    thread = threading.Thread(target=preview)
    thread.start()
    begun.wait()
    actions.frames.render_frame(actions.choices.save_marks(pointed, [lone(40, 45)]), 0, "mask")
    order.append("click")
    clicked.set()
    thread.join()
    assert order[-1] == "preview"


def test_objects_of_a_stored_matte_are_not_recomputed(actions: SessionService, pointed: str) -> None:
    actions.choices.save_marks(pointed, [lone(40, 45), lone(110, 45, object=2)])
    actions.run(pointed)
    done = finished(actions, pointed)
    model = models.load("pointing", "auto")
    model.predict = None  # type: ignore[method-assign,assignment]
    assert [len(n) for n in actions.frames.make_previews(done)] == [1, 2, 3, 4, 5, 6]
