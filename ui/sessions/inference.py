"""What is done on a device: the runs, and the pictures of sessions; the models live here.

A worker hosts it (`jobs.worker`): it is asked in plain data, by many threads at once, and answers with
picture files. `ui.sessions.frames` is the side that asks.
"""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import formats, models, preview, prompts
from pipeline.arrays import Matte, Pixels
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent
from pipeline.compositing.composite import open_composer
from pipeline.compositing.images import composite_on_black, multiply_alpha
from pipeline.errors import InputError, VideoError
from pipeline.files import replacing
from pipeline.job import GREEN, Job, Progress
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.propagation.plan import prompts_by_frame
from pipeline.propagation.predictions import FramePrediction
from pipeline.video import hardware
from pipeline.video.reading.frame_index import load_index, save_index
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.probe import probe_clip
from ui.sessions import overlay
from ui.sessions.protocol import PREVIEWS, EncodedImage, RenderRequest, can_load_model

_CLICK_STEPS = 8
_STRIP = 12
_POSTER_WIDTH = 320
_KEPT_BYTES = 128 * 2**20


class InferenceService:
    """Makes the pictures, and remembers the latest mattes.

    `version` counts the changes of a session's marks: what is asked for an older one than was heard of is not
    made any more.
    """

    def __init__(self) -> None:
        self._model = threading.Lock()
        """Held for one frame at a time: a look goes between the frames of somebody's previews."""
        self._mattes: OrderedDict[tuple[str, int], Matte] = OrderedDict()
        """By matte key and pts, one for each object: a mark on one does not make the others anew."""
        self._carried: set[tuple[str, int]] = set()
        """Those among them that were carried frame by frame, as a run would."""
        self._trail = preview.StateCache()
        self._newest: dict[str, int] = {}
        """The newest version of each session that was told of."""

    def process(self, job: Job) -> Generator[Progress, None, None]:
        return process(job)

    def invalidate(self, id: str, version: int) -> None:
        """The marks of a session are others from this version on."""
        self._newest[id] = max(version, self._newest.get(id, 0))

    def render_frame(
        self, work: RenderRequest, version: int, index: int, view: str, patient: bool
    ) -> EncodedImage:
        """As `ui.sessions.frames` says."""
        picture, final = self._look(work, version, index, view, patient)
        return EncodedImage(*overlay.encode(picture), final)

    def render_candidates(self, work: RenderRequest, index: int, number: int) -> list[tuple[float, str]]:
        """As `ui.sessions.frames` says."""
        pts = _pts(work, index)
        job = _parted(work.effective_job).get(number)
        if job is None:
            return []
        self._load(job)
        with self._model:
            read = preview.predict_candidates(job, pts)
        if read is None:
            return []
        frame, candidates = read
        near = overlay.crop_around([c.matte for c in candidates])
        return [
            (c.score, overlay.data_url(overlay.draw_masks(frame.image[near], {number: c.matte[near]})))
            for c in candidates
        ]

    def make_previews(self, work: RenderRequest, version: int) -> Iterator[list[int]]:
        """As `ui.sessions.frames` says."""
        order = load_index(work.clip.path).pts
        wanted = preview.spaced_times(work.clip, work.job, PREVIEWS)
        # What the result has is the union of all objects, and is at hand.
        *others, last = (
            _parted(work.effective_job).values() if _kept(work) is None else [_plain(work.effective_job)]
        )
        for job in others:
            for _ in self._run(work, version, job, wanted):
                yield []
        ready: list[int] = []
        for frame in self._run(work, version, last, wanted):
            ready.append(order.index(frame.pts))
            yield list(ready)

    def cached_previews(self, work: RenderRequest) -> list[int]:
        """As `ui.sessions.frames` says."""
        index = load_index(work.clip.path)
        spread = preview.spaced_times(work.clip, work.job, PREVIEWS)
        wanted = {index.frame_at(round(t / work.clip.time_base)) for t in spread}
        if _kept(work) is None:
            keys = [matte_key(job) for job in _parted(work.effective_job).values()]
            wanted = {pts for pts in wanted if all((key, pts) in self._mattes for key in keys)}
        return sorted(index.pts.index(pts) for pts in wanted)

    def write_filmstrip(self, work: RenderRequest, kept: Path) -> None:
        """Write twelve thumbnails side by side, as a JPEG."""
        order = load_index(work.clip.path).pts
        wanted = [order[k * len(order) // _STRIP] for k in range(_STRIP)]
        pictures = {
            f.pts: np.asarray(composite_on_black(f.image, f.alpha), np.uint8)
            for f in read_frames(work.clip.path, only=set(wanted))
        }
        fallback = next(iter(pictures.values()))
        data = overlay.make_filmstrip([pictures.get(p, fallback) for p in wanted])
        with replacing(kept) as part:
            part.write_bytes(data)

    def render_poster(self, work: RenderRequest) -> tuple[bytes, str]:
        """As `ui.sessions.frames` says."""
        order = load_index(work.clip.path).pts
        first, past = pts_range(work.job, work.clip)
        middle = (bisect.bisect_left(order, first) + bisect.bisect_left(order, past)) // 2
        view = "original" if _kept(work) is None else "cutout"
        return overlay.encode(self._look(work, 0, middle, view)[0], width=_POSTER_WIDTH)

    # ------------------------------------------------------------------ what files say

    def write_index(self, path: Path) -> None:
        save_index(path)

    def read_matte(self, path: Path) -> tuple[str, int, int] | None:
        """What the matte file was made from, and for which frames; None where it cannot be read."""
        try:
            kept = MatteFile.open(path)
        except VideoError:
            return None
        return kept.key, kept.start, kept.end

    def has_sound(self, path: Path) -> bool:
        return bool(probe_clip(path).sound)

    def has_hardware_encoder(self, key: str) -> bool:
        return hardware.has_hardware_encoder(formats.by_key(key))

    # ------------------------------------------------------------------ how it is made

    def _look(
        self, work: RenderRequest, version: int, index: int, view: str, patient: bool = False
    ) -> tuple[Pixels, bool]:
        if view not in ("original", "mask", "cutout", "over"):
            raise InputError(f"There is no view called {view!r}.")
        pts = _pts(work, index)
        mattes, whole = ({}, True) if view == "original" else self._mattes_of(work, version, pts, patient)
        frame = next(read_frames(work.clip.path, pts, only=[pts]), None)
        if frame is None:
            raise VideoError(f"{work.clip.name}: frame {index} cannot be decoded.")
        shown = composite_on_black(frame.image, frame.alpha)
        if not mattes:
            return np.asarray(shown, np.uint8), view == "original"
        if view == "mask":
            kept = {number: multiply_alpha(matte, frame.alpha) for number, matte in mattes.items()}
            return overlay.draw_masks(np.asarray(shown, np.uint8), kept), whole
        matte = np.maximum.reduce(list(mattes.values()))
        behind = Transparent() if view == "cutout" else work.job.background
        with closing(open_composer(behind, work.clip.width, work.clip.height, work.job.edges)) as compose:
            picture = compose(frame.image, matte, float(pts * work.clip.time_base), frame.alpha)
        return np.asarray(picture, np.uint8), whole

    def _mattes_of(
        self, work: RenderRequest, version: int, pts: int, patient: bool
    ) -> tuple[dict[int, Matte], bool]:
        """The mattes on this frame by object, and whether these are all there will be.

        From looks before or, where it can answer at once, from the model now; others are not known yet. A
        correction is shown in haste as a few frames carry it there, and to a `patient` look as a run would.
        A kept matte is what the result has; it is the union of all objects, and stands for the first.
        """
        jobs, kept = _parted(work.effective_job), _kept(work)
        if kept is not None:
            for _, matte in kept.read_at(work.clip, [pts]):
                return {min(jobs): matte}, True
        mattes, rough = {}, False
        for number, job in jobs.items():
            key = matte_key(job), pts
            answers = can_load_model(job) and self._answers(work.clip, job, pts)
            carries = answers and preview.find_corrected_segment(work.clip, job, pts) is not None
            if carries and patient:
                self._carry(work, version, job, pts)
            elif key not in self._mattes and answers:
                at = [float(pts * work.clip.time_base)]
                for _ in self._run(work, version, job, at, _CLICK_STEPS):
                    pass
            if key in self._mattes:
                mattes[number] = self._mattes[key]
            rough |= carries and key not in self._carried
        return mattes, len(mattes) == len(jobs) and not rough

    def _answers(self, clip: Clip, job: Job, pts: int) -> bool:
        """Whether the model can tell this frame's mask of one object at once."""
        card = models.card(job.model)
        if not (job.prompts or card.automatic):
            return False
        if card.per_frame:  # each frame's is found by itself
            return True
        return pts in (prompts_by_frame(job.prompts, clip) or {load_index(clip.path).frame_at(0)})

    def _run(
        self, work: RenderRequest, version: int, job: Job, times: Iterable[float], steps: int = preview.STEPS
    ) -> Iterator[Frame]:
        """Have one object's mattes of these frames made and remembered; a change of the marks ends it."""
        index = load_index(work.clip.path)
        times = list(times)
        wanted = [(matte_key(job), index.frame_at(round(t / work.clip.time_base))) for t in times]
        if _kept(work) is None:
            self._load(job)
        with closing(preview.predict_steps(job, times, steps)) as stream:
            yield from self._turns(work, version, stream, wanted)

    def _carry(self, work: RenderRequest, version: int, job: Job, pts: int) -> None:
        """Have one object's matte of a frame carried there as a run would; a change of the marks ends it."""
        self._load(job)
        with closing(preview.predict_corrected(job, pts, self._trail)) as stream:
            for _ in self._turns(work, version, stream, [(matte_key(job), pts)], carried=True):
                pass

    def _turns(
        self,
        work: RenderRequest,
        version: int,
        stream: Iterator[FramePrediction | None],
        wanted: list[tuple[str, int]],
        *,
        carried: bool = False,
    ) -> Iterator[Frame]:
        """Run a stream that has the model for one frame at a time, and remember what it finds."""
        known = self._carried if carried else self._mattes
        while True:
            with self._model:
                # Clicks wait here for their turn. Of several that ask for the same frame only the first
                # need be done, and not one that a newer click has overtaken.
                if len(wanted) == 1 and wanted[0] in known:
                    return
                if self._newest.get(work.id, 0) > version:
                    raise InputError("The marks have changed since.")
                try:
                    pair = next(stream)
                except StopIteration:
                    return
                if pair is not None:
                    self._remember((wanted[0][0], pair[0].pts), pair[1].matte, carried=carried)
            if pair is not None:
                yield pair[0]

    def _load(self, job: Job) -> None:
        """Have the model loaded before it is this one's turn: that is slow, and in nobody's way here."""
        models.load(job.model, job.device, job.weights)

    def _remember(self, key: tuple[str, int], matte: Matte, *, carried: bool = False) -> None:
        if key in self._carried and not carried:
            return  # what is known is better
        self._mattes[key] = matte
        if carried:
            self._carried.add(key)
        while sum(kept.nbytes for kept in self._mattes.values()) > _KEPT_BYTES:
            gone, _ = self._mattes.popitem(last=False)
            self._carried.discard(gone)


def _kept(work: RenderRequest) -> MatteFile | None:
    """The matte file, where it was made from just this job and for all that it keeps of the video."""
    kept = MatteFile.find(work.job.matte, matte_key(work.effective_job))
    return kept if kept is not None and kept.covers(*pts_range(work.job, work.clip)) else None


def _pts(work: RenderRequest, index: int) -> int:
    """That of frame number `index`; raises InputError where there is none."""
    order = load_index(work.clip.path).pts
    if not 0 <= index < len(order):
        raise InputError(f"{work.clip.name} has no frame number {index}.")
    return order[index]


def _parted(job: Job) -> dict[int, Job]:
    """The job of each object that is switched on, by its number; without marks, the job as it is."""
    plain, objects = _plain(job), prompts.group_by_object(job.active_prompts)
    return {n: replace(plain, prompts=own, objects=()) for n, own in objects.items()} or {1: plain}


def _plain(job: Job) -> Job:
    """The job without what only matters for the result, and might forbid it."""
    return replace(job, background=GREEN, format="png", sound="own")
