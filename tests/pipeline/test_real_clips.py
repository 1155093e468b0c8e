"""Odd files from the world: each works, or is refused with a sentence that names it."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.video.test_video import decoded

CLIPS = Path(os.environ.get("RECORTE_CLIPS", Path(__file__).resolve().parents[2].parent / "shared" / "clips"))
FOLDER = CLIPS / "odd"
MOST_FRAMES, FEW_FRAMES = 400, 8  # these are read of a small and of a large picture


@dataclass(frozen=True)
class Works:
    """Facts about a clip, and how far ffprobe can bear witness to its times."""

    width: int
    height: int
    frames: int
    rate: float
    variable: bool = False
    lost: int = 0
    """Pictures that are damaged so that they do not decode."""
    witness: Literal["times", "count", "none"] = "times"


UNREADABLE = "cannot be read as a video"
NO_PICTURE = "there is not one picture in this video"
OUTCOMES: dict[str, Works | str] = {
    "1x1px.mp4": Works(1, 1, 5, 1),
    "alpha_vp9.webm": Works(200, 200, 150, 30),
    "bbb_1ch_16kHz_aac.mp4": "sound only",
    "bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4": Works(1138, 640, 120, 30),  # its pixels are 64:45
    "bear-vp9-odd-dimensions.webm": Works(161, 121, 30, 29.97),
    "bt709_full_range.mp4": Works(1280, 720, 30, 30),
    "chunk_out_of_range.mp4": UNREADABLE,
    "dolbyVision-hdr.MOV": Works(720, 1280, 4, 30),  # the edit list hides the fifth
    # Its sound begins a second before the picture: the first picture stands for that long.
    "edit_list_positive_shift.mp4": Works(1920, 1080, 270, 27, variable=True),
    "empty.mp4": "the file is empty",
    "fixture-corrupt.mkv": UNREADABLE,
    "fixture-null.webm": Works(1920, 1080, 36, 8.48, variable=True),
    "fixture-raw.mts": Works(1920, 1080, 31, 29.97),  # each field in a packet of its own
    "fixture.3gp": Works(504, 288, 166, 30),
    "fixture.apng": Works(100, 100, 20, 13.33),
    "fixture.mxf": Works(768, 576, 266, 25, witness="count"),  # ffprobe knows no time for the last one
    "h264_10bits.mp4": Works(200, 200, 30, 30),
    "h265_10bits.mp4": Works(200, 200, 30, 30),
    "h265_with_metadata_track.mp4": Works(1080, 1920, 3, 29.98),
    "hdr10-av1.mp4": Works(720, 1280, 127, 29.97),
    "hlg10-color-test.mp4": Works(1920, 1080, 9, 29.99),
    "invalid-bitstream.webm": NO_PICTURE,
    "newtonscradle.gif": Works(200, 150, 36, 43.9, variable=True),
    "no_timescale.mp4": Works(320, 240, 182, 30.12, lost=14),
    "noise.mp4": UNREADABLE,
    "portrait_4k60.mp4": Works(2160, 3840, 18, 60.06, variable=True),
    "roadtrip-vp92-10bit.webm": Works(426, 240, 72, 23.98),  # eight frames more are never shown
    "sample.avi": Works(960, 400, 96, 23.49, variable=True),
    "sample.flv": Works(1080, 720, 30, 30),
    "sample_android_slow_motion.mp4": Works(1280, 720, 7, 13.32, variable=True),
    "sample_fragmented_sideloaded_track.mp4": UNREADABLE,
    "sample_gamma2.2.mp4": Works(320, 240, 60, 60),
    "sample_missing_stsd.mp4": Works(1080, 720, 30, 29.97),
    "sample_portrait.mp4": Works(720, 1080, 30, 29.97),
    "sample_rotate_and_reflect.mp4": Works(720, 1080, 30, 29.97),
    "sample_vvc.mp4": Works(320, 180, 120, 24, witness="none"),  # many an ffmpeg has no decoder for it
    "sample_with_color_info.mp4": Works(1080, 1920, 9, 30),
    "sample_with_invalid_nalu.mp4": Works(1080, 720, 30, 29.97, lost=4),
    "subsample_encrypted_altref.webm": NO_PICTURE,
    "truncated_01_dog.mp4": "the file is cut short: it promises 289 frames and holds 152",
    "zero_empty_stsc.mp4": NO_PICTURE,
}

if not FOLDER.is_dir():
    pytest.skip(
        f"the real clips are not here ({CLIPS}); RECORTE_CLIPS names their folder", allow_module_level=True
    )


def test_every_clip_is_listed() -> None:
    assert {path.name for path in FOLDER.iterdir()} == OUTCOMES.keys()


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if isinstance(outcome, str)])
def test_unusable_clips_are_refused_with_their_error(name: str) -> None:
    path = FOLDER / name
    with pytest.raises(InputError, match=str(OUTCOMES[name])) as caught:
        probe_clip(path)
    assert str(caught.value).startswith(f"{name}: ")
    assert str(caught.value).endswith(".") and str(FOLDER) not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if isinstance(outcome, Works)])
def test_usable_clips_are_processed(name: str) -> None:
    path, truth = FOLDER / name, OUTCOMES[name]
    assert isinstance(truth, Works)
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames) == (truth.width, truth.height, truth.frames)
    assert (float(clip.rate), clip.variable) == (pytest.approx(truth.rate, abs=0.01), truth.variable)

    index = load_index(path)
    if truth.witness == "times":
        seen = ffprobe.frame_times(path)
        told = [(pts + index.origin) * index.tick for pts in index.pts]
        told[0] += index.lead * index.tick
        assert told == seen if not truth.lost else set(told) > set(seen)
    if truth.witness == "count":
        assert decoded(path) == truth.frames

    count = FEW_FRAMES if clip.width * clip.height > 1_000_000 else MOST_FRAMES
    promised = index.pts[:count]
    pts = []
    for frame in read_frames(path, 0, promised[-1] + 1):
        assert frame.image.shape == (clip.height, clip.width, 3)
        assert frame.image.dtype == np.uint8
        pts.append(frame.pts)
    if not truth.lost:
        assert pts == list(promised)
    else:
        assert len(pts) >= len(promised) - truth.lost and set(pts) <= set(promised)
        assert pts == sorted(pts)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("fixture.mxf", 153),  # whose own index leads astray
        ("fixture-raw.mts", 28),
        ("fixture-null.webm", 30),
        ("sample_vvc.mp4", 100),
        ("roadtrip-vp92-10bit.webm", 60),
        ("sample.avi", 77),
        ("edit_list_positive_shift.mp4", 260),
    ],
)
def test_a_single_decoded_frame_equals_the_sequential_one(name: str, where: int) -> None:
    path = FOLDER / name
    pts = load_index(path).pts
    (alone,) = read_frames(path, only=[pts[where]], pixel_format="gray")
    for frame in read_frames(path, end=pts[where] + 1, pixel_format="gray"):
        if frame.pts == pts[where]:
            assert np.array_equal(alone.image, frame.image)


def test_slow_motion_keeps_its_own_times() -> None:
    index = load_index(FOLDER / "sample_android_slow_motion.mp4")
    assert [pts * index.tick for pts in index.pts[:2]] == [0, Fraction(29281, 90000)]
