"""Schemas of the options of a composite: its edges and its light."""

from __future__ import annotations

from pydantic import Field

from pipeline.compositing.edges import MAX_PIXELS, Despill
from pipeline.compositing.light import MatchTo
from ui.server.api.look.base import STRICT, Schema


class Edges(Schema):
    """Options of the matte's edges; lengths in pixels of a frame 720 high."""

    model_config = STRICT

    clean: bool = True
    """Remove the old background's colour from semi-transparent pixels."""
    grow: float = Field(default=0.0, ge=-MAX_PIXELS, le=MAX_PIXELS)
    feather: float = Field(default=0.0, ge=0, le=MAX_PIXELS)
    despill: Despill = "none"


class Shadow(Schema):
    """Shadow that the subject throws on a level ground."""

    model_config = STRICT

    angle: float = Field(default=60.0, ge=-360, le=360)
    """Direction in which it falls, degrees: 0 to the right, 90 away from the viewer, 180 to the left."""
    length: float = Field(default=0.5, ge=0, le=4)
    """In heights of the subject."""
    softness: float = Field(default=0.4, ge=0, le=1)
    strength: float = Field(default=0.5, ge=0, le=1)


class Light(Schema):
    """Shadow and light that connect the subject with its background."""

    model_config = STRICT

    shadow: Shadow | None = None
    """null: no shadow is drawn."""
    wrap: float = Field(default=0.0, ge=0, le=1)
    """Share of the background's light that falls on the subject's edges."""
    keep: float = Field(default=0.0, ge=0, le=2)
    """Strength of the shadow that was filmed; 0: it is left out."""
    match: float = Field(default=0.0, ge=0, le=1)
    """Strength with which the colours of one are brought into the light of the other."""
    match_to: MatchTo = "background"
    """The one whose light stays: the other one's colours change."""
