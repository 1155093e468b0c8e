"""Times that are missing, repeated or out of order, put right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def repair_timestamps(stamps: Sequence[int | None], gap: int, finest: int = 1) -> tuple[list[int], int]:
    """Ascending times for pictures in the order in which they are shown, and how much finer their ticks are.

    What is missing or repeated is spread evenly between its neighbours; beyond the first and the last known
    time, and where the clock was set back, pictures are `gap` ticks apart. Only where the clock is too coarse
    to tell the pictures apart are ticks finer than those of the stamps, by a whole number up to `finest`.
    """
    known = _select_trusted(stamps, gap)
    if not known:
        return [gap * place for place in range(len(stamps))], 1
    (first, start), (last, end) = known[0], known[-1]
    finer = min(max(1, finest), -(-(last - first) // (end - start))) if end > start else 1
    anchors = [(first, start * finer)]
    for place, time in known[1:]:
        if time * finer - anchors[-1][1] >= place - anchors[-1][0]:  # room for what lies between
            anchors.append((place, time * finer))
    times = [anchors[0][1] - gap * finer * (first - place) for place in range(first)]
    for (p0, t0), (p1, t1) in pairwise(anchors):
        times += [t0 + (t1 - t0) * n // (p1 - p0) for n in range(p1 - p0)]
    last, end = anchors[-1]
    return times + [end + gap * finer * n for n in range(len(stamps) - last)], finer


def _select_trusted(stamps: Sequence[int | None], gap: int) -> list[tuple[int, int]]:
    """Place and time of the stamps that ascend, moved by as much as the clock was set back before them."""
    known = [(place, stamp) for place, stamp in enumerate(stamps) if stamp is not None]
    trusted: list[tuple[int, int]] = []
    shift = 0
    for n, (place, stamp) in enumerate(known):
        time = stamp + shift
        top = trusted[-1][1] if trusted else time - 1
        if time <= top:
            following = known[n + 1][1] + shift if n + 1 < len(known) else top + 1
            if time == top or following > top:
                continue  # a stamp repeated, or one that goes back alone
            if len(trusted) > 1 and time > trusted[-2][1]:
                trusted.pop()  # the stamp before went ahead alone
            else:
                shift += top + gap - time
                time = top + gap
        trusted.append((place, time))
    return trusted
