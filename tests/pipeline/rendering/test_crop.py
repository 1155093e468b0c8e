"""Crops: the window's size and path, and results that follow their subject."""

import hashlib
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import formats
from pipeline.compositing.aspect import ASPECTS, window_size
from pipeline.compositing.background import Colour, Footage, Picture, Transparent
from pipeline.errors import FormatError, InputError
from pipeline.job import Job, Progress
from pipeline.jobs import preflight
from pipeline.keys import matte_key, result_key
from pipeline.matte import MatteFile
from pipeline.process import process, render
from pipeline.propagation import resume
from pipeline.rendering.crop import MAX_SPEED, Extent, WindowTracker, measure, pan
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.rendered import write_clip

# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("aspect", ASPECTS)
@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
@settings(deadline=None)
def test_the_window_is_the_largest_of_its_ratio(aspect: str, width: int, height: int) -> None:
    across, down = ASPECTS[aspect]
    wide, high = window_size(aspect, width, height)
    assert 1 <= wide <= width and 1 <= high <= height
    assert (wide % 2 == 0 or wide == width == 1) and (high % 2 == 0 or high == height == 1)
    if min(width, height) >= 40:
        assert wide == width - width % 2 or high == height - height % 2
        # Two more pixels along either side would break the ratio or leave the frame.
        exact = min(Fraction(width), Fraction(height * across, down))
        assert exact - 2 < wide <= exact
        assert exact * down / across - 2 < high <= exact * down / across


def test_known_sizes() -> None:
    assert window_size("9:16", 1280, 720) == (404, 720)
    assert window_size("1:1", 1280, 720) == (720, 720)
    assert window_size("4:5", 1920, 1080) == (864, 1080)
    assert window_size("16:9", 1920, 1080) == (1920, 1080)
    assert window_size("16:9", 720, 1280) == (720, 404)


# ---------------------------------------------------------------- measuring


def test_a_matte_is_measured_along_either_axis() -> None:
    matte = np.zeros((60, 100), np.uint8)
    matte[10:50, 20:30] = 255
    across, down = measure(matte, 1), measure(matte, 0)
    assert across is not None and down is not None
    assert across == Extent(25.0, 20, 30)
    assert down.centre == 30.0 and 10 <= down.first <= 11 and 49 <= down.past <= 50
    matte[10:50, 30:40] = 85  # a third of the weight
    heavier = measure(matte, 1)
    assert heavier is not None and heavier.centre == pytest.approx((25 * 255 + 35 * 85) / 340)


def test_haze_and_specks_are_no_subject() -> None:
    assert measure(np.full((60, 100), 20, np.uint8), 1) is None
    speck = np.zeros((600, 1000), np.uint8)
    speck[:5, :5] = 255
    assert measure(speck, 1) is None


# ---------------------------------------------------------------- the path

SIDE, WINDOW = 1280, 404
ROOM = SIDE - WINDOW


def extent(centre: float, half: int = 60) -> Extent:
    return Extent(centre, max(0, round(centre) - half), min(SIDE, round(centre) + half))


def seconds(count: int, rate: float = 25) -> list[float]:
    return [n / rate for n in range(count)]


centres = st.lists(st.none() | st.floats(0, SIDE), min_size=1, max_size=80)


@given(centres, st.integers(1, 300), st.data())
@settings(deadline=None)
def test_any_path_stays_in_the_frame(places: list[float | None], half: int, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.floats(0.001, 2), min_size=len(places), max_size=len(places)))
    upright = data.draw(st.booleans())
    extents = [None if place is None else extent(place, half) for place in places]
    offsets = pan(np.cumsum(gaps).tolist(), extents, SIDE, WINDOW, upright)
    assert len(offsets) == len(places)
    assert all(0 <= offset <= ROOM for offset in offsets)


