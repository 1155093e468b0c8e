"""Mattes of another tool in place of a model."""

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from pipeline import preview
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models.matte_in import KEY, BorrowedMatte
from pipeline.process import process
from pipeline.prompts import Prompt, Stroke
from tests import ffprobe
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

SIZE = 64, 48


def ramp(count: int = 24) -> list[np.ndarray]:
    """Mattes `[H, W]` of one value each, 10 apart, with a white mark at the left."""
    mattes = [np.full((SIZE[1], SIZE[0]), 10 * (n % 25), np.uint8) for n in range(count)]
    for matte in mattes:
        matte[:, :8] = 255
    return mattes


def colours(mattes: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.dstack([matte] * 3) for matte in mattes]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [cv2.resize(frame, SIZE) for frame in numbered(24)]
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames, rate=24)


def job(clip: Path, tmp_path: Path, path: Path, *, invert: bool = False, unpremultiply: bool = False) -> Job:
    return Job(
        clip,
        tmp_path / "out.mp4",
        model=KEY,
        matte_in=BorrowedMatte(path, invert, unpremultiply),
        matte=tmp_path / "kept.mkv",
    )


def mattes_of(run: Job) -> np.ndarray:
    for _ in process(run):
        pass
    assert run.matte is not None
    return ffprobe.frames(run.matte, "gray")


def values(mattes: np.ndarray) -> list[int]:
    return [int(matte[24, 40]) for matte in mattes]


def refusal(run: Job) -> str:
    with pytest.raises(InputError) as caught:
        list(process(run))
    assert not run.output.exists()
    return caught.value.message.key


def write_exr(path: Path, planes: np.ndarray) -> Path:
    """`planes` is `[H, W]`, `[H, W, 3]` or `[H, W, 4]`, float32."""
    encoder = VideoCodecContext.create("exr", "w")
    encoder.height, encoder.width = planes.shape[:2]
    encoder.time_base = Fraction(1, 24)
    encoder.pix_fmt = {2: "grayf32le", 3: "gbrpf32le", 4: "gbrapf32le"}[
        2 if planes.ndim == 2 else planes.shape[2]
    ]
    frame = av.VideoFrame.from_ndarray(planes, format=encoder.pix_fmt)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


# ---------------------------------------------------------------- sources


