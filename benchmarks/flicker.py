"""Flicker of mattes: their change from frame to frame that motion does not explain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Floats, Image, Matte
from pipeline.imaging import optical_flow


def flicker(frames: Sequence[Image], mattes: Sequence[Matte], truth: Sequence[Matte] | None = None) -> float:
    """Return the mean absolute change of mattes along the flow, where it is consistent; 0 to 255.

    A matte is warped to the next frame by dense flow and compared with the matte there. With `truth`, the
    change of the true matte at the same pixel is subtracted, down to zero: aliasing, inexact flow and
    disocclusions change the truth, too. An empty matte does not flicker, so accuracy has to be measured as
    well.
    """
    changes = []
    for n in range(1, len(frames)):
        previous, current = optical_flow.grey(frames[n - 1]), optical_flow.grey(frames[n])
        flow = optical_flow.flow(current, previous)
        reliable = optical_flow.forward_backward_error(flow, optical_flow.flow(previous, current)) < 1
        change = _change(mattes[n - 1], mattes[n], flow)
        if truth is not None:
            change = np.maximum(change - _change(truth[n - 1], truth[n], flow), 0)
        # Without reliable flow the pair counts as free of flicker.
        changes.append(change[reliable].mean() if reliable.any() else 0.0)
    return float(np.mean(changes))


def _change(previous: Matte, current: Matte, flow: Floats) -> Floats:
    return np.abs(optical_flow.warp(previous, flow).astype(np.float32) - current)
