"""Availability of encoders, found out by encoding a few frames."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
from av.codec.context import CodecContext
from PIL import Image

from pipeline.formats import FORMATS, Format
from pipeline.video.priority import drop_realtime_priority

_FRAMES = 5


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


@lru_cache(maxsize=64)
def _try_encoder(
    codec: str, pixels: str, width: int, height: int, options: tuple[tuple[str, str], ...]
) -> bool:
    """Return True if the encoder gives one packet per frame; a listed encoder need not work."""
    try:
        encoder = cast(Any, CodecContext.create(codec, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.options = dict(options)
        with drop_realtime_priority():
            encoder.open()
        packets = []
        for number in range(_FRAMES):
            frame = av.VideoFrame(width, height, pixels)
            frame.pts, frame.time_base = number, encoder.time_base
            packets += encoder.encode(frame)
        packets += encoder.encode(None)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError):
        return False
    return len(packets) == _FRAMES and all(packet.size for packet in packets)
