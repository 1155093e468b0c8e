"""How much one may bring and keep."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from db import repository
from db.engine import Database
from db.models import State, User
from pipeline import video
from pipeline.errors import InputError
from tests.ui import line
from ui import allowance as module
from ui.allowance import Allowance, measured

pytestmark = pytest.mark.usefixtures("at_once")


LIMITS = {
    "upload_bytes": (2_000_000, r"^a\.mp4: this file has 3\.0 MB, and 2\.0 MB are the most"),
    "seconds": (60, r"^a\.mp4: this video lasts 1:30, and 1:00 are the most"),
    "pixels": (2_000_000, r"^a\.mp4: frames of 1920 × 1080 are larger .* \(2\.0 million pixels\)"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_more_than_may_be_is_refused_in_a_sentence(small_clip: Path, limit: str) -> None:
    most, sentence = LIMITS[limit]
    large = replace(video.probe(small_clip, "a.mp4"), width=1920, height=1080, duration=90.0)
    Allowance().check(large, 3_000_000)
    enough: dict[str, Any] = {"upload_bytes": 3_000_000, "seconds": 90, "pixels": 1920 * 1080}
    Allowance(**enough).check(large, 3_000_000)
    with pytest.raises(InputError, match=sentence):
        Allowance(**{**enough, limit: most}).check(large, 3_000_000)


def test_what_one_keeps_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/1", "a/b/2", "a/.3"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "a" / "link").symlink_to("/dev/zero")
    size = measured(tmp_path / "a")
    assert 15 < size < 40 and measured(tmp_path / "gone") == 0
    asked: list[int] = []

    def folders() -> list[Path]:
        asked.append(1)
        return [tmp_path / "a"]

    allowance = Allowance(quota_bytes=100)
    assert allowance.used(None, folders) == allowance.used(None, folders) == size
    assert len(asked) == 1  # it was a moment ago
    allowance.check_quota(None, folders, 100 - size)
    with pytest.raises(InputError, match=r"^This may take 1 kB, and 1 kB are left of the 1 kB"):
        allowance.check_quota(None, folders, 101 - size)
    allowance.forget()
    (tmp_path / "a" / "1").unlink()
    assert allowance.used(None, folders) == size - 5
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.0)
    (tmp_path / "a" / ".3").unlink()
    assert allowance.used(None, folders) == size - 10
    Allowance().check_quota(None, lambda: pytest.fail("there is nothing to be compared with"), 10**15)


def test_each_has_a_quota_of_their_own(own: Database, small_clip: Path, tmp_path: Path) -> None:
    with own.begin() as tx:
        tx.add(ana := User(name="Ana", password=""))
    one = small_clip.stat().st_size
    allowance = Allowance(quota_bytes=round(one * 2.7))
    actions = line.actions_on(tmp_path, own, queue := line.Line(None), allowance=allowance)

    def upload(who: Any) -> str:
        return actions.of(who).create(Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")

    ids = [upload(ana.id) for _ in range(2)]
    with pytest.raises(InputError, match="that you may keep here"):
        upload(ana.id)
    assert not (tmp_path / "up.mp4").exists()
    assert len(list((tmp_path / "sessions").iterdir())) == 2
    other = upload(None)  # whose folder is still empty
    mine = actions.of(ana.id)
    with pytest.raises(InputError, match="that you may keep here"):
        mine.choose_footage(ids[0], Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")
    with pytest.raises(InputError, match="that you may keep here"):
        mine.choose_picture(ids[0], Path(shutil.copyfile(small_clip, tmp_path / "up.png")), "up.png")
    assert {path.name for path in tmp_path.iterdir()} <= {"sessions", "clip"}
    # What a run may make counts before it begins.
    mine.choose_model(ids[0], "grabcut")
    with pytest.raises(InputError, match=r"^This may take"):
        mine.choose_format(ids[0], "prores")
        mine.run(ids[0])
    assert mine.open(ids[0]).row.state is State.READY and not queue.jobs
    mine.delete(ids[0])
    assert upload(ana.id) and actions.open(other)


def test_limits_hold_for_uploads(own: Database, small_clip: Path, tmp_path: Path) -> None:
    for limit in (
        {"seconds": 0.2},
        {"pixels": 1000},
        {"upload_bytes": 100},
    ):
        actions = line.actions_on(tmp_path, own, line.Line(None), allowance=Allowance(**limit))  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"^up\.mp4: "):
            actions.create(Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")
        assert not list((tmp_path / "sessions").iterdir()) and not (tmp_path / "up.mp4").exists()


def test_a_run_asked_for_from_many_threads_is_one(own: Database, small_clip: Path, tmp_path: Path) -> None:
    id = line.maker(tmp_path, own, small_clip)()
    # Two servers' worth of actions: it is the row that decides.
    both = [line.actions_on(tmp_path, own, line.Line(None)) for _ in range(2)]
    gate = threading.Barrier(8)

    def press(number: int) -> None:
        gate.wait()
        both[number % 2].run(id)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    submitted = [actions._runner.submitted for actions in both]  # type: ignore[attr-defined]
    assert sorted(submitted) == [[], [id]]
    with own.begin() as tx:
        assert repository.get(tx, id=id).state is State.QUEUED
    assert both[0].open(id).clip.time_base > Fraction(0)
