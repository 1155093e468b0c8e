"""Pictures of the map of all classes that a session's model knows."""

from __future__ import annotations

from pipeline import models, preview
from pipeline.arrays import Image
from pipeline.errors import InputError, VideoError
from pipeline.video.reading.frames import FrameReader
from pipeline.video.reading.index_cache import load_index
from ui.sessions.rendering import overlay
from ui.sessions.rendering.protocol import RenderRequest, can_load_model
from ui.sessions.rendering.stored_frames import shrink_image
from ui.sessions.rendering.turns import ModelTurns


def render_classes(
    request: RenderRequest, pts: int, width: int | None, turns: ModelTurns, read: FrameReader
) -> Image:
    """Render the map of the frame of a pts, `[H, W, 3]` uint8 RGB, no wider than `width` pixels.

    Raises InputError where the model knows no classes or has no weights, VideoError for a damaged frame.
    """
    job = request.job
    if not models.card(job.model).classes or not can_load_model(job):
        raise InputError("choices.view", view="classes")
    models.load(job.model, job.device, job.weights)  # before the model's lock, for loading is slow
    with turns.request():
        found = preview.find_classes(job, pts, read)
    if found is None:
        index = load_index(request.clip.path).pts.index(pts)
        raise VideoError("video.frame_damaged", name=request.clip.name, index=index)
    frame, numbers = found
    picture = overlay.draw_classes(frame.image, numbers)
    return picture if width is None else shrink_image(picture, width)
