"""The animated WebP as a video: what Pillow, which draws by libwebp, sees in it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import formats
from pipeline.errors import VideoError
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec
from tests.pipeline.stand_in import number, numbered


def seen(path: Path) -> list[np.ndarray]:
    """Each picture as Pillow has it, RGBA."""
    with Image.open(path) as picture:
        shown = []
        for n in range(picture.n_frames):
            picture.seek(n)
            shown.append(np.asarray(picture.convert("RGBA")).copy())
        return shown


def moving(alpha: bool) -> list[Image.Image]:
    """A ball on a textured ground, or on nothing, half transparent: what changes is a small part of it."""
    random = np.random.default_rng(3)
    ground = np.zeros((64, 96, 4), np.uint8)
    ground[..., :3] = random.integers(60, 120, (64, 96, 1))
    ground[..., 3] = 0 if alpha else 255
    y, x = np.mgrid[:64, :96]
    pictures = []
    for n in range(8):
        picture = ground.copy()
        picture[np.hypot(x - 20 - 6 * n, y - 30) < 12] = (250, 40, 30, 128 if alpha else 255)
        pictures.append(Image.fromarray(picture))
    return pictures


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"minimize_size": True, "kmin": 3, "kmax": 5}, {"allow_mixed": True}]
)
def test_each_frame_equals_that_of_a_viewer(
    tmp_path: Path, alpha: bool, lossless: bool, options: dict[str, object]
) -> None:
    first, *rest = moving(alpha)
    lasts = [100, 40, 250, 10, 70, 70, 70, 500]
    path = tmp_path / "a.webp"
    first.save(
        path, save_all=True, append_images=rest, duration=lasts, lossless=lossless, quality=90, **options
    )
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames, clip.codec) == (96, 64, 8, "webp")
    frames = list(read_frames(path))
    times = [round(frame.pts * clip.time_base * 1000) for frame in frames]
    assert times == [0, *np.cumsum(lasts[:-1]).tolist()]
    for frame, expected in zip(frames, seen(path), strict=True):
        own = 255 if frame.alpha is None else frame.alpha.astype(int)
        assert np.abs(own - expected[..., 3]).max() <= 1
        visible = expected[..., 3] > 0
        assert np.abs(frame.image.astype(int) - expected[..., :3])[visible].mean() < 3
    # From anywhere, and backward, the same.
    some = list(read_frames(path, only=[frames[6].pts]))
    back = list(read_frames_backward(path, 0, frames[-1].pts + 1))
    assert np.array_equal(some[0].image, frames[6].image)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames[::-1], strict=True))


def test_written_results_can_be_read_as_sources(tmp_path: Path) -> None:
    tick = Fraction(1, 20)
    with create_output(
        tmp_path / "a.webp", formats.by_key("webp"), StreamSpec(64, 64, tick, 1 / tick), quality="best"
    ) as out:
        for n, image in enumerate(numbered(10)):
            out.write(image, n)
    assert [number(frame.image) for frame in read_frames(tmp_path / "a.webp")] == list(range(10))
    job = Job(tmp_path / "a.webp", tmp_path / "out.mp4", model="grabcut")
    assert list(process(job))[-1].frames == 10


def test_damaged_files_are_read_in_part_or_refused(tmp_path: Path) -> None:
    first, *rest = moving(False)
    first.save(tmp_path / "a.webp", save_all=True, append_images=rest, duration=100)
    whole = np.frombuffer((tmp_path / "a.webp").read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    for _ in range(30):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
        if random.random() < 0.3:
            damaged = damaged[: random.integers(1, len(whole))]
        (tmp_path / "b.webp").write_bytes(damaged.tobytes())
        try:
            clip = probe_clip(tmp_path / "b.webp")
            for frame in read_frames(tmp_path / "b.webp"):
                assert frame.image.shape == (clip.height, clip.width, 3)
        except VideoError:
            pass


def test_a_single_webp_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 48), (9, 9, 9, 128)).save(tmp_path / "a.webp")
    clip = probe_clip(tmp_path / "a.webp")
    assert (clip.is_picture, clip.codec, clip.width, clip.height) == (True, "webp", 64, 48)


def test_an_animation_of_an_impossible_size_is_refused(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 48), (9, 9, 9, 128)).save(tmp_path / "a.webp")
    huge = bytearray((tmp_path / "a.webp").read_bytes())
    assert huge[12:16] == b"VP8X"
    first, *rest = moving(False)
    first.save(tmp_path / "b.webp", save_all=True, append_images=rest, duration=100)
    huge = bytearray((tmp_path / "b.webp").read_bytes())
    huge[24:30] = b"\xff" * 6
    (tmp_path / "b.webp").write_bytes(huge)
    with pytest.raises(VideoError):
        probe_clip(tmp_path / "b.webp")