@given(
    st.lists(st.floats(-40, 40), min_size=2, max_size=80),
    st.floats(200, 1000),
    st.lists(st.floats(0.01, 0.2), min_size=80, max_size=80),
)
@settings(deadline=None)
def test_a_path_without_jumps_keeps_the_speed_limit(
    steps: list[float], start: float, gaps: list[float]
) -> None:
    places = [min(max(place, 0), SIDE) for place in start + np.cumsum(steps)]
    times = np.cumsum(gaps[: len(places)]).tolist()
    offsets = pan(times, [extent(place) for place in places], SIDE, WINDOW)
    for (a, b), (before, after) in zip(pairwise(offsets), pairwise(times), strict=True):
        assert abs(b - a) <= MAX_SPEED * WINDOW * (after - before) + 1  # whole pixels


@given(st.floats(0, SIDE), st.lists(st.floats(-19, 19), min_size=1, max_size=80), st.data())
@settings(deadline=None)
def test_the_window_is_still_for_a_subject_that_moves_in_place(
    centre: float, shifts: list[float], data: st.DataObject
) -> None:
    missing = data.draw(st.sets(st.integers(0, len(shifts) - 1)))
    extents = [None if n in missing else extent(centre + shift) for n, shift in enumerate(shifts)]
    assert len(set(pan(seconds(len(shifts)), extents, SIDE, WINDOW))) == 1


@given(st.floats(100, 500), st.floats(750, 1180), st.integers(5, 40), st.integers(5, 40), st.booleans())
@settings(deadline=None)
def test_the_window_jumps_where_the_subject_does(
    before: float, after: float, first: int, rest: int, back: bool
) -> None:
    if back:
        before, after = after, before
    extents = [extent(before)] * first + [extent(after)] * rest
    offsets = pan(seconds(first + rest), extents, SIDE, WINDOW)
    assert len(set(offsets[:first])) == len(set(offsets[first:])) == 1
    for offset, place in ((offsets[0], before), (offsets[-1], after)):
        assert offset <= place <= offset + WINDOW


def test_a_frame_with_a_wrong_matte_does_not_move_the_window() -> None:
    extents = [extent(300)] * 50
    extents[20] = extents[21] = extent(1000)
    assert len(set(pan(seconds(50), extents, SIDE, WINDOW))) == 1


