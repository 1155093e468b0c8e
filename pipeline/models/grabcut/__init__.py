"""GrabCut and tracking without learned weights: a subject by its colours, position and motion."""

from pipeline.models.grabcut.model import CARDS, GrabCut

__all__ = ["CARDS", "GrabCut"]
