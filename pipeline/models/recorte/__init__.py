"""Recorte's own model: finds a subject by itself or by marks, and tracks it."""

from pipeline.models.recorte.model import CARDS, Recorte

__all__ = ["CARDS", "Recorte"]
