"""Encoders, those of graphics cards above all: whether they really work here."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
from av.codec.context import CodecContext

from pipeline.formats import FORMATS, Format
from pipeline.video.priority import drop_realtime_priority

_FRAMES = 5


def has_hardware_encoder(
    form: Format, width: int = 640, height: int = 360, *, high_bit_depth: bool = False
) -> bool:
    """Whether a graphics card of this machine encodes this format at this size; tried out once."""
    card = form.accelerated
    return card is not form and _try_encoder(
        card.codec,
        card.choose_pixel_format(alpha=False, high_bit_depth=high_bit_depth),
        width,
        height,
        tuple(card.codec_options("high").items()),
    )


def has_any_hardware_encoder() -> bool:
    """Whether there is a format that a graphics card of this machine encodes."""
    return any(has_hardware_encoder(form) for form in FORMATS.values())


def has_encoders(form: Format) -> bool:
    """Whether the library has the encoders that this format asks for, picture and sound."""
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
    """Whether the encoder makes as many packets as it is given pictures: being listed says nothing."""
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
