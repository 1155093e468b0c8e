"""Compute a job's matte ahead of its run: into the resume data that the run continues from.

A page shows each frame as soon as it is stored (`propagation.partial`), those around the frame on the stage
first; the run itself then only reads, composites and encodes. Nothing else is written.
"""

from __future__ import annotations

from collections.abc import Collection, Generator

from pipeline import devices
from pipeline.errors import InputError
from pipeline.job import Job, Progress
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.progress import ProgressMeter
from pipeline.propagation import resume, run
from pipeline.propagation.plan import frame_times, list_streams
from pipeline.propagation.scenes import find_plan_inputs
from pipeline.propagation.stream import create_stream
from pipeline.video.reading.probe import load_clip


def compute_ahead(
    job: Job, near: int = 0, *, raw: bool = False, streams: Collection[str] | None = None
) -> Generator[Progress, None, None]:
    """Compute the mattes of the job's frames, those around the frame of pts `near` first.

    `raw`: what the model makes of each frame, without scene cuts and reviews; the job is that of a piece, see
    `propagation.raw`. `streams` are the names of the plan's streams to compute; None: all.

    Continues what an earlier call or run left, and does nothing where the matte file covers the job. Closing
    the generator keeps what was computed. Raises InputError as `process` does, and RunError while a run of
    the same matte is going on.
    """
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    if job.matte is None:
        raise InputError("writing.ahead_without_file")
    device = devices.frame_device(job.device, job.decoder)
    frames = pts_range(job, clip)
    matte = MatteFile.find(job.matte, matte_key(job))
    if matte is not None and matte.covers(*frames):
        return
    stream = create_stream(job, thinned=raw)
    inputs = yield from find_plan_inputs(job, clip)
    plan = inputs.plan(clip, frames)
    times = frame_times(clip, None)
    wanted = [each for each in list_streams(plan) if streams is None or each.name in streams]
    meter = ProgressMeter("matte", sum(each.count(times) for each in wanted))
    with resume.open_folder(job, job.matte, clip, inputs, streams=streams) as folder:
        yield meter.progress(0)
        deep = job.high_bit_depth(clip)
        for step in run.run_ahead(clip, stream, plan, folder, near, deep, device, streams):
            meter.step(step.frames, step.resumed)
            yield meter.progress(0)
