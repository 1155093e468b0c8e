"""Odd files from the world: each works, or is refused with a sentence that names it."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline import video
from pipeline.errors import InputError
from tests.pipeline.test_video import decoded

CLIPS = Path(os.environ.get("RECORTE_CLIPS", Path(__file__).resolve().parents[2].parent / "shared" / "clips"))
ODD = sorted((CLIPS / "odd").glob("*.*")) if (CLIPS / "odd").is_dir() else []

REFUSED = {
    "bbb_1ch_16kHz_aac.mp4": "sound only",
    "chunk_out_of_range.mp4": "cannot be read as a video",
    "empty.mp4": "empty",
    "fixture-corrupt.mkv": "cannot be read as a video",
    "invalid-bitstream.webm": "not one picture",
    "noise.mp4": "cannot be read as a video",
    "sample_fragmented_sideloaded_track.mp4": "cannot be read as a video",
    "subsample_encrypted_altref.webm": "not one picture",
    "truncated_01_dog.mp4": "cut short",
    "zero_empty_stsc.mp4": "not one picture",
}
# Width, height and rate as shown, where they are not what a careless reader finds.
SHOWN = {
    "1x1px.mp4": (1, 1, 1.0),
    "bear-vp9-odd-dimensions.webm": (161, 121, 29.97),
    "dolbyVision-hdr.MOV": (720, 1280, 30.0),
    "hdr10-av1.mp4": (720, 1280, 29.97),
    "portrait_4k60.mp4": (2160, 3840, 60.0),
    "sample_portrait.mp4": (720, 1080, 29.97),
    "sample_rotate_and_reflect.mp4": (720, 1080, 29.97),
}
# Fields in packets of their own, hidden frames, edit lists, frames behind one another.
COUNTED = (
    "alpha_vp9.webm",
    "bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4",
    "bear-vp9-odd-dimensions.webm",
    "edit_list_positive_shift.mp4",
    "fixture-null.webm",
    "fixture-raw.mts",
    "fixture.mxf",
    "roadtrip-vp92-10bit.webm",
    "sample.avi",
)
MOST_FRAMES = 40  # enough to pass keyframes and to meet what is damaged

if not ODD:
    pytest.skip(
        f"the real clips are not here ({CLIPS}); RECORTE_CLIPS names their folder", allow_module_level=True
    )


def test_what_is_refused_is_there() -> None:
    assert {path.name for path in ODD} >= REFUSED.keys() | SHOWN.keys() | set(COUNTED)


@pytest.mark.parametrize("name", COUNTED)
def test_the_index_has_the_pictures_that_ffprobe_decodes(name: str) -> None:
    assert len(video.index(CLIPS / "odd" / name).pts) == decoded(CLIPS / "odd" / name)


@pytest.mark.parametrize("path", ODD, ids=lambda path: path.name)
def test_it_works_or_is_refused(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(InputError, match=REFUSED[path.name]) as caught:
            video.probe(path)
        assert str(caught.value).startswith(f"{path.name}: ")
        assert str(caught.value).endswith(".") and str(path.parent) not in str(caught.value)
        return
    clip = video.probe(path)
    if path.name in SHOWN:
        assert (clip.width, clip.height, float(clip.rate)) == pytest.approx(SHOWN[path.name], rel=0.01)
    large = clip.width * clip.height > 1_000_000
    times = video.index(path).pts
    end = times[min(8 if large else MOST_FRAMES, len(times)) - 1] + 1
    pts = []
    for frame in video.read(path, 0, end):
        assert frame.image.shape == (clip.height, clip.width, 3)
        assert frame.image.dtype == np.uint8
        pts.append(frame.pts)
    assert pts and pts == sorted(set(pts))
    assert set(pts) <= set(times)
    # At most a few are damaged.
    assert len(pts) >= min(len(times), 8 if large else MOST_FRAMES) * 0.85
