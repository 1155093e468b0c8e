"""Cutting of a job into pieces that several nodes compute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pipeline.files import remove_stale_parts, scratch_folder
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.propagation import raw, resume

PIECE_FRAMES = 128
"""Frames of a piece: what a node computes in some minutes. A shorter job is not cut."""


@contextmanager
def cut_job(job: Job, nodes: int) -> Iterator[list[tuple[Job, int]]]:
    """Cut a job, for the block: yield its pieces in order, each with its frames; none where it runs whole.

    A job runs whole where there is room for fewer than two of it, `nodes`; whose model looks at other frames
    as well; which is short; whose matte is there; or that an earlier run has begun whole. The folder of the
    pieces is that of the job's resume data; without a matte to keep it ends with the block.
    """
    from pipeline.video.reading.index_cache import load_index
    from pipeline.video.reading.probe import load_clip

    if nodes < 2 or not raw.is_raw(job):
        yield []
        return
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    index, frames = load_index(clip.path), pts_range(job, clip)
    kept = None if job.matte is None else MatteFile.find(job.matte, matte_key(job))
    if len(index.between(*frames)) <= PIECE_FRAMES or (kept is not None and kept.covers(*frames)):
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
        yield [(piece, len(index.between(*pts_range(piece, clip)))) for piece in pieces]
