"""The pictures of a session: single frames with their masks, previews, thumbnails."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline import background, models, preview, prompts, stretches, video
from pipeline.background import Transparent
from pipeline.clip import Clip
from pipeline.composite import composer
from pipeline.errors import InputError, VideoError, WeightsError
from pipeline.job import GREEN, Job
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
        """By matte key and pts, one for each object: a mark on one does not make the others anew."""

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
        pts = _pts(found, index)
        mattes, whole = ({}, True) if view == "original" else self._mattes_of(found, pts)
        frame = next(video.read(found.clip.path, pts, only=[pts]), None)
        if frame is None:
            raise VideoError(f"{found.clip.name}: frame {index} cannot be decoded.")
        if not mattes:
            return Look(frame.image, final=view == "original")
        if view == "mask":
            return Look(overlay.tinted(frame.image, mattes), final=whole)
        matte = np.maximum.reduce(list(mattes.values()))
        behind = Transparent() if view == "cutout" else found.job.background
        with closing(composer(behind, found.clip.width, found.clip.height, found.job.edges)) as compose:
            picture = compose(frame.image, matte, float(pts * found.clip.time_base))
        return Look(np.asarray(picture, np.uint8), final=whole)

    def candidates(self, found: Opened, index: int, number: int) -> list[tuple[float, Pixels]]:
        """The readings of the lone click that object `number` has on frame `index`, with their scores.

        None where it has no such click, or the model only one answer.
        """
        pts = _pts(found, index)
        job = _parted(found.cut).get(number)
        if job is None:
            return []
        self._load(job)
        with self._model:
            read = preview.candidates(job, pts)
        if read is None:
            return []
        frame, candidates = read
        near = overlay.around([c.matte for c in candidates])
        return [(c.score, overlay.tinted(frame.image[near], {number: c.matte[near]})) for c in candidates]

    def previews(self, found: Opened) -> Iterator[list[int]]:
        """Make the six previews; yields the numbers of the frames that are ready, one more each time."""
        order = video.index(found.clip.path).pts
        wanted = preview.spread(found.clip, found.job, PREVIEWS)
        # What the result has is the union of all objects, and is at hand.
        *others, last = _parted(found.cut).values() if found.kept is None else [_plain(found.cut)]
        for job in others:
            for _ in self._run(found, job, wanted):
                yield []
        ready: list[int] = []
        for frame in self._run(found, last, wanted):
            ready.append(order.index(frame.pts))
            yield list(ready)

    def known(self, found: Opened) -> list[int]:
        """The numbers of the preview frames whose mattes are at hand, ascending."""
        index = video.index(found.clip.path)
        spread = preview.spread(found.clip, found.job, PREVIEWS)
        wanted = {index.at(round(t / found.clip.time_base)) for t in spread}
        if found.kept is None:
            keys = [job.matte_key for job in _parted(found.cut).values()]
            wanted = {pts for pts in wanted if all((key, pts) in self._mattes for key in keys)}
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
        order = video.index(found.clip.path).pts
        first, past = found.job.span(found.clip)
        middle = (bisect.bisect_left(order, first) + bisect.bisect_left(order, past)) // 2
        view = "original" if found.kept is None else "cutout"
        return overlay.encoded(self.look(found, middle, view).picture, width=_POSTER_WIDTH)

    def revision(self, found: Opened) -> str:
        """Changes whenever the pictures of the session may."""
        kept = "" if found.kept is None else "kept"
        ready = "" if _ready(found.cut) else "unready"
        behind = background.spec(found.job.background, found.folder)
        edges = "-".join(map(str, found.job.edges.to_json().values()))
        return f"{found.cut.matte_key[:16]}{kept}{ready}-{behind}-{edges}"

    def _mattes_of(self, found: Opened, pts: int) -> tuple[dict[int, Pixels], bool]:
        """The mattes on this frame by object, and whether these are all there will be.

        From looks before or, where it can answer at once, from the model now; others are not known yet. A
        kept matte is what the result has; it is the union of all objects, and stands for the first.
        """
        jobs = _parted(found.cut)
        if found.kept is not None:
            for _, matte in found.kept.only(found.clip, [pts]):
                return {min(jobs): matte}, True
        mattes = {}
        for number, job in jobs.items():
            key = job.matte_key, pts
            if key not in self._mattes and self._answers(found.clip, job, pts):
                for _ in self._run(found, job, [float(pts * found.clip.time_base)], _CLICK_STEPS):
                    pass
            if key in self._mattes:
                mattes[number] = self._mattes[key]
        return mattes, len(mattes) == len(jobs)

    def _answers(self, clip: Clip, job: Job, pts: int) -> bool:
        """Whether the model can tell this frame's mask of one object at once."""
        card = models.card(job.model)
        if not _ready(job) or not (job.prompts or card.automatic):
            return False
        if card.flickers:  # each frame's is found by itself
            return True
        return pts in (stretches.marked(job.prompts, clip) or {video.index(clip.path).at(0)})

    def _run(
        self, found: Opened, job: Job, times: Iterable[float], steps: int = preview.STEPS
    ) -> Iterator[Frame]:
        """Have one object's mattes of these frames made and remembered; a change of the marks ends it."""
        asked, index = found.cut.matte_key, video.index(found.clip.path)
        times = list(times)
        wanted = [(job.matte_key, index.at(round(t / found.clip.time_base))) for t in times]
        if found.kept is None:
            self._load(job)
        with closing(preview.made(job, times, steps)) as stream:
            while True:
                with self._model:
                    # Clicks wait here for their turn. One that a newer click has overtaken need not be done,
                    # and of several that ask for the same frame only the first.
                    if self._open(found.id).cut.matte_key != asked:
                        raise InputError("The marks have changed since.")
                    if len(wanted) == 1 and wanted[0] in self._mattes:
                        return
                    try:
                        pair = next(stream)
                    except StopIteration:
                        return
                    if pair is not None:
                        self._remember((job.matte_key, pair[0].pts), pair[1].matte)
                if pair is not None:
                    yield pair[0]

    def _load(self, job: Job) -> None:
        """Have the model loaded before it is this one's turn: that is slow, and in nobody's way here."""
        models.loaded(job.model, job.device, job.weights)

    def _remember(self, key: tuple[str, int], matte: Pixels) -> None:
        self._mattes[key] = matte
        while sum(kept.nbytes for kept in self._mattes.values()) > _KEPT_BYTES:
            self._mattes.popitem(last=False)


def _pts(found: Opened, index: int) -> int:
    """That of frame number `index`; raises InputError where there is none."""
    order = video.index(found.clip.path).pts
    if not 0 <= index < len(order):
        raise InputError(f"{found.clip.name} has no frame number {index}.")
    return order[index]


def _parted(job: Job) -> dict[int, Job]:
    """The job of each object that is switched on, by its number; without marks, the job as it is."""
    plain, objects = _plain(job), prompts.by_object(job.asked)
    return {n: replace(plain, prompts=own, objects=()) for n, own in objects.items()} or {1: plain}


def _plain(job: Job) -> Job:
    """The job without what only matters for the result, and might forbid it."""
    return replace(job, background=GREEN, format="mp4", sound="own")


def _ready(job: Job) -> bool:
    """Whether the job's model can be loaded."""
    try:
        models.check(models.card(job.model), job.weights)
    except WeightsError:
        return False
    return True
