"""Estimates of the time that a run of a session would take, from what is left to compute."""

from __future__ import annotations

from pipeline.jobs import speeds
from ui.sessions.rendering.protocol import CutState
from ui.sessions.session import Session


def expected_seconds(session: Session, cut: CutState, rate: float = 0.0) -> float | None:
    """Estimate the seconds of a run: the model for the frames that are not cut yet, rendering for the others.

    `rate` is that of the live cut, in frames a second; where it is 0, the speed measured in earlier runs on
    this machine is taken. None where nothing was measured.
    """
    left, size = max(0, cut.total - cut.done), (session.clip.width, session.clip.height)
    # A crop is rendered once all frames are cut.
    rendered = (
        cut.total if session.job.needs_survey or session.job.follows_subject(session.clip) else cut.done
    )
    rendering = speeds.expected_seconds(speeds.rendering_key(session.job.format), size, rendered)
    if not left:
        return rendering
    cutting = left / rate if rate > 0 else speeds.expected_seconds(session.job.model, size, left)
    # A run on frames that are not cut renders them meanwhile: its measured speed includes that.
    return None if cutting is None else cutting + (rendering or 0.0)
