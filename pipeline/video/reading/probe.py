"""Probing of a video: its Clip, from the first frame and the frame index."""

from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.clip import MAX_RATE, Clip
from pipeline.errors import InputError, VideoError
from pipeline.files import file_state
from pipeline.video.colour.to_rgb import get_transfer, is_supported
from pipeline.video.reading.index_cache import scan_of
from pipeline.video.reading.source import Source, codec_name


def load_clip(path: Path, rate: Fraction | None = None) -> Clip:
    """Return the clip of a video, probed once for each state of the file; the last 16 files are cached.

    Arguments and errors as of `probe_clip`.
    """
    return _probe_state(path, file_state(path), rate)


@lru_cache(maxsize=16)
def _probe_state(path: Path, _state: tuple[int, int] | None, rate: Fraction | None) -> Clip:
    return probe_clip(path, rate=rate)


def probe_clip(path: Path, name: str | None = None, rate: Fraction | None = None) -> Clip:
    """Probe a video, decoding no more than its first frame.

    `name` is the user's name of the file, for error messages. Pictures that have no times of their own follow
    each other at `rate` a second; None: at the usual one. Raises VideoError if the video cannot be used.
    """
    with Source(path, name) as source:
        first = source.decode_first()
        stream = source.stream
        if first is None:
            raise VideoError("video.no_pictures", name=source.name)
        if not is_supported(first):
            raise VideoError("video.unknown_colours", name=source.name)
        scan = scan_of(path)
        if scan.index.size is not None:
            source.resize(scan.index.size)
        width, height = source.size
        across, down, _, _ = source.display_matrix(first)
        if abs(down) > abs(across):
            width, height = height, width
        codec = source.codec
        coded, interlaced, alpha = get_transfer(first), source.interlaced, source.to_alpha(first) is not None
        depth = max(c.bits for c in first.format.components)
        # Frames left out by an edit list do not count.
        promised = min(stream.frames, len(stream.index_entries) or stream.frames)
        sound = tuple(codec_name(s) for s in source.container.streams.audio if s.codec_context)
        own_name, pictures = source.name, source.pictures
    index = scan.index
    pts, tick = index.pts, index.tick
    untimed = pictures is not None and pictures.times is None
    if untimed and rate is not None:
        if not 1 <= rate <= MAX_RATE:
            raise InputError("choices.rate", most=MAX_RATE)
        tick = 1 / rate
    if not pts:
        raise VideoError("video.no_pictures", name=own_name)
    if promised - scan.packets > max(2, promised // 50):
        raise VideoError("video.cut_short", name=own_name, promised=promised, held=scan.packets)
    gaps = np.diff(np.asarray((*pts, index.end)))
    duration = index.end * tick
    return Clip(
        path=path,
        name=own_name,
        width=width,
        height=height,
        frames=len(pts),
        duration=float(duration),
        rate=max(Fraction(len(pts) / duration).limit_denominator(1001), Fraction(1, 1001)),
        variable=int(gaps.max() - gaps.min()) > 1,
        time_base=tick,
        codec=codec,
        depth=depth,
        sound=sound,
        transfer=coded,
        interlaced=interlaced,
        mended=scan.repaired,
        alpha=alpha,
        missing=0 if pictures is None else pictures.missing,
        untimed=untimed,
    )
