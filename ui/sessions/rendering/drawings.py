"""Pictures made of words for the backgrounds of sessions, whole or around a product, while somebody waits."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from pipeline.arrays import Matte
from pipeline.compositing.background import Words
from pipeline.compositing.canvas import multiply_alpha
from pipeline.compositing.edges import adjust_edges
from pipeline.compositing.images import save_png
from pipeline.errors import InputError
from pipeline.generation import loading
from pipeline.generation.backgrounds import make_picture
from pipeline.generation.drawing import Step
from pipeline.generation.filling import fill_around
from pipeline.generation.product import Facts
from pipeline.job import Job
from pipeline.video.reading.frames import Frame
from ui.sessions.library.drawn_backgrounds import FOLDER
from ui.sessions.rendering.protocol import DrawingStep, RenderRequest

_WAIT_SECONDS = 0.5
"""Between two steps that say that somebody else's picture is drawn first."""


class BackgroundDrawer:
    """Draws pictures, for one session at a time; the network is dropped behind each. Thread-safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def draw(self, request: RenderRequest, words: tuple[Words, ...]) -> Generator[DrawingStep, None, None]:
        """Draw the pictures that are not there yet; raises as `make_picture`."""
        size, count = request.job.result_size(request.clip), len(words)
        while not self._turn.acquire(timeout=_WAIT_SECONDS):
            yield DrawingStep(0, count, 0, 1)
        try:
            for number, each in enumerate(words):
                drawing = make_picture(each, size, request.folder / FOLDER, request.job.device)
                with closing(drawing) as steps:
                    for step in steps:
                        yield DrawingStep(number, count, step.done, step.total)
                yield DrawingStep(number + 1, count, 0, 1)
        finally:
            loading.unload()  # gigabytes, which the models need
            self._turn.release()

    def fill(
        self, job: Job, words: Words, frame: Frame | None, mattes: Sequence[Matte], path: Path
    ) -> Generator[Facts | Step, None, None]:
        """Write the background around what the mattes of a frame hold; raises as `fill_around`."""
        if frame is None or not mattes:
            raise InputError("product.none")
        matte = adjust_edges(np.maximum.reduce(list(mattes)), job.edges)
        alpha = multiply_alpha(matte, frame.alpha)
        while not self._turn.acquire(timeout=_WAIT_SECONDS):
            yield Step(0, 1)
        try:
            filled = yield from fill_around(words, frame.image, alpha, job.device)
            save_png(filled, path)
        finally:
            loading.unload()
            self._turn.release()
