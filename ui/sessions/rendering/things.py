"""The things on frames that clicks would take, found before a click, while nobody waits for the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import cv2
import numpy as np

from pipeline import models, preview
from pipeline.arrays import Matte
from pipeline.job import Job
from pipeline.prompts import Point
from pipeline.video.reading.frames import FrameReader
from ui.sessions.rendering.protocol import Outline, RenderRequest
from ui.sessions.rendering.turns import ModelTurns

_TOLERANCE = 0.0015
"""The deviation of an outline from its mask, as a share of the frame's longer side."""

_SPECK = 0.02
"""The share of a thing below which one of its parts, or holes, has no outline."""


class _GivenUp(Exception):
    """The search is not needed any more, or is in the way."""


class ThingFinder:
    """Finds things in the background, in short turns, unless somebody asks for the model. Thread-safe."""

    def __init__(self, turns: ModelTurns, read: FrameReader) -> None:
        self._turns = turns
        self._read = read
        self._newest: dict[str, object] = {}
        """The newest search of each session."""

    def find(self, request: RenderRequest, pts: int, point: Point) -> list[Outline] | None:
        """Return the outlines of the thing that a click at this point would take; empty for no clear one.

        None if the search was given up: somebody waits for the model, or there is a newer one of the session.
        """
        ticket, requests = object(), self._turns.requests
        self._newest[request.id] = ticket
        job = request.job
        models.load(job.model, job.device, job.weights)  # slow: not in a turn
        try:
            thing = self._search(job, pts, point, lambda: self._is_current(request.id, ticket, requests))
        except _GivenUp:
            return None
        finally:
            if self._newest.get(request.id) is ticket:
                self._newest.pop(request.id, None)
        return [] if thing is None else outline_mask(thing)

    def _is_current(self, id: str, ticket: object, requests: int) -> bool:
        return self._newest.get(id) is ticket and self._turns.requests == requests

    def _search(self, job: Job, pts: int, point: Point, is_current: Callable[[], bool]) -> Matte | None:
        """Return the thing at a point. Raises _GivenUp once it is not current."""
        with closing(preview.find_thing(job, pts, point, self._read)) as steps:
            next(steps, None)  # reads the frame
            while True:
                with self._turns.background():
                    if not is_current():
                        raise _GivenUp
                    try:
                        next(steps)
                    except StopIteration as end:
                        thing: Matte | None = end.value
                        return thing


def outline_mask(matte: Matte) -> list[Outline]:
    """Return the outlines of a mask's parts and holes, `[H, W]` uint8, without its specks."""
    solid = (matte > 127).astype(np.uint8)
    least = _SPECK * int(np.count_nonzero(solid))
    contours, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance = max(1.0, _TOLERANCE * max(matte.shape))
    kept = (cv2.approxPolyDP(c, tolerance, True) for c in contours if cv2.contourArea(c) >= least)
    return [[(int(x), int(y)) for x, y in contour[:, 0]] for contour in kept if len(contour) > 2]
