"""Flicker of mattes: their change from frame to frame beyond what movement explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Floats, Image, Matte
from pipeline.imaging import optical_flow


def flicker(frames: Sequence[Image], mattes: Sequence[Matte], truth: Sequence[Matte] | None = None) -> float:
    """The mean absolute change of the mattes along the flow, at full size, where it comes back; 0 to 255.

    A matte is carried on to the next frame by dense flow, and its change is the difference to the matte that
    was found there. With `truth`, what the true matte changes by at the same pixel is taken off, down to
    none: stairs, flow that is a little wrong and what is uncovered change the truth, too. A matte that stays
    empty does not flicker, so this is read beside a measure of accuracy.
    """
    changes = []
    for n in range(1, len(frames)):
        before, now = optical_flow.grey(frames[n - 1]), optical_flow.grey(frames[n])
        way = optical_flow.flow(now, before)
        followed = optical_flow.forward_backward_error(way, optical_flow.flow(before, now)) < 1
        change = _change(mattes[n - 1], mattes[n], way)
        if truth is not None:
            change = np.maximum(change - _change(truth[n - 1], truth[n], way), 0)
        # Nothing that can be followed is nothing that can be said.
        changes.append(change[followed].mean() if followed.any() else 0.0)
    return float(np.mean(changes))


def _change(before: Matte, now: Matte, way: Floats) -> Floats:
    return np.abs(optical_flow.warp(before, way).astype(np.float32) - now)
