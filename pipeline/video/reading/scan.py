"""Scan of a video's packets for the times of its frames, without decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.video.reading.displayed_packets import DisplayedPackets
from pipeline.video.reading.frame_index import FrameIndex, Scan
from pipeline.video.reading.sizes import FrameSizes
from pipeline.video.reading.source import DurationMeaning, Source, time_base
from pipeline.video.reading.timestamps import repair_timestamps

# Larger timestamps, from damaged files, are ignored.
_MAX_TIME = 2**52
# Largest factor by which a time base is refined; largest denominator of FFmpeg's fractions.
_FINEST, _DENOMINATOR = 16, 2**31 - 1
# Audio that begins no more than this (in seconds) before video is encoder delay.
_MAX_ENCODER_DELAY = Fraction(1, 10)
# Most frames displayed before one that is decoded before them (ITU-T H.264, A.3.1).
_MAX_REORDERED = 16
# Video that begins later than this (in seconds) after audio has another clock.
_LONGEST_LEAD = 3600


class _DisplayedPacket(NamedTuple):
    """A packet that displays a frame; times in ticks, size in bytes."""

    pts: int | None
    dts: int | None
    size: int
    key: bool


def scan_packets(path: Path) -> Scan:
    """Scan all packets of a video; raises VideoError if the file is no video."""

    displayed_packets: list[_DisplayedPacket] = []
    packets = 0
    with Source(path) as source:
        pictures, ending, sizes = (
            DisplayedPackets(source),
            _LastDuration(source.duration_meaning),
            FrameSizes(source),
        )
        for packet in source.packets():
            pts, dts = _valid_time(packet.pts), _valid_time(packet.dts)
            packets += packet.size > 0
            displayed = packet.size > 0 and pictures.is_displayed(packet, dts if pts is None else pts)
            ending.add(pts, dts, packet.duration or 0, displayed, packet.is_discard)
            if packet.size:
                sizes.add(packet, pts if dts is None else dts)
            if displayed and not packet.is_discard:
                displayed_packets.append(_DisplayedPacket(pts, dts, packet.size, packet.is_keyframe))
        tick = time_base(source.stream)
        rate = source.stream.average_rate or source.stream.guessed_rate or 25
        if pictures.packed or (source.guesses_pts and any(s.pts != s.dts for s in displayed_packets)):
            displayed_packets = [s._replace(pts=None) for s in displayed_packets]
        reorders = source.reorders or any(
            s.pts != s.dts for s in displayed_packets if None not in (s.pts, s.dts)
        )
        sound, end = source.audio_start(), source.end_time
        size = sizes.most_common()
        source.rewind()
        first = source.decode_first()
    cut = _drop_undecodable(displayed_packets, None if first is None else first.pts)
    index, count = _build_index(cut, tick, max(1, round(1 / Fraction(rate) / tick)), reorders)
    if index.pts:
        index = replace(index, last_duration=ending.measure(index, tick, end), size=size)
    if sound is not None and len(cut) == len(displayed_packets):
        lead = index.origin * index.tick - sound
        if index.pts and _MAX_ENCODER_DELAY < lead < _LONGEST_LEAD:
            index = index.with_lead(round(lead / index.tick))
    return Scan(index, packets, count)


def _drop_undecodable(packets: list[_DisplayedPacket], first: int | None) -> list[_DisplayedPacket]:
    """Drop packets before the first decodable frame, whose container pts is `first`.

    A recording may begin between keyframes: frames decoded before the first decodable one are dropped, and
    frames displayed before it though decoded after it.
    """
    decodable = next((n for n, s in enumerate(packets) if s.pts is not None and s.pts == first), None)
    if decodable is None:
        return packets  # its time is unusable
    # The first displayed frame may be decoded some frames after its keyframe.
    begin = max((n for n in range(decodable + 1) if packets[n].key), default=decodable)
    after = begin + 1
    while after < len(packets) and (pts := packets[after].pts) is not None and pts < cast(int, first):
        after += 1
    if after - begin > _MAX_REORDERED:
        after = begin + 1  # the clock was set back
    return [packets[begin], *packets[after:]]


class _LastDuration:
    """Measurement of the last frame's duration, as stated by the container."""

    def __init__(self, lengths: DurationMeaning) -> None:
        self._lengths = lengths
        self._begin: tuple[int, int] | None = None
        """Least pts and first dts."""
        self._last: tuple[int, int] | None = None
        """Pts and duration of the frame displayed last."""
        self._decoded = 0
        """Dts at which the last displayed packet ends."""
        self._left_out = -1
        """Last pts that is not displayed."""

    def add(self, pts: int | None, dts: int | None, duration: int, displayed: bool, discarded: bool) -> None:
        """Record a packet: is it displayed, and is it discarded by an edit list?"""
        pts = dts if pts is None else pts
        dts = pts if dts is None else dts
        if pts is None or dts is None:
            return
        self._begin = (pts, dts) if self._begin is None else (min(self._begin[0], pts), self._begin[1])
        if discarded:
            self._left_out = max(self._left_out, pts)
            return
        self._decoded = dts + duration
        if displayed and (self._last is None or pts >= self._last[0]):
            self._last = pts, duration
        elif not displayed and self._last is not None and pts > self._last[0]:
            self._last = self._last[0], pts + duration - self._last[0]  # the frame before stays on screen

    def measure(self, index: FrameIndex, tick: Fraction, end: Fraction | None) -> int:
        """Return the last frame's duration in ticks of the index; the usual duration if unknown.

        `end` is the end of the track in seconds by the container's clock, if known.
        """
        usual = index.usual_duration
        if self._begin is None or self._last is None or self._left_out > self._last[0]:
            return usual
        pts, duration = self._last
        match self._lengths:
            case "decoded":
                least, first = self._begin
                duration = self._decoded + least - first - pts
            case "track":
                duration = 0 if end is None else round(end / tick) - pts
            case "unsaid":
                duration = 0
        lasts = round(duration * tick / index.tick)
        # A difference of one tick is rounding.
        return lasts if 0 < lasts < _MAX_TIME and abs(lasts - usual) > tick / index.tick else usual


