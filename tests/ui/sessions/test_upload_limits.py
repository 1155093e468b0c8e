"""Limits on what a user may bring and keep."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from db import repository
from db.engine import Database
from db.models import State, User
from pipeline.errors import InputError
from pipeline.video.reading.probe import probe_clip
from tests.ui import line
from ui.sessions.limits import quota as module
from ui.sessions.limits.quota import Quota, QuotaExceeded, measure_bytes
from ui.sessions.limits.upload_limits import UploadLimits

pytestmark = pytest.mark.usefixtures("at_once")


LIMITS = {
    "upload_bytes": (2_000_000, r"^a\.mp4: this file has 3\.0 MB, and 2\.0 MB are the most"),
    "seconds": (60, r"^a\.mp4: this video lasts 1:30 min, and 1:00 min are the most"),
    "pixels": (2_000_000, r"^a\.mp4: frames of 1920 × 1080 are larger .* \(2\.0 million pixels\)"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_values_beyond_the_limits_are_refused(small_clip: Path, limit: str) -> None:
    most, sentence = LIMITS[limit]
    large = replace(probe_clip(small_clip, "a.mp4"), width=1920, height=1080, duration=90.0)
    UploadLimits().check(large, 3_000_000)
    enough: dict[str, Any] = {"upload_bytes": 3_000_000, "seconds": 90, "pixels": 1920 * 1080}
    UploadLimits(**enough).check(large, 3_000_000)
    with pytest.raises(InputError, match=sentence):
        UploadLimits(**{**enough, limit: most}).check(large, 3_000_000)


def test_used_bytes_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/1", "a/b/2", "a/.3"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "a" / "link").symlink_to("/dev/zero")
    size = measure_bytes(tmp_path / "a")
    assert 15 < size < 40 and measure_bytes(tmp_path / "gone") == 0
    assert measure_bytes(tmp_path / "a", {str(tmp_path / "a" / "b"), str(tmp_path / "a" / ".3")}) == size - 10
    assert measure_bytes(tmp_path / "a" / "1") == 5
    asked: list[int] = []

    def folders(owner: Any) -> list[Path]:
        asked.append(1)
        return [tmp_path / "a"]

    quota = Quota(100, folders)
    assert quota.used_bytes(None) == quota.used_bytes(None) == size
    assert len(asked) == 1  # it was a moment ago
    new = tmp_path / "new"
    with quota.reserve(None, new, 100 - size):
        pass
    with (
        pytest.raises(InputError, match=r"^This may take 1 kB, and 1 kB are left of the 1 kB"),
        quota.reserve(None, new, 101 - size),
    ):
        pass
    quota.forget()
    (tmp_path / "a" / "1").unlink()
    assert quota.used_bytes(None) == size - 5
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.0)
    (tmp_path / "a" / ".3").unlink()
    assert quota.used_bytes(None) == size - 10
    with Quota(0, lambda owner: pytest.fail("nothing is compared")).reserve(None, new, 10**15) as held:
        held.grow(10**16)


def test_reservations_count_until_they_are_released(tmp_path: Path) -> None:
    (folder := tmp_path / "a").mkdir()
    quota = Quota(100_000, lambda owner: [folder] if owner is None else [])

    def fits(bytes: int, path: Path = tmp_path / "x", owner: Any = None) -> bool:
        try:
            with quota.reserve(owner, path, bytes):
                return True
        except QuotaExceeded:
            return False

    with quota.reserve(None, folder / "new", 60_000) as held:
        assert fits(40_000) and not fits(40_001)
        # As it is written it is the same bytes, and not others.
        (folder / "new").write_bytes(bytes(50_000))
        assert fits(40_000) and not fits(40_001)
        # More than was reserved is more.
        (folder / "new").write_bytes(bytes(70_000))
        assert fits(30_000) and not fits(30_001)
        with pytest.raises(QuotaExceeded):
            held.grow(100_001)
        held.grow(100_000)
        assert not fits(1) and fits(100_000, owner=uuid4())  # another's is another's
    assert fits(30_000) and not fits(30_001)
    # What a run will need is held beyond the block, until it is over, and a part of its folder by itself.
    over = False
    with quota.reserve(None, folder, 20_000) as run:
        run.keep(until=lambda: over)
    assert fits(10_000) and not fits(10_001)
    assert fits(10_000, folder / "part")
    over = True
    assert fits(30_000)


def test_concurrent_reservations_stay_within_the_quota(tmp_path: Path) -> None:
    quota = Quota(100_000, lambda owner: [tmp_path])
    start, refused = threading.Barrier(8), []

    def take(number: int) -> None:
        start.wait()
        try:
            with quota.reserve(None, file := tmp_path / str(number), 30_000):
                time.sleep(0.1)
                file.write_bytes(bytes(30_000))
        except QuotaExceeded as error:
            refused.append(error.left)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measure_bytes(tmp_path) == 90_000 and refused == [10_000] * 5


def test_quotas_are_per_user(own: Database, small_clip: Path, tmp_path: Path) -> None:
    with own.begin() as tx:
        tx.add(ana := User(name="Ana", password=""))
    one = small_clip.stat().st_size
    limits = UploadLimits(quota_bytes=round(one * 2.7))
    service = line.make_service(tmp_path, own, queue := line.ManualRunner(None), limits=limits)

    def upload(who: Any) -> str:
        return service.for_owner(who).create(Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")

    ids = [upload(ana.id) for _ in range(2)]
    with pytest.raises(InputError, match="that you may keep here"):
        upload(ana.id)
    assert not (tmp_path / "up.mp4").exists()
    assert len(list((tmp_path / "sessions").iterdir())) == 2
    other = upload(None)  # whose folder is still empty
    mine = service.for_owner(ana.id)
    with pytest.raises(InputError, match="that you may keep here"):
        mine.choices.choose_video(ids[0], Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")
    with pytest.raises(InputError, match="that you may keep here"):
        mine.choices.choose_picture(ids[0], Path(shutil.copyfile(small_clip, tmp_path / "up.png")), "up.png")
    assert {path.name for path in tmp_path.iterdir()} <= {"sessions", "clip"}
    # What a run may make counts before it begins.
    mine.choices.choose_model(ids[0], "grabcut")
    with pytest.raises(InputError, match=r"^This may take"):
        mine.choices.choose_format(ids[0], "prores")
        mine.run(ids[0])
    assert mine.open(ids[0]).row.state is State.READY and not queue.jobs
    mine.delete(ids[0])
    assert upload(ana.id) and service.open(other)


def test_sessions_created_concurrently_stay_within_the_quota(
    own: Database, small_clip: Path, tmp_path: Path
) -> None:
    one = small_clip.stat().st_size
    service = line.make_service(
        tmp_path, own, line.ManualRunner(None), limits=UploadLimits(quota_bytes=round(one * 2.7))
    )
    start, refused = threading.Barrier(4), []

    def upload(number: int) -> None:
        file = Path(shutil.copyfile(small_clip, tmp_path / f"{number}.mp4"))
        start.wait()
        try:
            service.create(file, file.name)
        except QuotaExceeded as error:
            refused.append(error)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 2 and len(service.list_sessions()) == 2
    assert service.used_bytes() <= one * 2.7


def test_queued_runs_reserve_their_estimated_size(own: Database, small_clip: Path, tmp_path: Path) -> None:
    make = line.session_maker(tmp_path, own, small_clip)
    ids = [make() for _ in range(4)]
    service = line.make_service(tmp_path, own, queue := line.ManualRunner(None))
    session = service.open(ids[0])
    need = service._queue.bytes_needed(session, service._queue.plan(session)[0])

    def within(runs: float) -> Any:
        limits = UploadLimits(quota_bytes=round(service.used_bytes() + need * runs))
        return line.make_service(tmp_path, own, queue, limits=limits)

    limited = within(2.5)
    for id in ids[:2]:
        limited.run(id)
    limited.run(ids[0])  # once more is no other run
    with pytest.raises(QuotaExceeded, match=r"^This may take"):
        limited.run(ids[2])
    assert limited.open(ids[2]).row.state is State.READY and len(queue.jobs) == 2
    with pytest.raises(QuotaExceeded):  # nor may anything else have that room
        limited.create(Path(shutil.copyfile(small_clip, tmp_path / "a.mp4")), "a.mp4")
    # After a start what was queued counts as before.
    queue.jobs.clear()
    again = within(2.5)
    again.requeue()
    assert len(queue.jobs) == 2
    with pytest.raises(QuotaExceeded):
        again.run(ids[2])
    # One that is over makes room.
    queue.jobs.pop(ids[0])
    again.run(ids[2])
    with pytest.raises(QuotaExceeded):
        again.run(ids[3])


def test_a_picture_counts_with_its_stored_size(own: Database, small_clip: Path, tmp_path: Path) -> None:
    """A small JPEG may be a large PNG."""
    id = line.session_maker(tmp_path, own, small_clip)()
    used = line.make_service(tmp_path, own, line.ManualRunner(None)).used_bytes()
    service = line.make_service(
        tmp_path, own, line.ManualRunner(None), limits=UploadLimits(quota_bytes=used + 150_000)
    )
    file = tmp_path / "a.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(file, quality=25)
    assert file.stat().st_size < 100_000
    with pytest.raises(QuotaExceeded):
        service.choices.choose_picture(id, file, "a.jpg")
    assert not list(service.open(id).folder.glob("*background*"))
    Image.new("RGB", (400, 400)).save(file)
    assert service.choices.choose_picture(id, file, "a.jpg")


def test_limits_apply_to_uploads(own: Database, small_clip: Path, tmp_path: Path) -> None:
    for limit in (
        {"seconds": 0.2},
        {"pixels": 1000},
        {"upload_bytes": 100},
    ):
        service = line.make_service(tmp_path, own, line.ManualRunner(None), limits=UploadLimits(**limit))  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"^up\.mp4: "):
            service.create(Path(shutil.copyfile(small_clip, tmp_path / "up.mp4")), "up.mp4")
        assert not list((tmp_path / "sessions").iterdir()) and not (tmp_path / "up.mp4").exists()


def test_concurrent_requests_start_one_run(own: Database, small_clip: Path, tmp_path: Path) -> None:
    id = line.session_maker(tmp_path, own, small_clip)()
    # Two servers' worth of service: it is the row that decides.
    both = [line.make_service(tmp_path, own, line.ManualRunner(None)) for _ in range(2)]
    gate = threading.Barrier(8)

    def press(number: int) -> None:
        gate.wait()
        both[number % 2].run(id)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    submitted = [service._queue._runner.submitted for service in both]  # type: ignore[attr-defined]
    assert sorted(submitted) == [[], [id]]
    with own.begin() as tx:
        assert repository.get(tx, id=id).state is State.QUEUED
    assert both[0].open(id).clip.time_base > Fraction(0)
