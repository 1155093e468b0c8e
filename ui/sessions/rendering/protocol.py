"""Calls between the process that serves sessions and the worker process with the models.

`Inference` is what both ends implement: `ui.sessions.rendering.inference.InferenceService` in the worker, and
`InferenceClient` here, which passes each call on. Arguments and values are plain data that can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from pipeline import models, prompts
from pipeline.clip import Clip
from pipeline.compositing.background import Words
from pipeline.errors import InputError, WeightsError
from pipeline.generation.drawing import Step
from pipeline.generation.product import Facts
from pipeline.imaging.detection import Hit
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Arguments, Returned
from pipeline.matte import MatteFile

PREVIEWS = 6
"""Preview frames of a session."""

Encoding = Literal["page", "png", "jpeg"]
"""Encoding of a frame's picture: as small as the page needs it, or in the frame's own size as PNG or JPEG."""


@dataclass(frozen=True)
class RenderRequest:
    """Session as the worker needs it to render its frames."""

    id: str
    clip: Clip
    job: Job
    folder: Path

    @cached_property
    def effective_job(self) -> Job:
        """The job without the marks that its model cannot take: they are kept for a model that can."""
        card = models.card(self.job.model)
        supported = (
            replace(
                prompt,
                points=prompt.points if card.points else (),
                box=prompt.box if card.box else None,
                mask=prompt.mask if card.box else None,
                candidate=prompt.candidate if card.candidates else None,
            )
            for prompt in self.job.prompts
        )
        return replace(self.job, prompts=prompts.normalise(supported))

    @property
    def matte_inputs(self) -> tuple[Any, ...]:
        """Inputs of the matte; a different value means that the marks have changed."""
        job = self.effective_job
        return job.model, job.active_prompts, job.deflicker, job.weights, job.matte_in, job.hair, job.classes


@dataclass(frozen=True)
class EncodedImage:
    """Encoded picture of a frame."""

    data: bytes
    """JPEG, or WebP with alpha where the background is transparent; PNG where that was asked for."""
    mime: str
    final: bool
    """False while the same request may return another picture, such as before its mask is known."""
    cut: bool = True
    """False where the plain frame is shown because its mask is not known."""
    surveyed: bool = True
    """False where its light is that of the frame alone, until the whole range is cut."""


class DrawingStep(NamedTuple):
    """Progress of pictures that are drawn of words."""

    drawn: int
    pictures: int
    """Pictures that are there, of so many."""
    done: int
    total: int
    """Steps of the network for the next one; 0 while it is loaded, or others are drawn first."""


class CutState(NamedTuple):
    """Stored part of a cut that is computed ahead of its run."""

    ready: list[tuple[int, int]]
    """Ranges [first, past) of frame numbers, ascending."""
    checks: list[float]
    """Seconds at which it should be reviewed."""
    total: int
    """Number of frames in the session's range."""

    @property
    def done(self) -> int:
        """Number of frames that are cut."""
        return sum(past - first for first, past in self.ready)


class CropWindows(NamedTuple):
    """Windows of a cropped result, all of one size."""

    first: int
    """Number of the first frame in the result."""
    corners: list[tuple[int, int]]
    """Left and top of the window on that frame and the following ones, in pixels; empty while the windows are
    not known, because the mattes are not complete."""


class MarksChanged(InputError):
    """The session's marks have changed since the request."""

    def __init__(self) -> None:
        super().__init__("marks.changed")


class ClickCandidate(NamedTuple):
    """One of the masks that a single click may mean."""

    score: float
    """0 to 1."""
    picture: str
    """As a data URL."""
    name: str = ""
    """`pipeline.models.Candidate.name`."""


Outline = list[tuple[int, int]]
"""Corners of a closed line, x and y in pixels of the frame."""


class Inference(Protocol):
    """Service of the worker for sessions; called by many threads at once.

    `version` counts the changes of a session's marks: a request with an older one than was announced by
    `invalidate` raises MarksChanged. Every call may raise WorkerLost.
    """

    def process(self, job: Job) -> Generator[Progress, None, None]:
        """Run a job, as `pipeline.process.process`."""

    def hold_matte(self, path: Path) -> None:
        """Leave a matte's data to a run elsewhere until `release_matte`; return when it may begin."""

    def release_matte(self, path: Path) -> None:
        """Take back a matte's data from a run in another process."""

    def invalidate(self, id: str, version: int) -> None:
        """Announce that a session's marks have changed: requests for older versions are aborted."""

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
        """Render frame number `index` as `FrameClient.render_frame` says."""

    def render_candidates(self, request: RenderRequest, index: int, number: int) -> list[ClickCandidate]:
        """Render the candidates of the single click that object `number` has on frame `index`."""

    def find_thing(self, request: RenderRequest, index: int, x: float, y: float) -> list[Outline] | None:
        """Find the outlines of the thing that a click on frame number `index` would take; empty for none.

        None if it was given up, for another request or a newer one of the same session.
        """

    def find_words(
        self, request: RenderRequest, text: str, network: str, again: Sequence[float]
    ) -> list[Hit] | None:
        """Find what a text names, in each scene of the part to keep; None once there is a newer search.

        With `again`, times in seconds, only from each of them on. `network` is one of
        `word_networks.NETWORKS`. Raises InputError for a text without words, WeightsError
        where its weights are missing.
        """

    def make_previews(
        self, request: RenderRequest, version: int, indices: tuple[int, ...] | None
    ) -> Generator[list[int], None, None]:
        """Compute the previews' mattes, or those of other frames; yields the numbers of the finished ones."""

    def cached_previews(self, request: RenderRequest) -> list[int]:
        """Return the numbers of the preview frames whose mattes are cached, ascending."""

    def compute_cut(
        self, request: RenderRequest, version: int, index: int
    ) -> Generator[Progress, None, None]:
        """Compute the session's mattes ahead of its run, those around frame number `index` first.

        Gives way to all other requests, and ends when a run of the session begins.
        """

    def read_cut(self, request: RenderRequest) -> CutState:
        """Read how much of the cut is stored that is computed ahead of the run."""

    def draw_backgrounds(
        self, request: RenderRequest, words: tuple[Words, ...]
    ) -> Generator[DrawingStep, None, None]:
        """Draw the pictures of words for the session's frames into its folder."""

    def fill_background(
        self, request: RenderRequest, version: int, words: Words, path: Path
    ) -> Generator[Facts | Step, None, None]:
        """Fill in the background around what is cut out of the session's first frame, and write it as a PNG.

        Raises as `pipeline.generation.filling.fill_around`.
        """

    def find_crop_windows(self, request: RenderRequest) -> CropWindows:
        """Find the windows of the session's result, from its matte file or the cut ahead of its run."""

    def write_filmstrip(self, request: RenderRequest, path: Path) -> None:
        """Write twelve thumbnails side by side, as a JPEG."""

    def write_sound(self, request: RenderRequest, path: Path) -> None:
        """Write the video's sound as a file that browsers play, whose start is the first frame."""

    def render_poster(self, request: RenderRequest) -> tuple[bytes, str]:
        """Render a small picture of the session; returns its data and MIME type."""

    def write_index(self, path: Path) -> None:
        """Write a video's frame index beside it."""

    def read_matte(self, path: Path) -> MatteFile | None:
        """Read the tags of a matte file; None if it cannot be read."""

    def has_sound(self, path: Path) -> bool:
        """Return True if a video file has sound."""

    def has_hardware_encoder(self, key: str) -> bool:
        """Return True if a device of this machine encodes the format of this key."""


