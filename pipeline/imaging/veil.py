"""Removal of the veil that networks leave on flat backgrounds: faint alpha far from any subject.

A value of a few hundredths over a whole wall darkens or tints what is put behind the subject. Hair, smoke and
blurred edges are as faint, but lie beside something opaque, so there only the last hundredths are removed.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.arrays import Floats, as_floats

_CERTAIN = 0.04
"""Distance from 0 or 1 below which a value counts as 0 or 1."""

_CORE = 0.5
"""The value from which on a pixel belongs to a subject."""

_NEAR, _FAR = 0.02, 0.05
"""Distances from the subjects, as shares of the longer side: up to the first one alpha is as soft as it was,
beyond the second one it is a veil if it is faint."""

_FAINT, _VISIBLE = 0.1, 0.35
"""The value below which alpha far from a subject is removed, and the one from which on it is kept."""


def clear_veil(mask: Floats) -> Floats:
    """Return a soft mask, `[H, W]`, 0 to 1, without its veil.

    Both ends are stretched by a few hundredths. The change is continuous in value and place, so that nothing
    appears or vanishes at once in a video.
    """
    stretched = as_floats(np.clip((mask - _CERTAIN) / (1 - 2 * _CERTAIN), 0, 1))
    beside = (mask < _CORE).astype(np.uint8)
    if beside.all():
        share = np.zeros_like(stretched)
    else:
        near, far = (share * max(mask.shape) for share in (_NEAR, _FAR))
        distance = cv2.distanceTransform(beside, cv2.DIST_L2, 3)
        share = as_floats(np.clip((far - distance) / (far - near), 0, 1))
    kept = np.clip((stretched - _FAINT) / (_VISIBLE - _FAINT), 0, 1)
    return as_floats(stretched * (share + (1 - share) * kept))
