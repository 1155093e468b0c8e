"""SAM 2, EdgeTAM and SAM 3: a subject marked once, tracked through the clip by the network's own memory."""

from pipeline.models.sam2 import edgetam, model, sam3
from pipeline.models.sam2.model import Sam2

CARDS = (*model.CARDS, *edgetam.CARDS, *sam3.CARDS)

__all__ = ["CARDS", "Sam2"]
