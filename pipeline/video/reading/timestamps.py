"""Repair of missing, repeated or unordered timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def repair_timestamps(stamps: Sequence[int | None], gap: int, finest: int = 1) -> tuple[list[int], int]:
    """Return ascending times for frames in display order, and the factor by which their ticks are finer.

    Missing or repeated timestamps are interpolated between their neighbours; beyond the first and the last
    known time, and where the clock was set back, frames are `gap` ticks apart. Only if the clock is too
    coarse to tell frames apart are the ticks finer than those of `stamps`, by an integer factor up to
    `finest`.
    """
    known = _select_trusted(stamps, gap)
    if not known:
        return [gap * position for position in range(len(stamps))], 1
    (first, start), (last, end) = known[0], known[-1]
    finer = min(max(1, finest), -(-(last - first) // (end - start))) if end > start else 1
    anchors = [(first, start * finer)]
    for position, time in known[1:]:
        if time * finer - anchors[-1][1] >= position - anchors[-1][0]:  # room for the frames between
            anchors.append((position, time * finer))
    times = [anchors[0][1] - gap * finer * (first - position) for position in range(first)]
    for (p0, t0), (p1, t1) in pairwise(anchors):
        times += [t0 + (t1 - t0) * n // (p1 - p0) for n in range(p1 - p0)]
    last, end = anchors[-1]
    return times + [end + gap * finer * n for n in range(len(stamps) - last)], finer


def _select_trusted(stamps: Sequence[int | None], gap: int) -> list[tuple[int, int]]:
    """Return position and time of the ascending timestamps, corrected for a clock that was set back."""
    known = [(position, stamp) for position, stamp in enumerate(stamps) if stamp is not None]
    trusted: list[tuple[int, int]] = []
    shift = 0
    for n, (position, stamp) in enumerate(known):
        time = stamp + shift
        top = trusted[-1][1] if trusted else time - 1
        if time <= top:
            following = known[n + 1][1] + shift if n + 1 < len(known) else top + 1
            if time == top or following > top:
                continue  # a repeated timestamp, or a single one that goes back
            if len(trusted) > 1 and time > trusted[-2][1]:
                trusted.pop()  # the timestamp before was a single one too far ahead
            else:
                shift += top + gap - time
                time = top + gap
        trusted.append((position, time))
    return trusted