def test_an_empty_matte_holds_the_window_where_it_was() -> None:
    extents = [None] * 5 + [extent(300)] * 10 + [None] * 20
    assert set(pan(seconds(35), extents, SIDE, WINDOW)) == {300 - WINDOW // 2}
    assert set(pan(seconds(3), [None] * 3, SIDE, WINDOW)) == {ROOM // 2}


@given(st.floats(20, 350), st.sampled_from([12.0, 25.0, 60.0]))
@settings(deadline=None)
def test_a_walking_subject_stays_in_the_middle_third(speed: float, rate: float) -> None:
    """It stands for a second, walks, and stands again."""
    last = min(1.0 + 800 / speed, 12.0)
    times = seconds(round((last + 1) * rate), rate)
    places = [240 + speed * (min(max(t, 1.0), last) - 1.0) for t in times]
    offsets = pan(times, [extent(place) for place in places], SIDE, WINDOW)
    for offset, place in zip(offsets, places, strict=True):
        if 0 < offset < ROOM:
            assert WINDOW / 3 <= place - offset <= WINDOW * 2 / 3
    # It eases in: no pace changes by more than a tenth of the subject's from one frame to the next, but for
    # the rounding to pixels.
    paces = np.diff(offsets)
    assert np.abs(np.diff(paces)).max() <= speed / rate * 0.25 + 2
    assert all(pace >= -1 for pace in paces)


def test_a_subject_that_is_taller_than_the_window_shows_its_head() -> None:
    tall = Extent(640.0, 100, 1200)
    assert pan([0.0], [tall], SIDE, 600, upright=True)[0] <= 100
    assert pan([0.0], [tall], SIDE, 600)[0] == 340


def test_a_wide_subject_is_held_inside_where_it_fits() -> None:
    lopsided = Extent(400.0, 380, 760)  # its weight is at one end
    (offset,) = pan([0.0], [lopsided], SIDE, WINDOW)
    assert offset <= 380 and offset + WINDOW >= 760


@pytest.mark.parametrize(("frame", "size"), [((101, 60), (60, 60)), ((60, 101), (60, 60))])
def test_windows_move_along_the_longer_axis(frame: tuple[int, int], size: tuple[int, int]) -> None:
    tracker = WindowTracker(frame, size)
    matte = np.zeros(frame[::-1], np.uint8)
    matte[-20:, -20:] = 255
    tracker.add(3, matte)
    windows = tracker.follow(0.1)
    assert windows.corner(3) == windows.corner(0) == windows.corner(99)
    assert windows.corner(3) == ((41, 0) if frame[0] == 101 else (0, 41))


def test_windows_of_no_frames_are_in_the_middle() -> None:
    assert WindowTracker((100, 60), (60, 60)).follow(0.1).corner(5) == (20, 0)


# ---------------------------------------------------------------- jobs


def test_jobs_without_a_crop_are_written_as_before(clip_path: Path, tmp_path: Path) -> None:
    job = Job(clip_path, tmp_path / "out.mp4", model="threshold")
    assert "crop" not in job.to_json(tmp_path)
    cropped = replace(job, crop="9:16")
    assert cropped.to_json(tmp_path)["crop"] == "9:16"
    for each in (job, cropped):
        assert Job.from_json(each.to_json(tmp_path), tmp_path) == each
    assert matte_key(job) == matte_key(cropped)
    assert result_key(job, tmp_path) != result_key(cropped, tmp_path)
    for wrong in (5, "2:1"):
        with pytest.raises(InputError):
            Job.from_json(cropped.to_json(tmp_path) | {"crop": wrong}, tmp_path)


def test_an_unknown_ratio_is_refused(clip_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no aspect ratio\. There are 9:16, 1:1, 4:5, 16:9"):
        list(process(Job(clip_path, tmp_path / "o.mp4", model="threshold", crop="2:1")))
    assert not list(tmp_path.iterdir())


def test_a_format_takes_the_cropped_size(clip_path: Path, tmp_path: Path) -> None:
    clip = replace(probe_clip(clip_path), width=17000, height=9000)
    job = Job(clip_path, tmp_path / "o.mp4", model="threshold")
    with pytest.raises(FormatError, match="17000 × 9000"):
        job.check(clip)
    replace(job, crop="1:1").check(clip)
    with pytest.raises(FormatError, match="17000 × 17000"):
        replace(job, crop="1:1").check(replace(clip, height=18000))


def test_disk_space_is_that_of_the_cropped_result_and_all_spools(clip_path: Path, tmp_path: Path) -> None:
    clip = probe_clip(clip_path)
    kept = Job(clip_path, tmp_path / "o.mov", model="threshold", format="prores", matte=tmp_path / "m.mkv")
    whole, cropped = (preflight.disk_bytes(job, clip, 100) for job in (kept, replace(kept, crop="9:16")))
    saved = 100 * (320 * 180 - 100 * 180) * formats.by_key("prores").bytes_per_pixel
    assert whole - cropped == pytest.approx(saved, abs=2)
    loose = replace(kept, matte=None, format="mp4")
    small = replace(loose, crop="9:16")
    assert preflight.disk_bytes(small, clip, 100) > preflight.disk_bytes(loose, clip, 100)


# ---------------------------------------------------------------- results

WIDTH, HEIGHT, COUNT, RATE = 320, 180, 48, 24
SUBJECT = (230, 60, 20)
"""Red, as the model "threshold" wants it."""

pytestmark = pytest.mark.usefixtures("stand_ins")


def walking(position: Callable[[int], float], count: int = COUNT) -> list[np.ndarray]:
    """Frames of a red figure, 40 pixels wide, on blue; `position` is its centre."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for n in range(count):
        frame = np.full((HEIGHT, WIDTH, 3), (20, 60, 150), np.uint8)
        frame[np.hypot((x + 0.5 - position(n)) / 20, (y - 100) / 60) < 1] = SUBJECT
        frames.append(frame)
    return frames


def place(n: int) -> float:
    """Walk from left to right."""
    return 40 + 240 * n / (COUNT - 1)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "walk.mp4", walking(place), rate=RATE, sound=True)


@pytest.fixture
def job(walk: Path, tmp_path: Path) -> Job:
    return Job(walk, tmp_path / "out.mp4", model="threshold", crop="9:16")


def run(job: Job) -> list[Progress]:
    with closing(process(job)) as steps:
        return list(steps)


def centre_of_subject(frame: np.ndarray) -> float:
    """Return the mean column of the red pixels of a frame, `[H, W, 3]`."""
    red = (frame[..., 0] > 180) & (frame[..., 1] < 110)
    assert red.sum() > 1000
    return float(np.nonzero(red)[1].mean()) + 0.5


@pytest.mark.parametrize("kept", [False, True])
def test_the_result_follows_its_subject_over_a_still_background(
    job: Job, walk: Path, tmp_path: Path, kept: bool
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (9, 16, 3), np.uint8)
    picture[..., 0] //= 3  # no red in it
    scenery = np.asarray(Image.fromarray(picture).resize((160, 90), Image.Resampling.BICUBIC))
    Image.fromarray(scenery).save(tmp_path / "behind.png")
    job = replace(
        job, background=Picture(tmp_path / "behind.png"), matte=tmp_path / "m.mkv" if kept else None
    )
    steps = run(job)
    frames = ffprobe.frames(job.output)
    assert frames.shape == (COUNT, HEIGHT, 100, 3)
    assert ffprobe.frame_times(job.output) == ffprobe.frame_times(walk)
    assert ffprobe.stream(job.output, "audio")["codec_name"] == "aac"
    for n, frame in enumerate(frames):
        assert place(n) < 60 or place(n) > 260 or 33 <= centre_of_subject(frame) <= 67
    first, middle, last = frames[0], frames[COUNT // 2], frames[-1]
    assert 30 < centre_of_subject(first) < 70 and 30 < centre_of_subject(last) < 70
    # The background is fitted to the crop, and stays where it is.
    for other in (middle, last):
        assert np.abs(first[:25].astype(int) - other[:25]).mean() < 6
    assert first[:25].std() > 20
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "out.mp4",
        "behind.png",
        *(["m.mkv"] if kept else []),
    }
    check_progress(steps)
    assert (steps[-1].done, steps[-1].total, steps[-1].frames) == (2 * COUNT, 2 * COUNT, COUNT)
    assert steps[-1].left == 0
    if kept:
        assert ffprobe.frames(tmp_path / "m.mkv", "gray").shape == (COUNT, HEIGHT, WIDTH)


def check_progress(steps: list[Progress]) -> None:
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert [step.frames for step in steps] == sorted(step.frames for step in steps)
    assert [step.stage for step in steps] == sorted(step.stage for step in steps)  # matte, then render
    assert len({step.total for step in steps}) == 1


def lossless(job: Job) -> Job:
    return replace(job, output=job.output.with_suffix(".zip"), format="png", sound="none")


def test_a_kept_matte_gives_the_same_crop_as_its_run(job: Job, tmp_path: Path) -> None:
    job = replace(lossless(job), matte=tmp_path / "m.mkv", start=0.5)
    run(job)
    first = job.output.read_bytes()
    steps = run(job)
    assert {step.stage for step in steps} == {"render"}
    check_progress(steps)
    assert job.output.read_bytes() == first
    assert job.matte is not None
    alone = replace(job, output=tmp_path / "alone.zip", matte=None)
    list(render(alone, MatteFile.open(job.matte)))
    assert alone.output.read_bytes() == first
    run(replace(alone, output=tmp_path / "once.zip"))
    assert (tmp_path / "once.zip").read_bytes() == first


def test_a_crop_of_the_whole_frame_takes_one_pass(job: Job, tmp_path: Path) -> None:
    job = lossless(job)
    steps = run(replace(job, crop="16:9"))
    assert {step.stage for step in steps} == {"matte"} and steps[-1].total == COUNT
    whole = job.output.read_bytes()
    run(replace(job, crop=None))
    assert job.output.read_bytes() == whole


@pytest.mark.parametrize("stopped_in", ["matte", "render"])
def test_a_stopped_run_continues_to_the_same_files(job: Job, tmp_path: Path, stopped_in: str) -> None:
    job = replace(lossless(job), model="remembering", matte=tmp_path / "m.mkv")
    assert job.matte is not None

    def digests() -> list[str]:
        # Not of the matte's file: Matroska has a number of its own for each.
        contents = job.output.read_bytes(), ffprobe.frames(tmp_path / "m.mkv", "gray").tobytes()
        return [hashlib.sha256(content).hexdigest() for content in contents]

    run(job)
    whole = digests()
    for path in (job.output, job.matte):
        path.unlink()
    with closing(process(job)) as steps:
        for step in steps:
            if step.stage == stopped_in and step.done % COUNT >= COUNT // 2:
                break
    assert resume.can_resume(job, probe_clip(job.source))
    assert not job.output.exists() and not job.matte.exists()
    again = run(job)
    check_progress(again)
    assert digests() == whole
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.mkv", "out.zip"]


def test_a_window_jumps_with_a_scene_cut(job: Job, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "cut.mp4", walking(lambda n: 70 if n < COUNT // 2 else 250), rate=RATE)
    job = lossless(replace(job, source=clip, background=Colour(0, 0, 0)))
    run(job)
    job = replace(job, output=tmp_path / "o.mkv", format="matte-lossless")
    run(job)
    mattes = ffprobe.frames(job.output, "gray")
    assert mattes.shape == (COUNT, HEIGHT, 100)
    columns = [float(np.nonzero(matte > 127)[1].mean()) for matte in mattes]
    assert max(columns) - min(columns) < 3


@pytest.mark.parametrize("key", ["pair", "stacked", "webm", "gif", "hevc"])
def test_other_formats_have_the_cropped_size(job: Job, tmp_path: Path, key: str) -> None:
    form = formats.by_key(key)
    job = replace(job, output=tmp_path / f"o{form.suffix}", format=key, end=0.4)
    job = replace(job, background=Transparent() if not form.needs_background else Colour(0, 0, 0))
    run(job)
    if key == "pair":
        with zipfile.ZipFile(job.output) as archive:
            names = [name for name in archive.namelist() if name.endswith(".mp4")]
            assert len(names) == 2
            archive.extractall(tmp_path / "pair")
        sizes = {ffprobe.frames(tmp_path / "pair" / name).shape[1:3] for name in names}
    else:
        sizes = {ffprobe.frames(job.output).shape[1:3]}
    assert sizes == {(2 * HEIGHT if key == "stacked" else HEIGHT, 100)}


def test_a_constant_rate_and_a_video_behind(job: Job, tmp_path: Path) -> None:
    behind = write_clip(
        tmp_path / "behind.mp4", [np.full((90, 160, 3), (0, 200, n), np.uint8) for n in (0, 250)], rate=2
    )
    job = replace(job, rate=Fraction(12), background=Footage(behind))
    run(job)
    frames = ffprobe.frames(job.output)
    assert frames.shape == (COUNT // 2, HEIGHT, 100, 3)
    blue = frames[:, 5, 5, 2]
    assert (blue[:5] < 60).all() and (blue[7:11] > 200).all()
    for n, frame in enumerate(frames):
        assert place(2 * n) < 60 or place(2 * n) > 260 or 33 <= centre_of_subject(frame) <= 67
