"""The pictures of a session, as the page asks for them: a worker makes them, and what is known is told here.

In this process no video is decoded and no model is loaded; what is asked with every tick of an open page does
not go to the worker either.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.compositing import background
from pipeline.compositing.background import Background, Footage
from pipeline.errors import InputError, WorkerLost
from pipeline.formats import Format
from pipeline.jobs import preflight
from pipeline.keys import matte_key, pts_range
from pipeline.video.reading.frame_index import has_index, load_index
from ui.sessions.protocol import EncodedImage, can_load_model
from ui.sessions.session import Session
from ui.sessions.shares import FairSemaphore, WeightedSemaphore

if TYPE_CHECKING:
    from ui.sessions.inference import InferenceService

PIXELS = 8192 * 4320
"""Of all frames that are decoded at once for pictures: one of 8K, or four of 4K."""
_PREVIEWS, _PREVIEWS_EACH = 4, 2
"""Sets of previews that are made at once in all, and of each user; as many more of each wait."""


def create_inference_service() -> InferenceService:
    """What a worker is to host; made over there, for it brings all that this process is spared."""
    from ui.sessions.inference import InferenceService

    return InferenceService()


class Host(Protocol):
    """What hosts a `ui.sessions.inference.InferenceService`, such as a `pipeline.jobs.worker.Worker`."""

    def call(self, name: str, *args: Any) -> Any: ...
    def stream(self, name: str, *args: Any) -> Generator[Any, None, None]: ...


class FrameClient:
    """Safe to ask from many threads. Whatever is made over there may raise WorkerLost."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[int, tuple[Any, ...]]] = {}
        """How often each session's marks have changed, and to what."""
        self._under_way: Counter[str] = Counter()
        """How many questions about each session's marks are being answered."""
        self._pixels, self._preview_pixels = WeightedSemaphore(PIXELS), WeightedSemaphore(PIXELS)
        """Of the frames that are decoded at once for pictures, and for previews, which take longer."""
        self._previews = FairSemaphore(
            _PREVIEWS,
            _PREVIEWS_EACH,
            _PREVIEWS_EACH,
            "Previews of yours are being made already. Try again when they are done.",
        )
        # What a file says is asked once for each state of it.
        self._matte = lru_cache(maxsize=512)(lambda path, _state: self._told("read_matte", path))
        self._sounds = lru_cache(maxsize=512)(lambda path, _state: bool(self._told("has_sound", path)))
        self._accelerates = lru_cache(maxsize=64)(lambda key: bool(self._told("has_hardware_encoder", key)))
        self._keep_index = lru_cache(maxsize=512)(self._index_kept)

    # ------------------------------------------------------------------ pictures

    def render_frame(self, found: Session, index: int, view: str, patient: bool = False) -> EncodedImage:
        """Frame number `index`: "original", "mask" (tinted), "cutout" (RGBA) or "over" its background.

        A frame whose mask is not known yet is shown as it is, and one on which marks correct what is carried
        there as a few frames carry it; who is `patient` waits until it is carried as a run would.

        Raises InputError for a frame or view that is none, where the model refuses, and where the marks have
        changed since `found` was opened.
        """
        marked = view != "original"
        if marked and not (found.licensed or self.has_matte(found)):  # as where its weights are not here
            return replace(self.render_frame(found, index, "original"), final=False)
        with ExitStack() as stack:
            if patient:
                # It goes frame by frame, as previews do, and takes as long.
                stack.enter_context(self._previewing(found))
            else:
                stack.enter_context(self._decoding(found))
            version = stack.enter_context(self._asking(found)) if marked else 0
            look: EncodedImage = self._host.call(
                "render_frame", found.render_request, version, index, view, patient
            )
        return look

    def render_candidates(self, found: Session, index: int, number: int) -> list[tuple[float, str]]:
        """The readings of the lone click that object `number` has on frame `index`, with their scores.

        Each is a picture as an address (`overlay.data_url`). None where it has no such click, or the model
        only one answer.
        """
        self._check_licence(found)
        with self._decoding(found):
            read: list[tuple[float, str]] = self._host.call(
                "render_candidates", found.render_request, index, number
            )
        return read

    def make_previews(self, found: Session) -> Iterator[list[int]]:
        """Make the six previews; yields the numbers of the frames that are ready, one more each time."""
        self._check_licence(found)
        with self._previewing(found), self._asking(found) as version:
            yield from self._host.stream("make_previews", found.render_request, version)

    def _check_licence(self, found: Session) -> None:
        """Raise WeightsError where a model is needed whose licence the owner has not acknowledged."""
        if not self.has_matte(found):
            found.check_licence()

    def cached_previews(self, found: Session) -> list[int]:
        """The numbers of the preview frames whose mattes are at hand, ascending."""
        try:
            known: list[int] = self._told("cached_previews", found.render_request)
        except WorkerLost:
            return []
        return known

    def filmstrip(self, found: Session) -> bytes:
        """Twelve thumbnails side by side, as a JPEG; made once."""
        kept = found.folder / "strip.jpg"
        if not kept.exists():
            with self._decoding(found):
                self._host.call("write_filmstrip", found.render_request, kept)
        return kept.read_bytes()

    def poster(self, found: Session) -> tuple[bytes, str]:
        """A small picture of the session: cut out where its matte is kept. With its MIME type."""
        with self._decoding(found):
            data, mime = self._host.call("render_poster", found.render_request)
        return data, mime

    # ------------------------------------------------------------------ what is known

    def frame_pts(self, found: Session) -> Sequence[int]:
        """Those of every frame, ascending, in the clip's time base."""
        self._indexed(found)
        return load_index(found.clip.path).pts

    def frame_times(self, found: Session) -> list[float]:
        """Seconds of every frame from the first."""
        return [float(pts * found.clip.time_base) for pts in self.frame_pts(found)]

    def revision(self, found: Session) -> str:
        """Changes whenever the pictures of the session may."""
        kept = "kept" if self.has_matte(found) else ""
        loadable = "" if can_load_model(found.effective_job) and found.licensed else "unready"
        behind = background.format_spec(found.job.background, found.folder)
        edges = "-".join(map(str, found.job.edges.to_json().values()))
        return f"{matte_key(found.effective_job)[:16]}{kept}{loadable}-{behind}-{edges}"

    def has_matte(self, found: Session) -> bool:
        """Whether there is a matte made from just this job, for all that it keeps of the video."""
        path = found.job.matte
        state = None if path is None else _state(path)
        if path is None or state is None:
            return False
        told = self._matte(path, state)
        if told is None or told[0] != matte_key(found.effective_job):
            return False
        self._indexed(found)
        first, past = pts_range(found.job, found.clip)
        return bool(told[1] <= first and past <= told[2])

    def has_sound(self, behind: Background) -> bool:
        """Whether a video with sound stands behind the subject."""
        state = _state(behind.path) if isinstance(behind, Footage) else None
        return isinstance(behind, Footage) and state is not None and self._sounds(behind.path, state)

    def has_hardware_encoder(self, form: Format) -> bool:
        """Whether a graphics card of this machine encodes this format."""
        return form.accelerated is not form and self._accelerates(form.key)

    def invalidate(self, found: Session) -> None:
        """The session is now as `found`: what is being made for other marks than these need not be."""
        with self._lock:
            version, asked = self._newest.get(found.id, (0, None))
            if asked == found.render_request.matte_inputs:
                return
            version += 1
            self._newest[found.id] = version, found.render_request.matte_inputs
            busy = self._under_way[found.id] > 0
        if busy:
            with suppress(WorkerLost):  # then nothing is being made, either
                self._host.call("invalidate", found.id, version)

    # ------------------------------------------------------------------ asking

    @contextmanager
    def _previewing(self, found: Session) -> Iterator[None]:
        """While frames of the session are made one after the other, for as long as that takes."""
        preflight.check_frame(found.clip)
        with self._previews.slot(found.row.owner_id), self._preview_pixels.acquire(_pixels(found)):
            yield

    @contextmanager
    def _decoding(self, found: Session) -> Iterator[None]:
        """While frames of the session are decoded. Raises InputError where one does not fit into memory."""
        with self._pixels.acquire(_pixels(found)):
            preflight.check_frame(found.clip)
            yield

    @contextmanager
    def _asking(self, found: Session) -> Iterator[int]:
        """While something is made for the marks as they are in `found`; gives their version."""
        with self._lock:
            version, asked = self._newest.get(found.id, (0, found.render_request.matte_inputs))
            if asked != found.render_request.matte_inputs:
                raise InputError("The marks have changed since.")
            self._under_way[found.id] += 1
        try:
            yield version
        finally:
            with self._lock:
                self._under_way[found.id] -= 1
                if not self._under_way[found.id]:
                    del self._under_way[found.id]

    def _told(self, name: str, *args: Any) -> Any:
        """What the worker knows. Asked twice where it was lost: most likely by what another asked of it."""
        with suppress(WorkerLost):
            return self._host.call(name, *args)
        return self._host.call(name, *args)

    def _indexed(self, found: Session) -> None:
        """See to it that the frame times lie beside the video, so that they need not be read from it here."""
        path = found.clip.path
        if (state := _state(path)) is not None:
            self._keep_index(path, state)

    def _index_kept(self, path: Path, _state: tuple[int, int]) -> None:
        if not has_index(path):
            self._told("write_index", path)


def _pixels(found: Session) -> int:
    return found.clip.width * found.clip.height


def _state(path: Path) -> tuple[int, int] | None:
    """What changes with the file; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
