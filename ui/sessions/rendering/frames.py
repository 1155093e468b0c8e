"""Pictures of sessions: asks the worker for them, and caches what the page asks at every tick.

In this process no video is decoded and no model is loaded.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pipeline import devices, models
from pipeline.compositing import background
from pipeline.compositing.background import Background, Footage, Words
from pipeline.compositing.light import NONE
from pipeline.errors import InputError, WorkerLost
from pipeline.files import file_state
from pipeline.formats import Format
from pipeline.generation.drawing import Step
from pipeline.generation.product import Facts
from pipeline.imaging.detection import Hit, split_phrases
from pipeline.job import Progress
from pipeline.jobs import preflight
from pipeline.keys import matte_key, pts_range, spaced_times
from pipeline.languages.messages import Message
from pipeline.matte import MatteFile
from pipeline.models import word_networks
from pipeline.video.reading.index_cache import has_index, load_index
from ui.sessions.limits.shares import FairSemaphore, WeightedSemaphore
from ui.sessions.rendering.protocol import (
    PREVIEWS,
    ClickCandidate,
    CropWindows,
    CutState,
    DrawingStep,
    EncodedImage,
    Encoding,
    Host,
    Inference,
    InferenceClient,
    MarksChanged,
    Outline,
    can_load_model,
)
from ui.sessions.session import Session

T = TypeVar("T")

PIXELS = 8192 * 4320
"""Limit on the pixels of all frames that are decoded at once for pictures: one of 8K, or four of 4K."""
_PREVIEWS, _PREVIEWS_EACH = 4, 2
"""Sets of previews that are made at once in all, and of each user; as many more of each user wait."""


def create_inference_service(device: str = devices.AUTO) -> Inference:
    """Create what a worker hosts, for a device; called in the worker, for it imports torch and av."""
    devices.prefer(device)
    from ui.sessions.rendering.inference import InferenceService

    return InferenceService()


class FrameClient:
    """Pictures and frame data of sessions. Thread-safe; methods that ask the worker may raise WorkerLost."""

    def __init__(self, host: Host) -> None:
        self._inference: Inference = InferenceClient(host)
        self._lock = threading.Lock()
        self._versions: dict[str, tuple[int, tuple[Any, ...]]] = {}
        """Version of each session's marks, and its `RenderRequest.matte_inputs`."""
        self._active: Counter[str] = Counter()
        """Number of requests in progress that depend on a session's marks."""
        self._pixels, self._preview_pixels = WeightedSemaphore(PIXELS), WeightedSemaphore(PIXELS)
        """Pixels of the frames decoded at once for pictures, and for previews, which take longer."""
        self._previews = FairSemaphore(
            _PREVIEWS,
            _PREVIEWS_EACH,
            _PREVIEWS_EACH,
            Message("choices.previews_busy"),
        )
        # Files are read once for each of their states.
        self._read_matte = lru_cache(maxsize=512)(self._read_matte_file)
        self._has_sound = lru_cache(maxsize=512)(self._file_has_sound)
        self._has_hardware = lru_cache(maxsize=64)(
            lambda key: self._query(lambda: self._inference.has_hardware_encoder(key))
        )
        self._write_index = lru_cache(maxsize=512)(self._write_missing_index)

    # ------------------------------------------------------------------ pictures

    def render_frame(
        self,
        session: Session,
        index: int,
        view: str,
        propagate: bool = False,
        width: int | None = None,
        encoding: Encoding = "page",
    ) -> EncodedImage:
        """Render frame number `index`: "original", "mask" (tinted), "cutout" (RGBA) or "over" a background.

        "matte" is the mask itself, in grey. The other tints of a mask are the views of `overlay.TINTS`.
        "classes" is the map of all classes.

        A frame whose mask is not known yet is shown as it is, and not `cut`. A frame on which marks correct a
        propagated mask is shown as a few frames propagate it there; with `propagate` as a run would. With
        `width` the picture is no wider than so many pixels and encoded quickly, for playing.

        Raises InputError for an unknown frame or view, if the model refuses, and if the marks have changed
        since `session` was opened.
        """
        masked = view != "original"
        if masked and not (session.licensed or self.has_matte(session)):  # as if its weights were not here
            plain = self.render_frame(session, index, "original", width=width, encoding=encoding)
            return replace(plain, final=False, cut=False)
        with ExitStack() as stack:
            if propagate:  # frame by frame, as previews, and for as long
                stack.enter_context(self._preview_slot(session))
            else:
                stack.enter_context(self._decode_slot(session))
            version = stack.enter_context(self._marks_version(session)) if masked else 0
            return self._inference.render_frame(
                session.render_request, version, index, view, propagate, width, encoding
            )

    def render_candidates(self, session: Session, index: int, number: int) -> list[ClickCandidate]:
        """Render the candidates of the single click that object `number` has on frame `index`.

        Empty if it has no such click, or its model returns only one mask.
        """
        self._check_licence(session)
        with self._decode_slot(session):
            return self._inference.render_candidates(session.render_request, index, number)

    def find_thing(self, session: Session, index: int, x: float, y: float) -> list[Outline] | None:
        """Find the outlines of the thing that a click on frame number `index` would take, in idle time.

        Empty for no clear thing, and for a model that does not tell things from each other; None if the
        search was given up because somebody waits for the model, or for a newer one of the session.
        """
        splits, clip = models.card(session.job.model).splits, session.clip
        if not (splits and session.licensed and can_load_model(session.job)):
            return []
        if not (0 <= x <= clip.width and 0 <= y <= clip.height):
            return []
        preflight.check_frame(session.clip)
        with self._preview_pixels.acquire(_pixels(session)):  # not those that clicks wait for
            return self._inference.find_thing(session.render_request, index, x, y)

    def find_words(
        self,
        session: Session,
        text: str,
        network: str = word_networks.GROUNDING_DINO,
        again: Sequence[float] = (),
    ) -> list[Hit] | None:
        """Find what a text names, in each scene of the part to keep; None once there is a newer search.

        With `again`, times in seconds, only from each of them on, such as where a subject was lost.
        `network` is one of `word_networks.NETWORKS`. Raises InputError where nothing is found, for a text
        without words, and for a model without boxes; WeightsError where the network's weights are missing or
        its licence is not acknowledged.
        """
        phrases, card = split_phrases(text), models.card(session.job.model)
        if not card.box:
            raise InputError("words.no_boxes", label=card.label)
        if network == word_networks.SAM3 and not session.accepts(models.card(word_networks.SAM3)):
            raise models.licence_error(models.card(word_networks.SAM3))
        with self._preview_slot(session):
            hits = self._inference.find_words(session.render_request, text, network, again)
        if hits is not None and not hits:
            raise InputError("words.not_found", words=", ".join(phrases))
        return hits

    def make_previews(self, session: Session, indices: Sequence[int] | None = None) -> Iterator[list[int]]:
        """Compute the six previews, or these frames; yields the numbers of the finished, one more each time.

        Raises InputError for a frame that there is not, and as `render_frame` of a mask.
        """
        self._check_licence(session)
        with self._preview_slot(session), self._marks_version(session) as version:
            chosen = None if indices is None else tuple(indices)
            yield from self._inference.make_previews(session.render_request, version, chosen)

    def compute_cut(self, session: Session, index: int) -> Generator[Progress, None, None]:
        """Compute the session's mattes ahead of its run, those around frame number `index` first.

        Raises MarksChanged once the marks have changed since `session` was opened.
        """
        self._check_licence(session)
        with self._marks_version(session) as version:
            yield from self._inference.compute_cut(session.render_request, version, index)

    def read_cut(self, session: Session) -> CutState:
        """Return how much of the session's cut is stored: by a finished run, or ahead of one."""
        if self.has_matte(session):
            times = load_index(session.clip.path)
            span = times.between(*pts_range(session.job, session.clip))
            first = bisect.bisect_left(times.pts, span[0])
            return CutState([(first, first + len(span))], session.review_times, len(span))
        return self._query(lambda: self._inference.read_cut(session.render_request))

    def draw_backgrounds(
        self, session: Session, words: tuple[Words, ...]
    ) -> Generator[DrawingStep, None, None]:
        """Draw the pictures of words for the session's frames into its folder; yields the progress."""
        return self._inference.draw_backgrounds(session.render_request, words)

    def fill_background(
        self, session: Session, words: Words, path: Path
    ) -> Generator[Facts | Step, None, None]:
        """Fill in the background around what is cut out of the first frame; yields facts and progress."""
        self._check_licence(session)
        with self._marks_version(session) as version:
            yield from self._inference.fill_background(session.render_request, version, words, path)

    def crop_windows(self, session: Session) -> CropWindows:
        """Return where the window of the session's crop is, as far as known."""
        if not session.job.follows_subject(session.clip):
            return CropWindows(0, [])
        with self._decode_slot(session):
            return self._query(lambda: self._inference.find_crop_windows(session.render_request))

    def cached_previews(self, session: Session) -> list[int]:
        """Return the numbers of the preview frames whose mattes are cached, ascending."""
        try:
            return self._query(lambda: self._inference.cached_previews(session.render_request))
        except WorkerLost:
            return []

    def preview_frames(self, session: Session) -> list[int]:
        """Return the numbers of the preview frames, ascending, each once."""
        pts = self.frame_pts(session)
        index, clip = load_index(session.clip.path), session.clip
        times = spaced_times(clip, session.job, PREVIEWS)
        return sorted({pts.index(index.frame_at(round(time / clip.time_base))) for time in times})

    def filmstrip(self, session: Session) -> bytes:
        """Return twelve thumbnails side by side, as a JPEG; rendered once."""
        path = session.folder / "strip.jpg"
        if not path.exists():
            with self._decode_slot(session):
                self._inference.write_filmstrip(session.render_request, path)
        return path.read_bytes()

    def write_sound(self, session: Session, path: Path) -> None:
        """Write the video's sound to `path` as AAC in MP4, which starts with the first frame.

        Raises VideoError if it cannot be decoded.
        """
        self._inference.write_sound(session.render_request, path)

    def poster(self, session: Session) -> tuple[bytes, str]:
        """Return a small picture of the session and its MIME type; cut out if its matte is stored."""
        with self._decode_slot(session):
            return self._inference.render_poster(session.render_request)

    # ------------------------------------------------------------------ frame and file data

    def frame_at(self, session: Session, time: float) -> int:
        """Return the number of the frame that is shown at a time, in seconds from the first frame."""
        pts = self.frame_pts(session)
        return pts.index(load_index(session.clip.path).frame_at(round(time / session.clip.time_base)))

    def frame_pts(self, session: Session) -> Sequence[int]:
        """Return the pts of every frame, ascending, in the clip's time base."""
        self._ensure_index(session)
        return load_index(session.clip.path).pts

    def frame_times(self, session: Session) -> list[float]:
        """Return the time of every frame, seconds from the first."""
        return [float(pts * session.clip.time_base) for pts in self.frame_pts(session)]

    def revision(self, session: Session) -> str:
        """Return a string that changes whenever the pictures of the session may."""
        stored = "kept" if self.has_matte(session) else ""
        loadable = "" if can_load_model(session.effective_job) and session.licensed else "unready"
        background_spec = background.format_spec(session.job.background, session.folder)
        edges = "-".join(map(str, session.job.edges.to_json().values()))
        light = "" if session.job.light == NONE else f"-{session.job.light}"
        return f"{matte_key(session.effective_job)[:16]}{stored}{loadable}-{background_spec}-{edges}{light}"

    def has_matte(self, session: Session) -> bool:
        """Return True if a matte of just this job is stored that covers the range it keeps."""
        path = session.job.matte
        state = None if path is None else file_state(path)
        if path is None or state is None:
            return False
        matte = self._read_matte(path, state)
        if matte is None or matte.key != matte_key(session.effective_job):
            return False
        self._ensure_index(session)
        return matte.covers(*pts_range(session.job, session.clip))

    def has_sound(self, bg: Background) -> bool:
        """Return True if the background is a video with sound."""
        state = file_state(bg.path) if isinstance(bg, Footage) else None
        return isinstance(bg, Footage) and state is not None and self._has_sound(bg.path, state)

    def has_hardware_encoder(self, form: Format) -> bool:
        """Return True if a device of this machine encodes this format."""
        return form.accelerated is not form and self._has_hardware(form.key)

    def invalidate(self, session: Session) -> None:
        """Abort requests for other marks than the session now has."""
        with self._lock:
            version, inputs = self._versions.get(session.id, (0, None))
            if inputs == session.render_request.matte_inputs:
                return
            version += 1
            self._versions[session.id] = version, session.render_request.matte_inputs
            busy = self._active[session.id] > 0
        if busy:
            with suppress(WorkerLost):  # then there is nothing to abort
                self._inference.invalidate(session.id, version)

    # ------------------------------------------------------------------

    def _check_licence(self, session: Session) -> None:
        """Raise WeightsError if a model is needed whose licence the owner has not acknowledged."""
        if not self.has_matte(session):
            session.check_licence()

    @contextmanager
    def _preview_slot(self, session: Session) -> Iterator[None]:
        """Hold a slot while frames are computed one after the other, for as long as that takes."""
        preflight.check_frame(session.clip)
        with self._previews.slot(session.row.owner_id), self._preview_pixels.acquire(_pixels(session)):
            yield

    @contextmanager
    def _decode_slot(self, session: Session) -> Iterator[None]:
        """Hold a slot while a frame is decoded. Raises InputError if one does not fit into memory."""
        with self._pixels.acquire(_pixels(session)):
            preflight.check_frame(session.clip)
            yield

    @contextmanager
    def _marks_version(self, session: Session) -> Iterator[int]:
        """Register a request for the marks of `session`; yields their version.

        Raises InputError if the marks have changed since `session` was opened.
        """
        with self._lock:
            inputs = session.render_request.matte_inputs
            version, newest = self._versions.get(session.id, (0, inputs))
            if newest != inputs:
                raise MarksChanged
            self._active[session.id] += 1
        try:
            yield version
        finally:
            with self._lock:
                self._active[session.id] -= 1
                if not self._active[session.id]:
                    del self._active[session.id]

    def _query(self, call: Callable[[], T]) -> T:
        """Ask the worker, and once more if it was lost: most likely another request killed it."""
        with suppress(WorkerLost):
            return call()
        return call()

    def _ensure_index(self, session: Session) -> None:
        """Have the frame index written beside the video, so that it is not decoded here."""
        path = session.clip.path
        if (state := file_state(path)) is not None:
            self._write_index(path, state)

    def _write_missing_index(self, path: Path, _state: tuple[int, int]) -> None:
        if not has_index(path):
            self._query(lambda: self._inference.write_index(path))

    def _read_matte_file(self, path: Path, _state: tuple[int, int]) -> MatteFile | None:
        return self._query(lambda: self._inference.read_matte(path))

    def _file_has_sound(self, path: Path, _state: tuple[int, int]) -> bool:
        return self._query(lambda: self._inference.has_sound(path))


def _pixels(session: Session) -> int:
    return session.clip.width * session.clip.height