def test_a_video_of_the_same_frames_is_taken_one_for_one_at_whatever_rate(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mkv", colours(ramp()), rate=30, codec="ffv1", pix_fmt="gray")
    mattes = mattes_of(job(clip, tmp_path, video))
    assert np.array_equal(mattes, np.stack(ramp()))


def test_a_video_in_limited_range_comes_out_in_full_range(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mp4", colours(ramp()), rate=24)
    mattes = mattes_of(job(clip, tmp_path, video))
    assert np.abs(mattes.astype(int)[:, :, 16:] - np.stack(ramp()).astype(int)[:, :, 16:]).max() <= 4
    assert mattes[:, :, :4].min() >= 250


def test_a_video_of_another_rate_is_taken_by_its_times(clip: Path, tmp_path: Path) -> None:
    half = write_clip(tmp_path / "half.mkv", colours(ramp(12)), rate=12, codec="ffv1", pix_fmt="gray")
    assert values(mattes_of(job(clip, tmp_path, half))) == [10 * (n // 2) for n in range(24)]
    faster = tmp_path / "faster"
    faster.mkdir()
    double = write_clip(faster / "double.mp4", colours(ramp(48)), rate=48)
    shown = values(mattes_of(job(clip, faster, double)))
    assert np.abs(np.array(shown) - [10 * (2 * n % 25) for n in range(24)]).max() <= 4


def test_times_that_a_clock_has_rounded_are_the_same_times(clip: Path, tmp_path: Path) -> None:
    """Matroska counts milliseconds, so that frames of 24 a second begin up to half of one early or late."""
    longer = write_clip(tmp_path / "m.mkv", colours(ramp(25)), rate=24, codec="ffv1", pix_fmt="gray")
    assert values(mattes_of(job(clip, tmp_path, longer))) == [10 * n for n in range(24)]


def test_a_matte_that_recorte_kept_is_taken_frame_by_frame(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mkv", colours(ramp()), rate=24, codec="ffv1", pix_fmt="gray")
    first = replace(job(clip, tmp_path, video), start=0.5)
    kept = mattes_of(first)
    assert values(kept) == [10 * n for n in range(12, 24)] and first.matte is not None
    again = tmp_path / "again"
    again.mkdir()
    borrowed = job(clip, again, first.matte)
    assert refusal(borrowed) == "writing.matte_lacks_part"
    assert values(mattes_of(replace(borrowed, start=0.5))) == [10 * n for n in range(12, 24)]


def test_the_alpha_of_a_video_is_its_matte(clip: Path, tmp_path: Path) -> None:
    cut = [np.dstack([np.full((48, 64, 3), 200, np.uint8), matte]) for matte in ramp()]
    video = write_clip(tmp_path / "m.mov", cut, rate=24, codec="png", pix_fmt="rgba")
    assert np.array_equal(mattes_of(job(clip, tmp_path, video)), np.stack(ramp()))


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_are_taken_in_the_order_of_their_numbers(clip: Path, tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "sequence"
    folder.mkdir()
    for n, matte in enumerate(ramp()):
        cv2.imwrite(str(folder / f"matte_{n + 8}.png"), matte.astype(np.uint16) * 257)
    (folder / "notes.txt").write_text("not a picture")
    source = folder
    if packed:
        source = tmp_path / "sequence.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, f"shot/{path.name}")
            archive.writestr("__MACOSX/shot/._matte_8.png", b"")
    mattes = mattes_of(job(clip, tmp_path, source))
    assert np.array_equal(mattes, np.stack(ramp()))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_exr_pictures_are_read_as_they_are_stored(clip: Path, tmp_path: Path, channels: int) -> None:
    folder = tmp_path / "sequence"
    folder.mkdir()
    for n, matte in enumerate(ramp()):
        plane = matte.astype(np.float32) / 255
        planes = {
            1: plane,
            3: np.dstack([plane] * 3),
            4: np.dstack([np.full((48, 64, 3), 0.5, np.float32), plane]),
        }[channels]
        write_exr(folder / f"{n:04}.exr", planes)
    assert np.array_equal(mattes_of(job(clip, tmp_path, folder)), np.stack(ramp()))


def test_a_matte_is_inverted_and_divided_by_alpha_on_request(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sequence"
    folder.mkdir()
    for n, matte in enumerate(ramp()):
        alpha = np.full_like(matte, 128)
        alpha[:4] = 0
        grey = np.rint(matte * (alpha / 255)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{n}.png"), np.dstack([grey, grey, grey, alpha]))
    inverted = mattes_of(job(clip, tmp_path, folder, invert=True))
    assert (inverted[:, 10:] == 127).all() and (inverted[:, :4] == 255).all()
    other = tmp_path / "other"
    other.mkdir()
    divided = mattes_of(job(clip, other, folder, unpremultiply=True))
    assert np.abs(divided[:, 10:].astype(int) - np.stack(ramp())[:, 10:]).max() <= 1
    assert not divided[:, :4].any()


def test_a_matte_of_half_the_size_is_scaled(clip: Path, tmp_path: Path) -> None:
    small = [cv2.resize(matte, (32, 24), interpolation=cv2.INTER_AREA) for matte in ramp()]
    video = write_clip(tmp_path / "m.mkv", colours(small), rate=24, codec="ffv1", pix_fmt="gray")
    mattes = mattes_of(job(clip, tmp_path, video))
    assert mattes.shape[1:] == (48, 64) and values(mattes) == [10 * n for n in range(24)]


def test_previews_and_strokes_go_with_a_matte_of_another_tool(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mp4", colours(ramp()), rate=24)
    painted = Prompt(0.5, strokes=(Stroke(((40.0, 24.0),), 6.0),))
    run = replace(job(clip, tmp_path, video), prompts=(painted,))
    pairs = list(preview.predict_frames(run, [0.875, 0.5, 0.125]))
    seen = [int(prediction.matte[24, 40]) for _, prediction in pairs]
    assert abs(seen[0] - 30) <= 4 and seen[1] == 255 and abs(seen[2] - 210) <= 4
    shown = values(mattes_of(run))
    assert shown[12] == 255 and abs(shown[11] - 110) <= 4 and abs(shown[13] - 130) <= 4


# ---------------------------------------------------------------- refusals


def test_what_does_not_fit_is_refused_before_anything_is_written(clip: Path, tmp_path: Path) -> None:
    assert refusal(job(clip, tmp_path, tmp_path / "missing")) == "matte_in.not_found"
    assert refusal(replace(job(clip, tmp_path, clip), matte_in=None)) == "matte_in.needed"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(job(clip, tmp_path, empty)) == "matte_in.no_pictures"
    for n, matte in enumerate(ramp(23)):
        cv2.imwrite(str(empty / f"{n}.png"), matte)
    assert refusal(job(clip, tmp_path, empty)) == "matte_in.count"
    (empty / "0.png").write_bytes(b"no picture")
    cv2.imwrite(str(empty / "23.png"), ramp()[0])
    assert refusal(job(clip, tmp_path, empty)) == "matte_in.unreadable"
    square = [np.zeros((48, 48, 3), np.uint8)] * 24
    assert (
        refusal(job(clip, tmp_path, write_clip(tmp_path / "square.mp4", square, rate=24))) == "matte_in.size"
    )
    short = write_clip(tmp_path / "short.mp4", colours(ramp(12)), rate=24)
    assert refusal(job(clip, tmp_path, short)) == "matte_in.too_short"
    assert values(mattes_of(replace(job(clip, tmp_path, short), end=0.5)))[0] <= 4


def test_a_matte_is_not_overwritten_by_the_result(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mp4", colours(ramp()), rate=24)
    before = video.read_bytes()
    with pytest.raises(InputError) as caught:
        list(process(replace(job(clip, tmp_path, video), output=video)))
    assert caught.value.message.key == "writing.overwrites" and video.read_bytes() == before


# ---------------------------------------------------------------- job


def test_the_key_of_a_matte_depends_on_what_it_is_made_of(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "m.mp4", colours(ramp()), rate=24)
    other = write_clip(tmp_path / "other.mp4", colours(ramp()[::-1]), rate=24)
    plain = job(clip, tmp_path, video)
    keys = {
        matte_key(plain),
        matte_key(job(clip, tmp_path, video, invert=True)),
        matte_key(job(clip, tmp_path, video, unpremultiply=True)),
        matte_key(job(clip, tmp_path, other)),
    }
    assert len(keys) == 4
    grabcut = Job(clip, tmp_path / "o.mp4", "grabcut")
    assert matte_key(replace(grabcut, matte_in=plain.matte_in)) == matte_key(grabcut)


def test_the_matte_is_in_the_jobs_json_where_it_is_set(clip: Path, tmp_path: Path) -> None:
    run = job(clip, tmp_path, tmp_path / "m.mp4", invert=True)
    data = run.to_json(tmp_path)
    assert data["matte_in"] == {"file": "m.mp4", "invert": True, "unpremultiply": False}
    assert Job.from_json(data, tmp_path) == run
    assert "matte_in" not in replace(run, matte_in=None).to_json(tmp_path)
    with pytest.raises(InputError):
        Job.from_json(data | {"matte_in": {"file": "m.mp4"}}, tmp_path)
