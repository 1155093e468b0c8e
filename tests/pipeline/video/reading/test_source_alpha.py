"""The alpha that a video has itself: what is transparent in it stays out, whatever the matte says."""

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import formats
from pipeline.__main__ import main
from pipeline.compositing.backdrop import open_backdrop
from pipeline.compositing.background import BLUR_RADIUS, Blur, Colour, Footage, Transparent
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import Edges
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.matte import MatteFile, create_writer
from pipeline.process import render
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec
from tests.rendered import write_clip

GREEN = (0, 177, 64)
WIDTH, HEIGHT = 160, 96
KINDS = [
    ("a.mov", "prores_ks", "yuva444p10le"),
    ("a.mov", "qtrle", "argb"),
    ("a.mov", "png", "rgba"),
    ("a.webm", "libvpx-vp9", "yuva420p"),
    ("a.webm", "libvpx", "yuva420p"),
    ("a.mkv", "ffv1", "bgra"),
    ("a.mkv", "ffv1", "yuva420p"),
    ("a.mkv", "ffv1", "gbrap10le"),
    ("a.avi", "utvideo", "gbrap"),
    ("a.avi", "rawvideo", "bgra"),
    ("a.apng", "apng", "rgba"),
]


def disc() -> np.ndarray:
    """`[H, W, 4]`: a red disc with a half transparent rim, on nothing; what is hidden there is blue."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    far = np.hypot(x - WIDTH / 2, y - HEIGHT / 2)
    picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    picture[...] = (0, 0, 255, 0)
    picture[far < 42] = (255, 0, 0, 128)
    picture[far < 30] = (255, 0, 0, 255)
    return picture


def clip_of(path: Path, codec: str, pixels: str, pictures: list[np.ndarray] | None = None) -> Path:
    options = (
        {"auto-alt-ref": "0", "crf": "4", "qmin": "0", "qmax": "6", "b": "8M"}
        if codec.startswith("libvpx")
        else {}
    )
    return write_clip(path, pictures or [disc()] * 6, codec=codec, pix_fmt=pixels, options=options)


def half_matte(path: Path) -> Path:
    """White on the left, black on the right: a matte of nobody's, as another program writes it."""
    half = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    half[:, : WIDTH // 2] = 255
    return write_clip(path, [half] * 6, codec="ffv1", pix_fmt="gray", options={})


def first(path: Path) -> np.ndarray:
    return next(read_frames(path)).image.astype(int)


def over_green(alpha: np.ndarray, colour: tuple[int, int, int] = (255, 0, 0)) -> np.ndarray:
    share = alpha[..., None] / 255
    return share * np.array(colour) + (1 - share) * np.array(GREEN)


def inside() -> np.ndarray:
    """Return a mask of the places where the picture is flat, away from what a codec's blocks blur."""
    alpha = disc()[..., 3]
    same = [np.roll(alpha, (dy, dx), (0, 1)) == alpha for dy in (-3, 0, 3) for dx in (-3, 0, 3)]
    return np.logical_and.reduce(same)


@pytest.mark.parametrize(("name", "codec", "pixels"), KINDS)
def test_transparent_source_pixels_stay_transparent(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    source, matte = clip_of(tmp_path / name, codec, pixels), half_matte(tmp_path / "half.mkv")
    out = tmp_path / "out.mov"
    assert main(["render", str(source), str(matte), str(out), "--background", "#00b140"]) == 0
    expected = over_green(disc()[..., 3].astype(float))
    expected[:, WIDTH // 2 :] = GREEN
    flat = inside()
    flat[:, WIDTH // 2 - 4 : WIDTH // 2 + 4] = False
    off = np.abs(first(out) - expected)[flat]
    assert off.mean() <= 2 and off.max() <= 30
    assert probe_clip(source).remarks == ("alpha",)


def test_a_transparent_gif(tmp_path: Path) -> None:
    tick = Fraction(1, 10)
    shape = StreamSpec(WIDTH, HEIGHT, tick, 1 / tick)
    with create_output(tmp_path / "a.gif", formats.by_key("gif"), shape, alpha=True) as out:
        for number in range(3):
            out.write(disc(), number)
    frame = next(read_frames(tmp_path / "a.gif"))
    assert frame.alpha is not None
    assert frame.alpha[HEIGHT // 2, WIDTH // 2] == 255 and not frame.alpha[0].any()


def test_an_opaque_video_has_no_alpha(tmp_path: Path) -> None:
    opaque = disc() | np.array([0, 0, 0, 255], np.uint8)
    for name, codec, pixels in KINDS[:4]:
        path = clip_of(tmp_path / name, codec, pixels, [opaque] * 3)
        frames = list(read_frames(path))
        if codec != "libvpx-vp9":  # which loses a little of it
            assert all(frame.alpha is None for frame in frames)
        assert probe_clip(path).remarks == () or codec == "libvpx-vp9"


def test_alpha_of_10_bit_sources_and_after_seeking(tmp_path: Path) -> None:
    moving = [np.roll(disc(), 4 * n, axis=1) for n in range(12)]
    for name, codec, pixels in (KINDS[0], KINDS[3]):
        path = clip_of(tmp_path / name, codec, pixels, moving)
        for deep in (False, True):
            all_ = list(read_frames(path, high_bit_depth=deep))
            some = list(read_frames(path, only=[frame.pts for frame in all_[3::5]], high_bit_depth=deep))
            back = list(read_frames_backward(path, 0, all_[-1].pts + 1, high_bit_depth=deep))
            for a, b in zip([*all_[3::5], *all_[::-1]], [*some, *back], strict=True):
                assert a.alpha is not None and b.alpha is not None and np.array_equal(a.alpha, b.alpha)


def test_padding_bytes_of_avi_pixels_are_not_alpha(tmp_path: Path) -> None:
    filled = disc() * np.array([1, 1, 1, 0], np.uint8)
    path = clip_of(tmp_path / "a.avi", "rawvideo", "bgra", [filled] * 2)
    assert next(read_frames(path)).alpha is None


def test_alpha_is_rotated_with_its_video(tmp_path: Path) -> None:
    picture = disc()
    picture[: HEIGHT // 2, :, 3] = 255
    path = write_clip(
        tmp_path / "a.mov", [picture] * 2, codec="qtrle", pix_fmt="argb", rotation=90, options={}
    )
    frame = next(read_frames(path))
    assert frame.alpha is not None and frame.alpha.shape == frame.image.shape[:2] == (WIDTH, HEIGHT)
    assert frame.alpha[:, HEIGHT // 2 :].min() == 255 and frame.alpha[:, : HEIGHT // 2].min() == 0


def test_a_stored_matte_is_reused_and_source_transparency_applies(tmp_path: Path) -> None:
    """A matte kept before alpha was heeded is still read, and what is transparent stays out of it."""
    source = clip_of(tmp_path / "a.mkv", "ffv1", "bgra")
    clip = probe_clip(source)
    job = Job(source, tmp_path / "out.mkv", format="matte-lossless", matte=tmp_path / "kept.mkv")
    with create_writer(tmp_path / "kept.mkv", clip, key=matte_key(job), past=10**6) as kept:
        for frame in read_frames(source):
            kept.write(np.full((HEIGHT, WIDTH), 255, np.uint8), frame.pts)
    matte_file = MatteFile.find(job.matte, matte_key(job))
    assert matte_file is not None
    list(render(job, matte_file))
    alone = next(read_frames(job.output, pixel_format="gray")).image
    assert np.array_equal(alone, disc()[..., 3])
    # Growing the cut does not let in what is not there.
    with closing(open_composer(Colour(*GREEN), WIDTH, HEIGHT, Edges(grow=20))) as compose:
        picture = disc()
        result = compose(picture[..., :3], picture[..., 3] // 128 * 255, 0.0, picture[..., 3])
    assert np.abs(result - over_green(picture[..., 3].astype(float))).max() <= 1


@pytest.mark.parametrize("clean", [True, False])
def test_colours_of_transparent_pixels_are_hidden(clean: bool) -> None:
    """A cut-out's half transparent rim keeps its colour, and beyond it the colours go on."""
    picture = disc()
    with closing(open_composer(Transparent(), WIDTH, HEIGHT, Edges(clean=clean))) as compose:
        result = compose(picture[..., :3], np.full((HEIGHT, WIDTH), 255, np.uint8), 0.0, picture[..., 3])
    assert np.array_equal(result[..., 3], picture[..., 3])
    shown = result[..., 3] > 0
    assert (result[shown][:, :3] == (255, 0, 0)).all()
    if clean:
        assert not result[..., 2].any()  # the blue that was hidden


def test_alpha_in_16_bits_equals_8_bits() -> None:
    picture = disc()
    image, own = picture[..., :3], picture[..., 3]
    matte = np.full((HEIGHT, WIDTH), 200, np.uint8)
    for behind in (Transparent(), Colour(*GREEN), Blur(BLUR_RADIUS)):
        with closing(open_composer(behind, WIDTH, HEIGHT)) as compose:
            eight, sixteen = (
                compose(pixels, matte, 0.0, own) for pixels in (image, image.astype(np.uint16) * 257)
            )
        assert np.abs(sixteen / 257 - eight).max() <= 2


def test_blurring_without_background_pixels_gives_black() -> None:
    picture = disc()
    with closing(open_composer(Blur(BLUR_RADIUS), WIDTH, HEIGHT)) as compose:
        result = compose(picture[..., :3], np.full((HEIGHT, WIDTH), 255, np.uint8), 0.0, picture[..., 3])
    assert not result[0].any() and not result[..., 2].any()


@pytest.mark.parametrize(("name", "codec", "pixels"), [KINDS[0], KINDS[3], KINDS[5]])
def test_transparent_backgrounds_are_composited_on_black(
    tmp_path: Path, name: str, codec: str, pixels: str, capsys: pytest.CaptureFixture[str]
) -> None:
    behind = clip_of(tmp_path / f"behind-{name}", codec, pixels)
    source = write_clip(
        tmp_path / "source.mkv", [disc()[..., :3]] * 6, codec="ffv1", pix_fmt="bgr0", options={}
    )
    matte = write_clip(
        tmp_path / "none.mkv",
        [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 6,
        codec="ffv1",
        pix_fmt="gray",
        options={},
    )
    out = tmp_path / "out.mov"
    assert main(["render", str(source), str(matte), str(out), "--background", str(behind)]) == 0
    expected = disc()[..., 3:] / 255 * (255, 0, 0)
    assert np.abs(first(out) - expected)[inside()].max() <= 8
    said = capsys.readouterr()
    assert f"{behind.name}: this background is transparent in part, and lies on black there." in said.out
    with closing(open_backdrop(Footage(source), WIDTH, HEIGHT)) as opaque:
        opaque.render(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8), 0.0)
        assert not opaque.notes


def test_alpha_is_encoded_and_read_back(tmp_path: Path) -> None:
    """A result with transparency, read again: the same alpha."""
    source, out = clip_of(tmp_path / "a.mkv", "ffv1", "bgra"), tmp_path / "out.webm"
    white = write_clip(
        tmp_path / "all.mkv",
        [np.full((HEIGHT, WIDTH, 3), 255, np.uint8)] * 6,
        codec="ffv1",
        pix_fmt="gray",
        options={},
    )
    assert main(["render", str(source), str(white), str(out), "--background", "transparent"]) == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
    alpha = next(read_frames(out)).alpha
    assert alpha is not None and np.abs(alpha.astype(int) - disc()[..., 3])[inside()].max() <= 4
