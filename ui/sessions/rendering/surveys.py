"""Surveys of sessions' clips, made in the worker process once the mattes that they need are there."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from typing import Any

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.compositing.light import UNSURVEYED, FrameLight
from pipeline.files import file_state
from pipeline.generators import complete
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.propagation.partial import PartialMatte
from pipeline.rendering import survey
from pipeline.rendering.survey import SampleReader, Survey
from pipeline.video.reading.frames import Frame
from ui.sessions.rendering.protocol import RenderRequest

_CACHED = 8


class SurveyFinder:
    """Makes the surveys of sessions, and keeps the latest ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], Survey] = OrderedDict()

    def light_at(self, request: RenderRequest, frame: Frame, matte: Matte) -> tuple[FrameLight, bool]:
        """Return the light of a frame, and True if it is the one that a run finds.

        While mattes are missing, it is found from this frame alone. `matte` is `[H, W]` uint8.
        """
        job, clip = request.effective_job, request.clip
        if not job.is_surveyed:
            return UNSURVEYED, True
        found = self._find(request, job, clip)
        if found is None:
            return survey.survey_frame(job, clip, frame, matte).light_at(frame, matte), False
        return found.light_at(frame, matte), True

    def _find(self, request: RenderRequest, job: Job, clip: Clip) -> Survey | None:
        path = getattr(job.background, "path", None)
        file = None if path is None else file_state(path)
        key = request.id, matte_key(job), pts_range(job, clip), job.crop, job.background, file, job.light
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        read = _sample_reader(job, clip)
        if read is None:
            return None
        try:
            made = complete(survey.make_survey(job, clip, read))
        except (OSError, ValueError, zlib.error):  # a run has replaced the mattes meanwhile
            return None
        with self._lock:
            self._known[key] = made
            while len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return made


def _sample_reader(job: Job, clip: Clip) -> SampleReader | None:
    """Return a reader of the frames that a survey looks at; None while they do not all have their mattes."""
    matte_file = MatteFile.find(job.matte, matte_key(job))
    if matte_file is not None and matte_file.covers(*pts_range(job, clip)):
        return lambda wanted: matte_file.read_at(clip, wanted)
    partial = PartialMatte.find(job, clip)
    if partial is None or not partial.ready().issuperset(survey.sample_pts(job, clip)):
        return None
    return survey.read_partial(partial)
