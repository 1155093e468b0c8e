"""Flicker of mattes: their change from frame to frame that motion does not explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.arrays import Floats, Image, Mask, Matte
from pipeline.imaging import optical_flow


def flicker(frames: Sequence[Image], mattes: Sequence[Matte], truth: Sequence[Matte] | None = None) -> float:
    """Return the mean absolute change of mattes along the flow, where it is consistent; 0 to 255.

    A matte is warped to the next frame by dense flow and compared with the matte there. With `truth`, the
    change of the true matte at the same pixel is subtracted, down to zero: aliasing, inexact flow and
    disocclusions change the truth, too. An empty matte does not flicker, so accuracy has to be measured as
    well.
    """
    changes = []
    for n, (flow, reliable) in enumerate(_flows(frames), 1):
        change = _change(mattes[n - 1], mattes[n], flow)
        if truth is not None:
            change = np.maximum(change - _change(truth[n - 1], truth[n], flow), 0)
        changes.append(_mean(change, reliable))
    return float(np.mean(changes))


def flickers(frames: Sequence[Image], *sequences: Sequence[Matte]) -> list[float]:
    """Return the flicker of each of several sequences along the same flow, that of `frames`."""
    changes = [
        [_mean(_change(each[n - 1], each[n], flow), reliable) for each in sequences]
        for n, (flow, reliable) in enumerate(_flows(frames), 1)
    ]
    return [float(each) for each in np.mean(changes, axis=0)]


def _flows(frames: Sequence[Image]) -> Iterator[tuple[Floats, Mask]]:
    """Yield for each frame but the first the flow back to the one before, and where it is consistent."""
    for n in range(1, len(frames)):
        previous, current = optical_flow.grey(frames[n - 1]), optical_flow.grey(frames[n])
        flow = optical_flow.flow(current, previous)
        back = optical_flow.flow(previous, current)
        yield flow, optical_flow.forward_backward_error(flow, back) < 1


def _change(previous: Matte, current: Matte, flow: Floats) -> Floats:
    return np.abs(optical_flow.warp(previous, flow).astype(np.float32) - current)


def _mean(change: Floats, reliable: Mask) -> float:
    """Return the mean where flow is reliable; without any the pair counts as free of flicker."""
    return float(change[reliable].mean()) if reliable.any() else 0.0
