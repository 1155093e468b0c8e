"""The pictures of a session: single frames with their masks, previews, thumbnails."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline import background, models, preview, video
from pipeline.composite import composer
from pipeline.errors import InputError, VideoError
from pipeline.job import GREEN
from pipeline.video import Frame
from ui import overlay
from ui.opened import Opened

Pixels = NDArray[np.uint8]

PREVIEWS = 6
_CLICK_STEPS = 8
_STRIP = 12
_POSTER_WIDTH = 320
_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Look:
    picture: Pixels
    """`[H, W, 3]`, or `[H, W, 4]` where what is behind shows through."""
    final: bool
    """Whether the same question will have the same answer: not so while a mask is not known yet."""


class Looks:
    """Makes the pictures and remembers the latest mattes; `open` gives a session as it stands now."""

    def __init__(self, open: Callable[[str], Opened]) -> None:
        self._open = open
        self._model = threading.Lock()
        """Held for one frame at a time: a look goes between the frames of somebody's previews."""
        self._mattes: OrderedDict[tuple[str, int], Pixels] = OrderedDict()

    def times(self, found: Opened) -> list[float]:
        """Seconds of every frame from the first."""
        return [float(pts * found.clip.time_base) for pts in video.index(found.clip.path).pts]

    def look(self, found: Opened, index: int, view: str) -> Look:
        """Frame number `index`: "original", "mask" (tinted), "cutout" (RGBA) or "over" its background.

        A frame whose mask is not known yet is shown as it is. Raises InputError for a frame or view that is
        none, or where the model refuses.
        """
        if view not in ("original", "mask", "cutout", "over"):
            raise InputError(f"There is no view called {view!r}.")
        order = video.index(found.clip.path).pts
        if not 0 <= index < len(order):
            raise InputError(f"{found.clip.name} has no frame number {index}.")
        pts = order[index]
        matte = None if view == "original" else self._matte(found, pts)
        frame = next(video.read(found.clip.path, pts, only=[pts]), None)
        if frame is None:
            raise VideoError(f"{found.clip.name}: frame {index} cannot be decoded.")
        if matte is None:
            return Look(frame.image, final=view == "original")
        if view == "mask":
            return Look(overlay.tinted(frame.image, matte), final=True)
        if view == "cutout":
            return Look(np.dstack((frame.image, matte)), final=True)
        compose = composer(found.job.background, found.clip.width, found.clip.height)
        return Look(compose(frame.image, matte, float(pts * found.clip.time_base)), final=True)

    def previews(self, found: Opened) -> Iterator[list[int]]:
        """Make the six previews; yields the numbers of the frames that are ready, one more each time."""
        order = video.index(found.clip.path).pts
        ready: list[int] = []
        for frame in self._run(found, preview.spread(found.clip, found.job, PREVIEWS)):
            ready.append(order.index(frame.pts))
            yield list(ready)

    def known(self, found: Opened) -> list[int]:
        """The numbers of the preview frames whose mattes are at hand, ascending."""
        index = video.index(found.clip.path)
        spread = preview.spread(found.clip, found.job, PREVIEWS)
        wanted = {index.at(round(t / found.clip.time_base)) for t in spread}
        if found.kept is None:
            wanted = {pts for pts in wanted if (found.job.matte_key, pts) in self._mattes}
        return sorted(index.pts.index(pts) for pts in wanted)

    def strip(self, found: Opened) -> bytes:
        """Twelve thumbnails side by side, as a JPEG; made once."""
        kept = found.folder / "strip.jpg"
        if not kept.exists():
            order = video.index(found.clip.path).pts
            wanted = [order[k * len(order) // _STRIP] for k in range(_STRIP)]
            pictures = {f.pts: f.image for f in video.read(found.clip.path, only=set(wanted))}
            fallback = next(iter(pictures.values()))
            data = overlay.strip([pictures.get(p, fallback) for p in wanted])
            with video.replacing(kept) as part:
                part.write_bytes(data)
        return kept.read_bytes()

    def poster(self, found: Opened) -> tuple[bytes, str]:
        """A small picture of the session: cut out where its matte is kept. With its MIME type."""
        middle = len(video.index(found.clip.path).pts) // 2
        view = "original" if found.kept is None else "cutout"
        return overlay.encoded(self.look(found, middle, view).picture, width=_POSTER_WIDTH)

    def revision(self, found: Opened) -> str:
        """Changes whenever the pictures of the session may."""
        kept = "" if found.kept is None else "kept"
        return f"{found.job.matte_key[:16]}{kept}-{background.spec(found.job.background, found.folder)}"

    def _matte(self, found: Opened, pts: int) -> Pixels | None:
        """From the kept matte, from a look before, or, on a frame with marks, from the model now."""
        key = (found.job.matte_key, pts)
        matte = self._mattes.get(key)
        if matte is not None or not self._answers(found, pts):
            return matte
        for _ in self._run(found, [float(pts * found.clip.time_base)], _CLICK_STEPS):
            pass
        return self._mattes.get(key)

    def _answers(self, found: Opened, pts: int) -> bool:
        """Whether this frame's mask can be had at once."""
        if found.kept is not None:
            return True
        if not found.job.prompts and not models.card(found.job.model).automatic:
            return False
        index = video.index(found.clip.path)
        marked = {prompt.time for prompt in found.job.prompts} or {0.0}
        return pts in {index.at(round(t / found.clip.time_base)) for t in marked}

    def _run(self, found: Opened, times: Iterable[float], steps: int = preview.STEPS) -> Iterator[Frame]:
        """Have the mattes of these frames made and remembered; a change of the marks ends it."""
        key = found.job.matte_key
        # Without what only matters for the result, and might forbid it.
        job = replace(found.job, background=GREEN, format="mp4")
        stream = preview.frames(job, times, steps)
        while True:
            with self._model:
                # Clicks wait here for their turn; one that a newer click has overtaken need not be done.
                if self._open(found.id).job.matte_key != key:
                    raise InputError("The marks have changed since.")
                pair = next(stream, None)
                if pair is None:
                    return
                frame, matte = pair
                self._mattes[key, frame.pts] = matte
                while sum(kept.nbytes for kept in self._mattes.values()) > _KEPT_BYTES:
                    self._mattes.popitem(last=False)
            yield frame
