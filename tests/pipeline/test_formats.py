"""The output formats."""

import io
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from PIL import Image

from pipeline import formats
from pipeline.errors import FormatError
from pipeline.job import Job
from pipeline.video.priority import drop_realtime_priority
from pipeline.video.reading.probe import probe_clip
from tests.rendered import write_clip


def test_a_format_is_found_by_its_key_and_by_its_suffix() -> None:
    for key, form in formats.FORMATS.items():
        assert formats.by_key(key) is form
        assert formats.by_suffix(Path(f"a.b{form.suffix.upper()}")).suffix == form.suffix


def test_an_unknown_format_is_refused_with_the_list_of_formats() -> None:
    with pytest.raises(FormatError, match=r"'avi'.*mp4.*webm"):
        formats.by_key("avi")
    with pytest.raises(FormatError, match=r"^out\.avi: .*\.mp4.*\.webm"):
        formats.by_suffix(Path("/some/where/out.avi"))


def test_formats_with_alpha_and_high_bit_depth() -> None:
    every = formats.FORMATS.values()
    assert [form.key for form in every if form.alpha] == [
        *("webm", "prores", "gif", "webp", "png", "exr", "exr-straight", "exr-layers"),
        *("png-still", "webp-still"),
    ]
    assert [form.key for form in every if form.supports_high_bit_depth(alpha=False)] == [
        "hevc",
        "av1",
        "prores",
        "png",
        "exr",
        "exr-straight",
        "exr-layers",
        "png-still",
    ]
    deep = [form.key for form in every if form.supports_high_bit_depth(alpha=True)]
    assert deep == ["prores", "png", "exr", "exr-straight", "exr-layers", "png-still"]


def test_a_suffix_selects_the_first_format_that_has_it() -> None:
    named = {form.suffix: formats.by_suffix(Path(f"a{form.suffix}")).key for form in formats.FORMATS.values()}
    assert named == {
        ".mp4": "mp4",
        ".webm": "webm",
        ".mov": "prores",
        ".gif": "gif",
        ".webp": "webp",
        ".zip": "png",
        ".mkv": "mkv",
        ".png": "png-still",
        ".jpg": "jpeg",
    }
    assert formats.by_suffix(Path("a.JPEG")).key == "jpeg"
    assert formats.by_suffix(Path("a.webp"), still=True).key == "webp-still"
    assert formats.by_suffix(Path("a.mp4"), still=True).key == "mp4"
    assert [formats.default_for(still).key for still in (False, True)] == ["mp4", "png-still"]
    assert formats.by_suffix(Path("pictures")).key == "png"


def test_stacked_halves_are_even_and_count_twice_in_height() -> None:
    form = formats.by_key("stacked")
    assert form.padded_size(161, 121) == (162, 122) and form.encoded_size(161, 121) == (162, 244)
    assert form.accepts_size(16384, 8192) and not form.accepts_size(64, 8194)
    assert form.has_foreground and not form.needs_background and not form.alpha


def test_a_format_has_every_quality_or_none() -> None:
    for form in formats.FORMATS.values():
        assert tuple(form.qualities) in ((), formats.QUALITIES)
        assert form.hardware is None or tuple(form.hardware.qualities) == formats.QUALITIES
        told = [tuple(form.codec_options(quality).items()) for quality in formats.QUALITIES]
        assert len(set(told)) == (4 if form.qualities else 1)


def test_the_pixel_format_is_chosen_by_alpha_and_bit_depth() -> None:
    webm, prores, hevc = (formats.by_key(key) for key in ("webm", "prores", "hevc"))
    assert webm.choose_pixel_format(alpha=True, high_bit_depth=True) == "yuva420p"
    assert prores.choose_pixel_format(alpha=True, high_bit_depth=True) == "yuva444p10le"
    assert hevc.choose_pixel_format(alpha=True, high_bit_depth=True) == "yuv420p10le"
    assert hevc.accelerated.choose_pixel_format(alpha=False, high_bit_depth=True) == "p010le"
    assert webm.accelerated is webm


def test_mkv_is_the_composite_and_the_matte_needs_its_key() -> None:
    form = formats.by_suffix(Path("out.mkv"))
    assert form.content == "picture" and form.sound_codec is not None
    assert formats.by_key("matte-lossless").suffix == ".mkv"


@pytest.mark.parametrize("size", [(17000, 64), (64, 17000), (64, 9000), (70000, 16), (16383, 16)])
def test_sizes_beyond_a_formats_limit_are_refused_with_alternatives(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    source = write_clip(
        tmp_path / "wide.mkv",
        [np.zeros((size[1], size[0], 3), np.uint8)] * 2,
        codec="ffv1",
        pix_fmt="yuv444p",
        options={},
    )
    clip = probe_clip(source)
    for form in (form for form in formats.FORMATS.values() if not form.still):
        job = Job(source, tmp_path / f"out{form.suffix}", format=form.key)
        if form.accepts_size(*size):
            job.check(clip)
            continue
        with pytest.raises(FormatError, match=re.escape(f"are too large for {form.label},")) as raised:
            job.check(clip)
        named = str(raised.value).partition("Choose ")[2].rstrip(".").split(", ")
        for other in (other for other in formats.FORMATS.values() if not other.still):
            suits = other.accepts_size(*size) and other.content == form.content
            assert (other.label in named) == suits


@pytest.mark.parametrize("key", formats.FORMATS)
def test_encoders_accept_the_sizes_of_their_format(key: str) -> None:
    """And refuses, or would spoil, the next size; x265 alone takes more than its container."""
    form = formats.by_key(key)
    if form.max_size is None or form.codec == "gif":
        sizes = [(17000, 16)]
    else:
        halves = form.encoded_size(1, 64)[1] // 64  # of its height
        sizes = [(form.max_size[0] // 2 * 2, 64), (64, form.max_size[1] // halves // 2 * 2)]
    for width, height in sizes:
        assert form.accepts_size(width, height) and encoded(form, *form.encoded_size(width, height))
    if form.codec in ("libx264", "libsvtav1", "libwebp", "webp", "jpeg"):
        assert form.max_size is not None
        assert not encoded(form, form.max_size[0] + 2, 64) and not encoded(form, 64, form.max_size[1] + 2)


def encoded(form: formats.Format, width: int, height: int) -> bool:
    """Return True if the format's encoder takes pictures of this size."""
    if form.still:
        try:
            Image.new("RGB", (width, height)).save(io.BytesIO(), form.container)
        except (OSError, ValueError):
            return False
        return True
    encoder = cast(Any, CodecContext.create(form.codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, form.pixel_format
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.options = {k: v for k, v in form.codec_options("small").items() if k != "colours"}
    try:
        with drop_realtime_priority():
            encoder.open()
        if form.codec == "libsvtav1":
            return True  # all that it would say, it has said
        frame = av.VideoFrame(width, height, form.pixel_format)
        frame.pts, frame.time_base = 0, encoder.time_base
        return bool([*encoder.encode(frame), *encoder.encode(None)])
    except av.error.FFmpegError:
        return False
