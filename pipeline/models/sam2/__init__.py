"""SAM 2 and EdgeTAM: a subject marked once and tracked through the clip by the network's own memory."""

from pipeline.models.sam2 import edgetam, model
from pipeline.models.sam2.model import Sam2

CARDS = (*model.CARDS, *edgetam.CARDS)

__all__ = ["CARDS", "Sam2"]
