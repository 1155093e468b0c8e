"""Raw predictions: what a model that takes each frame by itself makes of a clip, computed in pieces.

Scene cuts, deflickering, fine edges, strokes and reviews depend on the frames around; these are left to the
run, which reads the raw predictions instead of asking the model. A piece is a job of a range of frames that
is run ahead (`propagation.ahead`), so that its predictions lie in resume data of its own, and a piece that
was interrupted goes on.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import models, prompts
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.models import Model, Prediction, PromptedFrame
from pipeline.propagation.spool import Spool, StoredMatte, stored_mattes
from pipeline.video.reading.index_cache import load_index

if TYPE_CHECKING:  # FFmpeg is loaded only where frames are read
    from pipeline.propagation.predictions import FramePrediction
    from pipeline.video.reading.frames import Frame


def is_raw(job: Job) -> bool:
    """Return True if the model is given each frame without marks and without the frames before it."""
    card, active = models.card(job.model), job.active_prompts
    return (
        job.is_per_frame
        and card.automatic
        and not card.given
        # Strokes on one object are painted into what the model finds; those on several initialise a tracker.
        and not any(prompt.initialises for prompt in active)
        and len(prompts.group_by_object(active)) <= 1
    )


def cut(job: Job, clip: Clip, most_frames: int, folder: Path) -> list[Job]:
    """Return the jobs of a job's pieces, in order; each leaves its predictions beside its matte in `folder`.

    They are cut at every `most_frames` frames of the clip, so that jobs of other ranges have the same pieces.
    """
    first, past = pts_range(job, clip)
    times = load_index(clip.path).pts
    begins = [first, *(pts for pts in times[::most_frames] if first < pts < past)]
    bounds = zip(begins, [*begins[1:], past], strict=True)
    return [make_piece(job, clip, begin, None if end > times[-1] else end, folder) for begin, end in bounds]


def make_piece(job: Job, clip: Clip, begin: int, end: int | None, folder: Path) -> Job:
    """Return the job of the piece of the pts from `begin` to before `end`, or to the end of the clip."""
    seconds = clip.time_base
    piece = Job(
        job.source,
        folder / f"{begin}.mp4",
        job.model,
        # Format and background say with how many bits the frames are decoded.
        format=job.format,
        start=float(begin * seconds),
        end=None if end is None else float(end * seconds),
        device=job.device,
        decoder=job.decoder,
        weights=job.weights,
        deflicker=False,
        matte=folder / f"{begin}.mkv",
        classes=job.classes,
        source_rate=job.source_rate,
    )
    return replace(piece, background=job.background) if isinstance(job.background, Transparent) else piece


@dataclass(frozen=True)
class RawMattes:
    """The raw predictions of a job's pieces, and its model for frames that they lack."""

    model: Model
    clip: Clip
    pieces: Mapping[int, Path]
    """Folders of resume data by the pts of a piece's first frame, ascending."""

    @classmethod
    def of(cls, model: Model, clip: Clip, folders: Sequence[Path]) -> RawMattes:
        """`folders` are those of the resume data of pieces, in any order."""
        found: dict[int, Path] = {}
        for folder in folders:
            for stream in folder.glob("0-*-forward"):  # a piece has one object, and no marks
                found[int(stream.name.split("-")[1])] = stream
        return cls(model, clip, dict(sorted(found.items())))

    def predict(self, frames: Iterator[Frame]) -> Iterator[FramePrediction]:
        """Yield each frame with its raw prediction; a stream continues behind any of them."""
        begins = list(self.pieces)
        current, stored = -1, dict[int, StoredMatte]()
        for frame in frames:
            number = bisect.bisect_right(begins, frame.pts) - 1
            if number != current and number >= 0:
                current, stored = number, self._open(self.pieces[begins[number]])
            if frame.pts in stored:
                held = stored[frame.pts]
                yield frame, Prediction(held.read(self.clip), held.confidence, state=dict)
            else:
                # Of a piece that was not finished, or that its reading of a damaged clip could not decode.
                found = next(self.model.predict(iter([PromptedFrame(frame.image)])))
                yield frame, found._replace(state=dict)

    def _open(self, folder: Path) -> dict[int, StoredMatte]:
        with Spool(folder, self.clip, lasting=True):  # removes what is damaged
            return stored_mattes(folder)
