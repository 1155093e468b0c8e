"""Availability of encoders, found out by encoding a few frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, cast

import av
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from PIL import Image

from pipeline.formats import FORMATS, Format
from pipeline.video.priority import drop_realtime_priority

_FRAMES = 5

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
"""Codecs that graphics cards decode, with encoders of the host."""


def has_hardware_encoder(
    form: Format, width: int = 640, height: int = 360, *, high_bit_depth: bool = False
) -> bool:
    """Return True if a GPU of this machine encodes the format at this size (in pixels); cached."""
    card = form.accelerated
    return card is not form and _try_encoder(
        card.codec,
        card.choose_pixel_format(alpha=False, high_bit_depth=high_bit_depth),
        width,
        height,
        tuple(card.codec_options("high").items()),
    )


def takes_card_frames(form: Format, pixels: str, width: int, height: int, card: int) -> bool:
    """Return True if the format's encoder takes frames from the memory of a CUDA device; cached.

    `pixels` is the pixel format in which it takes frames of the host, `card` the number of the device.
    """
    return form.codec.endswith("_nvenc") and _try_encoder(
        form.codec, pixels, width, height, tuple(form.codec_options("high").items()), card
    )


def has_any_hardware_encoder() -> bool:
    """Return True if a GPU of this machine encodes at least one format."""
    return any(has_hardware_encoder(form) for form in FORMATS.values())


def has_encoders(form: Format) -> bool:
    """Return True if FFmpeg has the video and audio encoders of this format, or Pillow that of a picture."""
    if form.still:
        Image.init()
        return form.container in Image.SAVE
    try:
        for codec in (form.codec, form.sound_codec):
            if codec:
                av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


@cache
def list_decoders(card: int | None) -> tuple[str, ...]:
    """Return the codecs of `_ENCODERS` that a CUDA device decodes, or None the host; in 8 bits."""
    return tuple(codec for codec in _ENCODERS if _try_decoder(codec, card))


def _try_decoder(codec: str, card: int | None) -> bool:
    try:
        encoder = cast(Any, CodecContext.create(_ENCODERS[codec], "w"))
        encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        with drop_realtime_priority():
            encoder.open()
        packets = []
        for number, frame in enumerate(_black_frames("yuv420p", 640, 360, None)):
            frame.pts, frame.time_base = number, encoder.time_base
            packets += encoder.encode(frame)
        packets += encoder.encode(None)
        on_card = None if card is None else HWAccel("cuda", str(card), False, is_hw_owned=True)
        decoder = cast(Any, CodecContext.create(codec, "r", hwaccel=on_card))
        decoder.extradata = encoder.extradata
        frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError, RuntimeError):
        return False
    return len(frames) == _FRAMES and all((frame.sw_format is None) == (card is None) for frame in frames)


@lru_cache(maxsize=64)
def _try_encoder(
    codec: str,
    pixels: str,
    width: int,
    height: int,
    options: tuple[tuple[str, str], ...],
    card: int | None = None,
) -> bool:
    """Return True if the encoder gives one packet per frame; a listed encoder need not work.

    The frames are on the host or, with `card`, in the memory of that CUDA device.
    """
    try:
        encoder = cast(Any, CodecContext.create(codec, "w"))
        encoder.width, encoder.height = width, height
        encoder.pix_fmt = pixels if card is None else "cuda"
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.options = dict(options)
        packets = []
        for number, frame in enumerate(_black_frames(pixels, width, height, card)):
            frame.pts, frame.time_base = number, encoder.time_base
            with drop_realtime_priority():  # the first one opens it
                packets += encoder.encode(frame)
        packets += encoder.encode(None)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError, RuntimeError):
        return False
    return len(packets) == _FRAMES and all(packet.size for packet in packets)


def _black_frames(pixels: str, width: int, height: int, card: int | None) -> Iterator[av.VideoFrame]:
    if card is None:
        yield from (av.VideoFrame(width, height, pixels) for _ in range(_FRAMES))
        return
    import torch

    from pipeline.video.device.writing import DeviceFrameConverter

    convert = DeviceFrameConverter(pixels, on_card=True)
    black = torch.zeros((3, height, width), dtype=torch.uint8, device=f"cuda:{card}")
    yield from filter(None, (convert(black) for _ in range(_FRAMES)))