def _valid_time(stamp: int | None) -> int | None:
    return stamp if stamp is not None and abs(stamp) < _MAX_TIME else None


def _build_index(
    packets: Sequence[_DisplayedPacket], tick: Fraction, gap: int, reorders: bool
) -> tuple[FrameIndex, int]:
    """Build the index; return it with the number of repaired timestamps."""
    pts = [s.pts for s in packets if s.pts is not None]
    clock = [s.dts for s in packets if s.dts is not None] if reorders else pts
    if len(set(pts)) == len(packets) and all(a <= b for a, b in pairwise(clock)):
        origin = min(pts, default=0)
        marks = sorted((s.pts, s.size) for s in packets if s.key and s.pts is not None)
        times = tuple(sorted(p - origin for p in pts))
        keys = tuple(p - origin for p, _ in marks)
        return FrameIndex(times, keys, origin, tick, tuple(marks), last_duration=gap), 0

    # With reordered frames only decoding times give the order of frames; they run ahead of presentation times
    # by a constant.
    stamps = [s.dts if reorders or s.pts is None else s.pts for s in packets]
    ahead = min(pts) - min((s for s in stamps if s is not None), default=0) if reorders and pts else 0
    stamps = [None if s is None else s + ahead for s in stamps]
    steps = sorted(b - a for a, b in pairwise(stamps) if a is not None and b is not None and b > a)
    gap = steps[len(steps) // 2] if steps else gap
    repaired, finer = repair_timestamps(stamps, gap, min(_FINEST, _DENOMINATOR // tick.denominator))
    origin = repaired[0]
    times = tuple(time - origin for time in repaired)

    changed = sum(s is None or s * finer != time for s, time in zip(stamps, repaired, strict=True))
    missing = len(packets) - len(set(pts)) if pts else 0  # some containers have none, and need none
    counts = Counter(pts)
    guides = tuple(
        s.pts if s.pts is not None and counts[s.pts] == 1 and not reorders else None for s in packets
    )
    timed_keys = [
        (t, (g, s.size)) for t, g, s in zip(times, guides, packets, strict=True) if s.key and g is not None
    ]
    keys = tuple(t for t, _ in timed_keys) or (0,)
    marks = [mark for _, mark in timed_keys]
    index = FrameIndex(times, keys, origin, tick / finer, tuple(marks), guides, last_duration=gap * finer)
    return index, max(changed, missing)