class Host(Protocol):
    """Host of an `Inference` in another process, such as `pipeline.jobs.worker.Worker`."""

    def call(self, method: Callable[[Any, *Arguments], Returned], *args: *Arguments) -> Returned: ...
    def stream(
        self, method: Callable[[Any, *Arguments], Iterator[Returned]], *args: *Arguments
    ) -> Generator[Returned, None, None]: ...


class InferenceClient:
    """Inference by a host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def process(self, job: Job) -> Generator[Progress, None, None]:
        return self._host.stream(Inference.process, job)

    def hold_matte(self, path: Path) -> None:
        self._host.call(Inference.hold_matte, path)

    def release_matte(self, path: Path) -> None:
        self._host.call(Inference.release_matte, path)

    def invalidate(self, id: str, version: int) -> None:
        self._host.call(Inference.invalidate, id, version)

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
        return self._host.call(
            Inference.render_frame, request, version, index, view, propagate, width, encoding
        )

    def render_candidates(self, request: RenderRequest, index: int, number: int) -> list[ClickCandidate]:
        return self._host.call(Inference.render_candidates, request, index, number)

    def find_thing(self, request: RenderRequest, index: int, x: float, y: float) -> list[Outline] | None:
        return self._host.call(Inference.find_thing, request, index, x, y)

    def find_words(
        self, request: RenderRequest, text: str, network: str, again: Sequence[float]
    ) -> list[Hit] | None:
        return self._host.call(Inference.find_words, request, text, network, again)

    def make_previews(
        self, request: RenderRequest, version: int, indices: tuple[int, ...] | None
    ) -> Generator[list[int], None, None]:
        return self._host.stream(Inference.make_previews, request, version, indices)

    def cached_previews(self, request: RenderRequest) -> list[int]:
        return self._host.call(Inference.cached_previews, request)

    def compute_cut(
        self, request: RenderRequest, version: int, index: int
    ) -> Generator[Progress, None, None]:
        return self._host.stream(Inference.compute_cut, request, version, index)

    def read_cut(self, request: RenderRequest) -> CutState:
        return self._host.call(Inference.read_cut, request)

    def draw_backgrounds(
        self, request: RenderRequest, words: tuple[Words, ...]
    ) -> Generator[DrawingStep, None, None]:
        return self._host.stream(Inference.draw_backgrounds, request, words)

    def fill_background(
        self, request: RenderRequest, version: int, words: Words, path: Path
    ) -> Generator[Facts | Step, None, None]:
        return self._host.stream(Inference.fill_background, request, version, words, path)

    def find_crop_windows(self, request: RenderRequest) -> CropWindows:
        return self._host.call(Inference.find_crop_windows, request)

    def write_filmstrip(self, request: RenderRequest, path: Path) -> None:
        self._host.call(Inference.write_filmstrip, request, path)

    def write_sound(self, request: RenderRequest, path: Path) -> None:
        self._host.call(Inference.write_sound, request, path)

    def render_poster(self, request: RenderRequest) -> tuple[bytes, str]:
        return self._host.call(Inference.render_poster, request)

    def write_index(self, path: Path) -> None:
        self._host.call(Inference.write_index, path)

    def read_matte(self, path: Path) -> MatteFile | None:
        return self._host.call(Inference.read_matte, path)

    def has_sound(self, path: Path) -> bool:
        return self._host.call(Inference.has_sound, path)

    def has_hardware_encoder(self, key: str) -> bool:
        return self._host.call(Inference.has_hardware_encoder, key)


def can_load_model(job: Job) -> bool:
    """Return True if the job's model has its weights, its matte, and an acknowledgement, if it needs them."""
    try:
        models.check_loadable(models.card(job.model), job.weights)
    except WeightsError:
        return False
    return job.matte_in is not None or not models.card(job.model).given
