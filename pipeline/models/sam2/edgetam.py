"""EdgeTAM: SAM 2 with a small encoder and short memories, for processors and small GPUs.

Zhou et al., "EdgeTAM: On-Device Track Anything Model" (CVPR 2025), with its authors' own weights.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.models.base import Card, Model
from pipeline.models.sam2.model import Sam2
from pipeline.weights.spec import File, Weights

_LABEL = "EdgeTAM"


def _load(device: str, files: list[Path]) -> Model:
    from pipeline.networks import edgetam

    return Sam2(edgetam.load(files[0], device), _LABEL)


CARDS = (
    Card(
        key="edgetam",
        label=_LABEL,
        purpose="Follows what you click on through the whole clip, cuts too; twice as fast as SAM 2 Tiny.",
        points=True,
        box=True,
        automatic=False,
        licence="Apache-2.0",
        licence_url="https://github.com/facebookresearch/EdgeTAM/blob/main/LICENSE",
        load=_load,
        weights=Weights(
            (
                File(
                    "edgetam.pt",
                    "https://github.com/facebookresearch/EdgeTAM/raw/"
                    "7711e012a30a2402c4eaab637bdb00a521302c91/checkpoints/edgetam.pt",
                    56_116_523,
                    "ed2d4850b8792c239689b043c47046ec239b6e808a3d9b6ae676c803fd8780df",
                ),
            )
        ),
        candidates=True,
        slow_encoder=True,
        has_memory=True,
        preview_frames=8,
    ),
)
