"""All that the golden tests import of the program and of the other tests, each under one name."""

from __future__ import annotations

from db.engine import Database
from pipeline.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.edges import Edges
from pipeline.formats import FORMATS
from pipeline.job import Job
from pipeline.prompts import Box, Object, Point, Prompt
from tests.pipeline import stand_in

__all__ = [
    "FORMATS",
    "Blur",
    "Box",
    "Colour",
    "Database",
    "Edges",
    "Footage",
    "Job",
    "Object",
    "Picture",
    "Point",
    "Prompt",
    "Transparent",
    "stand_in",
]
