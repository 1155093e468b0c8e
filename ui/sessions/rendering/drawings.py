"""Pictures made of words for the backgrounds of sessions, while somebody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

from pipeline.compositing.background import Words
from pipeline.generation import loading
from pipeline.generation.backgrounds import make_picture
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
