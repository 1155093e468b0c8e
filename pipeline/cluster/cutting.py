"""Cutting of a job into pieces that several nodes compute.

Where the model takes each frame by itself a piece is the raw predictions of some frames (`propagation.raw`).
Else it is some streams of the job's plan, and a job of its own with the same plan: the run that joins takes
their resume data over as if they were its own.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline import models
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent
from pipeline.compositing.light import NONE
from pipeline.files import remove_stale_parts, scratch_folder
from pipeline.job import GREEN, Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.propagation import raw, resume
from pipeline.propagation.plan import PlanInputs, list_streams
from pipeline.video.reading.index_cache import load_index

PIECE_FRAMES = 128
"""Frames of a piece: what a node computes in some minutes. A shorter job is not cut, nor one whose streams
beside the longest are shorter: what these take is all that further nodes can spare."""


class Cut(NamedTuple):
    """Piece of a job, as it is cut."""

    job: Job
    frames: int
    """Frames that the model is given."""
    streams: tuple[str, ...] = ()
    """Names of the streams that it is; none: it is raw predictions."""


def needs_plan(job: Job, nodes: int) -> bool:
    """Return True if a job may be cut into streams, which takes its plan; `nodes` as for `cut_job`."""
    from pipeline.video.reading.probe import load_clip

    if nodes < 2 or raw.is_raw(job) or models.card(job.model).given:
        return False
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    objects = len({prompt.object for prompt in job.active_prompts}) or 1
    return _count_frames(job, clip) * objects > PIECE_FRAMES and not _has_matte(job, clip)


@contextmanager
def cut_job(job: Job, nodes: int, inputs: PlanInputs | None = None) -> Iterator[tuple[Job, list[Cut]]]:
    """Cut a job, for the block: yield the job to run then, and its pieces; none where it runs whole.

    A job runs whole where there is room for fewer than two of it, `nodes`; which is short; whose matte is
    there; or whose model looks at other frames as well, unless `inputs`, those of its plan, are given. The
    folder of the pieces is that of the job's resume data; without a matte to keep it ends with the block.
    """
    if inputs is not None:
        with _cut_streams(job, inputs) as cut:
            yield cut
    elif nodes >= 2 and raw.is_raw(job):
        with _cut_raw(job) as pieces:
            yield job, pieces
    else:
        yield job, []


@contextmanager
def _cut_raw(job: Job) -> Iterator[list[Cut]]:
    """Cut a job whose model takes each frame by itself, unless an earlier run has begun it whole."""
    from pipeline.video.reading.probe import load_clip

    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    if _count_frames(job, clip) <= PIECE_FRAMES or _has_matte(job, clip):
        yield []
        return
    with ExitStack() as stack:
        if job.matte is None:
            remove_stale_parts(job.output)
            folder = stack.enter_context(scratch_folder(job.output))
        else:
            if resume.can_resume(job, clip) and not resume.find_pieces(job, clip):
                yield []
                return
            folder = stack.enter_context(resume.open_pieces(job.matte))
        pieces = raw.cut(job, clip, PIECE_FRAMES, folder)
        wanted = {resume.resume_folder(piece.matte) for piece in pieces if piece.matte is not None}
        for path in set(folder.iterdir()) - wanted:  # of another range
            shutil.rmtree(path, ignore_errors=True)
        yield [Cut(piece, _count_frames(piece, clip)) for piece in pieces]


@contextmanager
def _cut_streams(job: Job, inputs: PlanInputs) -> Iterator[tuple[Job, list[Cut]]]:
    """Cut a job into those of its streams that are not finished, the longest first."""
    from pipeline.video.reading.probe import load_clip

    given, clip = job, load_clip(job.source, job.source_rate)
    with ExitStack() as stack:
        if job.matte is None:  # what the run takes over lies beside a matte
            remove_stale_parts(job.output)
            job = replace(job, matte=stack.enter_context(scratch_folder(job.output)) / "matte.mkv")
        assert job.matte is not None
        with resume.open_folder(job, job.matte, clip, inputs, lasting=True) as whole:
            folder = stack.enter_context(resume.open_pieces(job.matte))
            cuts = _list_cuts(job, clip, inputs, whole, folder)
        yield job if cuts else given, cuts


def _list_cuts(job: Job, clip: Clip, inputs: PlanInputs, whole: Path, folder: Path) -> list[Cut]:
    """Prepare a job's pieces in `folder`, none where it is not worth it; `whole` has its resume data."""
    times = load_index(clip.path).pts
    # What a slow encoder makes of a frame serves all objects whose streams are there at the same time.
    together = models.card(job.model).slow_encoder
    groups: dict[object, dict[str, int]] = {}
    left = Counter[object]()
    for stream in list_streams(inputs.plan(clip, pts_range(job, clip))):
        key = (stream.segment.initial_pts, stream.direction) if together else stream.name
        count, (done, ended) = stream.count(times), resume.stored_frames(whole / stream.name)
        if done < count and not ended:
            groups.setdefault(key, {})[stream.name] = count
            left[key] += count - done
    if left.total() - max(left.values(), default=0) <= PIECE_FRAMES:
        return []
    cuts = []
    for group in (groups[key] for key, _ in left.most_common()):
        piece = _make_piece(job, folder / f"{next(iter(group))}.mkv")
        assert piece.matte is not None
        with resume.open_folder(piece, piece.matte, clip, inputs, streams=group, lasting=True) as own:
            for name in group:
                if any((whole / name).glob("segment-*.json")):  # begun: it goes on
                    shutil.copytree(whole / name, own / name, dirs_exist_ok=True)
        cuts.append(Cut(piece, sum(group.values()), tuple(group)))
    return cuts


def _make_piece(job: Job, matte: Path) -> Job:
    """Return the job of streams of another, which lie beside `matte`; nothing is rendered."""
    # Format and background say with how many bits the frames are decoded.
    shown = job.background if isinstance(job.background, Transparent) else GREEN
    return replace(
        job, output=matte.with_suffix(".mp4"), matte=matte, background=shown, sound="none", light=NONE
    )


def _count_frames(job: Job, clip: Clip) -> int:
    return len(load_index(clip.path).between(*pts_range(job, clip)))


def _has_matte(job: Job, clip: Clip) -> bool:
    """Return True if a kept matte is enough for the job."""
    kept = MatteFile.find(job.matte, matte_key(job)) if job.takes_kept_matte else None
    return kept is not None and kept.covers(*pts_range(job, clip))
