"""Inference in the worker process: runs jobs and renders pictures of sessions; the models live here.

A `pipeline.jobs.worker.Worker` hosts the service; `ui.sessions.rendering.protocol` has its calls.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from pipeline import formats, models, preview
from pipeline.arrays import Matte, Pixels
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent, Words
from pipeline.compositing.canvas import composite_on_black, multiply_alpha
from pipeline.compositing.light import UNSURVEYED
from pipeline.errors import InputError, VideoError
from pipeline.generation.drawing import Step
from pipeline.generation.product import Facts
from pipeline.imaging.detection import Hit
from pipeline.job import Job, Progress
from pipeline.keys import matte_key, pts_range, spaced_times
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Point
from pipeline.propagation.partial import find_kept_mattes, find_mattes
from pipeline.propagation.plan import prompts_by_frame
from pipeline.propagation.predictions import FramePrediction
from pipeline.video import hardware
from pipeline.video.audio.audio_file import write_audio
from pipeline.video.reading.frames import Frame
from pipeline.video.reading.index_cache import load_index, save_index
from pipeline.video.reading.probe import probe_clip
from pipeline.weights.locate import cached_lookups
from ui.sessions.rendering import filmstrip, overlay, stored_frames
from ui.sessions.rendering.ahead import compute_cut, read_cut
from ui.sessions.rendering.class_maps import render_classes
from ui.sessions.rendering.composers import ComposerPool
from ui.sessions.rendering.crop_windows import CropWindowFinder
from ui.sessions.rendering.drawings import BackgroundDrawer
from ui.sessions.rendering.object_jobs import jobs_by_object, matte_job, predicts_exactly
from ui.sessions.rendering.protocol import (
    PREVIEWS,
    ClickCandidate,
    CropWindows,
    CutState,
    DrawingStep,
    EncodedImage,
    Encoding,
    MarksChanged,
    Outline,
    RenderRequest,
    can_load_model,
)
from ui.sessions.rendering.surveys import SurveyFinder
from ui.sessions.rendering.things import ThingFinder
from ui.sessions.rendering.turns import MatteWriters, ModelTurns
from ui.sessions.rendering.words import WordFinder

_CLICK_STEPS = 8
_POSTER_WIDTH = 320
_CACHE_BYTES = 128 * 2**20


class InferenceService:
    """`protocol.Inference` on this process's device, with a cache of the latest mattes."""

    def __init__(self) -> None:
        self._crop_windows = CropWindowFinder()
        self._turns = ModelTurns()
        """A turn is one frame: a click goes between the frames of somebody's previews."""
        self._writers = MatteWriters()
        self._mattes: OrderedDict[tuple[str, int], Matte] = OrderedDict()
        """By matte key and pts, one for each object: a mark on one does not recompute the others."""
        self._propagated: set[tuple[str, int]] = set()
        """The mattes among them that were propagated frame by frame, as a run would."""
        self._stored = stored_frames.StoredFrames()
        self._things = ThingFinder(self._turns, self._stored.read)
        self._words = WordFinder(self._turns)
        self._drawer = BackgroundDrawer()
        self._composers = ComposerPool()
        self._surveys = SurveyFinder()
        self._states = preview.StateCache()
        self._versions: dict[str, int] = {}
        """Newest announced version of each session's marks."""

    def process(self, job: Job) -> Generator[Progress, None, None]:
        with self._writers.run(str(job.matte)):
            yield from process(job)

    def hold_matte(self, path: Path) -> None:
        self._writers.hold(str(path))

    def release_matte(self, path: Path) -> None:
        self._writers.release(str(path))

    def invalidate(self, id: str, version: int) -> None:
        self._versions[id] = max(version, self._versions.get(id, 0))

    @cached_lookups()
    def render_frame(
        self,
        request: RenderRequest,
        version: int,
        index: int,
        view: str,
        propagate: bool,
        width: int | None,
        encoding: Encoding,
    ) -> EncodedImage:
        picture, *state = self._render(request, version, index, view, propagate, width)
        return EncodedImage(*overlay.encode(picture, quick=width is not None, encoding=encoding), *state)

    @cached_lookups()
    def render_candidates(self, request: RenderRequest, index: int, number: int) -> list[ClickCandidate]:
        pts = stored_frames.frame_pts(request, index)
        job = jobs_by_object(request.effective_job).get(number)
        if job is None:
            return []
        self._load_model(job)
        with self._turns.request():
            read = preview.predict_candidates(job, pts, self._stored.read)
        if read is None:
            return []
        frame, candidates = read
        near = overlay.crop_around([c.matte for c in candidates])
        return [
            ClickCandidate(
                c.score,
                overlay.data_url(overlay.draw_masks(frame.image[near], {number: c.matte[near]})),
                c.name,
            )
            for c in candidates
        ]

    @cached_lookups()
    def find_thing(self, request: RenderRequest, index: int, x: float, y: float) -> list[Outline] | None:
        return self._things.find(request, stored_frames.frame_pts(request, index), Point(x, y))

    def find_words(
        self, request: RenderRequest, text: str, network: str, again: Sequence[float]
    ) -> list[Hit] | None:
        return self._words.find(request, text, network, again)

    def make_previews(
        self, request: RenderRequest, version: int, indices: tuple[int, ...] | None
    ) -> Generator[list[int], None, None]:
        order = load_index(request.clip.path).pts
        if indices is None:
            times = spaced_times(request.clip, request.job, PREVIEWS)
        else:
            chosen = [stored_frames.frame_pts(request, index) for index in indices]
            times = [float(pts * request.clip.time_base) for pts in chosen]
        # A stored matte is the union of all objects, and needs no model.
        *others, last = (
            jobs_by_object(request.effective_job).values()
            if stored_frames.find_matte(request) is None
            else [matte_job(request.effective_job)]
        )
        for job in others:
            for _ in self._predict(request, version, job, times):
                yield []
        ready: list[int] = []
        for frame in self._predict(request, version, last, times):
            ready.append(order.index(frame.pts))
            yield list(ready)

    @cached_lookups()
    def cached_previews(self, request: RenderRequest) -> list[int]:
        index = load_index(request.clip.path)
        times = spaced_times(request.clip, request.job, PREVIEWS)
        cached = {index.frame_at(round(t / request.clip.time_base)) for t in times}
        if stored_frames.find_matte(request) is None:
            keys = [matte_key(job) for job in jobs_by_object(request.effective_job).values()]
            cached = {pts for pts in cached if all((key, pts) in self._mattes for key in keys)}
        return sorted(index.pts.index(pts) for pts in cached)

    def compute_cut(
        self, request: RenderRequest, version: int, index: int
    ) -> Generator[Progress, None, None]:
        return compute_cut(
            request,
            load_index(request.clip.path).pts[max(0, min(index, request.clip.frames - 1))],
            self._turns,
            self._writers,
            lambda: self._versions.get(request.id, 0) <= version,
        )

    def read_cut(self, request: RenderRequest) -> CutState:
        return read_cut(request)

    def draw_backgrounds(
        self, request: RenderRequest, words: tuple[Words, ...]
    ) -> Generator[DrawingStep, None, None]:
        return self._drawer.draw(request, words)

    def fill_background(
        self, request: RenderRequest, version: int, words: Words, path: Path
    ) -> Generator[Facts | Step, None, None]:
        pts = stored_frames.frame_pts(request, 0)
        mattes, _final, frame = self._mattes_at(request, version, pts, propagate=True)
        frame = frame or self._stored.frame(request.clip, pts)
        yield from self._drawer.fill(request.job, words, frame, list(mattes.values()), path)

    def find_crop_windows(self, request: RenderRequest) -> CropWindows:
        return self._crop_windows.find(request)

    def write_filmstrip(self, request: RenderRequest, path: Path) -> None:
        filmstrip.write(request.clip, path)

    def write_sound(self, request: RenderRequest, path: Path) -> None:
        write_audio(request.clip.path, path, request.clip.length)

    @cached_lookups()
    def render_poster(self, request: RenderRequest) -> tuple[bytes, str]:
        order = load_index(request.clip.path).pts
        first, past = pts_range(request.job, request.clip)
        middle = (bisect.bisect_left(order, first) + bisect.bisect_left(order, past)) // 2
        view = "original" if stored_frames.find_matte(request) is None else "cutout"
        return overlay.encode(self._render(request, 0, middle, view)[0], width=_POSTER_WIDTH)

    def write_index(self, path: Path) -> None:
        save_index(path)

    def read_matte(self, path: Path) -> MatteFile | None:
        return MatteFile.load(path)

    def has_sound(self, path: Path) -> bool:
        return bool(probe_clip(path).sound)

    def has_hardware_encoder(self, key: str) -> bool:
        return hardware.has_hardware_encoder(formats.by_key(key))

    def _render(
        self,
        request: RenderRequest,
        version: int,
        index: int,
        view: str,
        propagate: bool = False,
        width: int | None = None,
    ) -> tuple[Pixels, bool, bool, bool]:
        """Return the picture, and `EncodedImage.final`, `cut` and `surveyed` of it."""
        if view not in ("original", "matte", *overlay.TINTS, "cutout", "over", "classes"):
            raise InputError("choices.view", view=view)
        pts = stored_frames.frame_pts(request, index)
        if view == "classes":
            return render_classes(request, pts, width, self._turns, self._stored.read), True, True, True
        mattes, final, frame = (
            ({}, True, None) if view == "original" else self._mattes_at(request, version, pts, propagate)
        )
        if frame is None:
            frame = self._stored.frame(request.clip, pts)
        if frame is None:
            raise VideoError("video.frame_damaged", name=request.clip.name, index=index)
        surveyed, is_surveyed = UNSURVEYED, True
        if mattes and view in ("cutout", "over"):
            union = np.maximum.reduce(list(mattes.values()))
            surveyed, is_surveyed = self._surveys.light_at(request, frame, union)
        if width is not None:
            frame, surveyed = stored_frames.shrink(frame, width), stored_frames.shrink_light(surveyed, width)
            mattes = {number: stored_frames.shrink_image(matte, width) for number, matte in mattes.items()}
        visible = composite_on_black(frame.image, frame.alpha)
        if not mattes:
            return np.asarray(visible, np.uint8), view == "original", view == "original", True
        if view in overlay.TINTS:
            visible_mattes = {number: multiply_alpha(matte, frame.alpha) for number, matte in mattes.items()}
            return (
                overlay.draw_masks(np.asarray(visible, np.uint8), visible_mattes, overlay.TINTS[view]),
                final,
                True,
                True,
            )
        matte = np.maximum.reduce(list(mattes.values()))
        if view == "matte":
            return multiply_alpha(matte, frame.alpha), final, True, True
        bg = Transparent() if view == "cutout" else request.job.background
        height, width = matte.shape
        with self._composers.use(bg, width, height, request.job.edges, request.job.light) as compose:
            seconds = float(pts * request.clip.time_base)
            picture = compose(frame.image, matte, seconds, frame.alpha, surveyed)
        return np.asarray(picture, np.uint8), final, True, is_surveyed

    def _mattes_at(
        self, request: RenderRequest, version: int, pts: int, propagate: bool
    ) -> tuple[dict[int, Matte], bool, Frame | None]:
        """Return the mattes on this frame by object, True if they are final, and the frame if it was decoded.

        They come from the cache, or from the model if it can predict this frame directly; others are missing.
        A correction is propagated by a few frames, or with `propagate` as a run would. They are final if a
        run makes the same. A stored matte is what the result has; it is the union of all objects, and is
        returned as the first one's.
        """
        jobs, stored = jobs_by_object(request.effective_job), stored_frames.find_matte(request)
        if stored is not None:
            matte = self._stored.matte(stored, request.clip, pts)
            if matte is not None:
                return {min(jobs): matte}, True, None
        ahead = find_mattes(request.effective_job, request.clip, pts)
        ahead = ahead or find_kept_mattes(request.effective_job, request.clip, pts)
        if ahead is not None:
            return ahead, True, None
        mattes, rough, decoded = {}, False, None
        for number, job in jobs.items():
            key = matte_key(job), pts
            direct = can_load_model(job) and self._predicts_directly(request.clip, job, pts)
            corrected = direct and preview.find_corrected_segment(request.clip, job, pts) is not None
            if corrected and propagate:
                self._propagate(request, version, job, pts)
            elif key not in self._mattes and direct:
                at = [float(pts * request.clip.time_base)]
                for frame in self._predict(request, version, job, at, _CLICK_STEPS):
                    decoded = frame if frame.pts == pts else decoded
            if key in self._mattes:
                mattes[number] = self._mattes[key]
            rough |= key not in self._propagated and (corrected or not predicts_exactly(request, job, pts))
        return mattes, len(mattes) == len(jobs) and not rough, decoded

    def _predicts_directly(self, clip: Clip, job: Job, pts: int) -> bool:
        """Return True if the model can predict this frame's mask of one object without other frames."""
        card = models.card(job.model)
        if not (job.prompts or card.automatic):
            return False
        if job.is_per_frame:
            return True
        return pts in (prompts_by_frame(job.prompts, clip) or {load_index(clip.path).frame_at(0)})

    def _predict(
        self,
        request: RenderRequest,
        version: int,
        job: Job,
        times: Iterable[float],
        steps: int = preview.STEPS,
    ) -> Iterator[Frame]:
        """Compute and cache one object's mattes at these times (seconds), until the marks change."""
        index = load_index(request.clip.path)
        times, key = list(times), matte_key(job)
        frame_keys = [(key, index.frame_at(round(t / request.clip.time_base))) for t in times]
        if stored_frames.find_matte(request) is None:
            self._load_model(job)
        with closing(preview.predict_steps(job, times, steps, self._stored.read)) as stream:
            yield from self._run_interleaved(request, version, stream, frame_keys)

    def _propagate(self, request: RenderRequest, version: int, job: Job, pts: int) -> None:
        """Propagate one object's matte to a frame as a run would, and cache it, until the marks change."""
        self._load_model(job)
        with closing(preview.predict_corrected(job, pts, self._states)) as stream:
            for _ in self._run_interleaved(
                request, version, stream, [(matte_key(job), pts)], propagated=True
            ):
                pass

    def _run_interleaved(
        self,
        request: RenderRequest,
        version: int,
        stream: Iterator[FramePrediction | None],
        frame_keys: list[tuple[str, int]],
        *,
        propagated: bool = False,
    ) -> Iterator[Frame]:
        """Run a stream that holds the model for one frame at a time, and cache its mattes."""
        cached = self._propagated if propagated else self._mattes
        while True:
            with self._turns.request():
                # Clicks wait here for the model. Of several for the same frame only the first computes it,
                # and one whose marks have changed meanwhile is dropped.
                if len(frame_keys) == 1 and frame_keys[0] in cached:
                    return
                if self._versions.get(request.id, 0) > version:
                    raise MarksChanged
                try:
                    pair = next(stream)
                except StopIteration:
                    return
                if pair is not None:
                    self._cache((frame_keys[0][0], pair[0].pts), pair[1].matte, propagated=propagated)
            if pair is not None:
                yield pair[0]

    def _load_model(self, job: Job) -> None:
        """Load the model before taking the model's lock, for loading is slow."""
        if not models.card(job.model).given:
            models.load(job.model, job.device, job.weights)

    def _cache(self, key: tuple[str, int], matte: Matte, *, propagated: bool = False) -> None:
        if key in self._propagated and not propagated:
            return  # the propagated matte is the better one
        self._mattes[key] = matte
        if propagated:
            self._propagated.add(key)
        while sum(cached.nbytes for cached in self._mattes.values()) > _CACHE_BYTES:
            oldest, _ = self._mattes.popitem(last=False)
            self._propagated.discard(oldest)
