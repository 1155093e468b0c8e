"""Run a job: compute the matte of a video and render it, both in one pass.

Decoding with the model, compositing, and encoding run in threads of their own, joined by bounded queues;
OpenCV and FFmpeg release Python's lock, so the whole takes about as long as its slowest part. A result that
is cropped to its subject takes two passes, because the way of the window depends on all mattes; so does one
whose light is surveyed (see `rendering.survey`). Closing the
generator cancels: every thread ends, every file is closed, nothing half-written stays.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from pipeline import devices, formats, matte, models
from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.compositing.background import Footage, Picture
from pipeline.devices import FrameDevice
from pipeline.enlarging import loading as enlarging
from pipeline.errors import InputError, VideoError
from pipeline.files import remove_stale_parts, scratch_folder
from pipeline.generation.laying import lay_picture
from pipeline.generation.needs import check_needs
from pipeline.generators import retell
from pipeline.job import Job, Progress
from pipeline.jobs import preflight, speeds
from pipeline.keys import matte_key, pts_range
from pipeline.languages.messages import Message
from pipeline.matte import MatteFile
from pipeline.models import Prediction
from pipeline.progress import ProgressMeter, ReviewPoints
from pipeline.propagation import fine_edges, resume, run
from pipeline.propagation.partial import PartialMatte
from pipeline.propagation.plan import count_frames
from pipeline.propagation.prefetch import prefetch
from pipeline.propagation.raw import is_raw
from pipeline.propagation.run import Step
from pipeline.propagation.scenes import find_plan_inputs
from pipeline.propagation.stream import create_stream
from pipeline.rendering import survey
from pipeline.rendering.crop import Windows, WindowTracker
from pipeline.rendering.enlarge import enlarge_frames
from pipeline.rendering.masks import object_numbers
from pipeline.rendering.removal import SubjectRemover
from pipeline.rendering.renderer import RenderedFrame, Renderer
from pipeline.rendering.result import ResultTiming, open_output
from pipeline.rendering.survey import SampleReader, Survey
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import load_clip
from pipeline.video.writing.output import Output
from pipeline.video.writing.writer import Writer

_QUEUED_BYTES = 64 * 2**20
_MEASURED_FRAMES = 24
"""Number of frames from which on a run's speed is recorded."""


def process(job: Job, pieces: Sequence[Path] = ()) -> Generator[Progress, None, None]:
    """Write `job.output`, and `job.matte` if set; reuse a matte file there that covers the job.

    Where the matte is kept, an earlier run that did not end may have left its predictions (see
    `propagation.resume`): this one continues from them, and the files are the same to the bit as those of an
    uninterrupted run. `pieces` are the folders of resume data of the job's pieces, where other machines have
    run the model (see `propagation.raw`, and of streams `resume.open_folder`), or else those that are left
    beside the matte; the files are the same again.

    Yields after every frame. Raises InputError where the job cannot be done, before anything is written,
    and RunError where the machine fails; both leave the previous files as they were.
    """
    clip = load_clip(job.source, job.source_rate)
    check(job, clip)
    given, job = job, (yield from _lay_background(job, clip))
    device = devices.frame_device(job.device, job.decoder)
    frames, key = pts_range(job, clip), matte_key(job)
    matte_file = MatteFile.find(job.matte, key) if job.takes_kept_matte else None
    if matte_file is not None and matte_file.covers(*frames):
        resume.clear(matte_file)  # left if the run that made it was killed at its end
        yield from render(job, matte_file)
        return
    # A picture that is enlarged or drawn lies in a cache: the one that was given is not to be replaced.
    prepare_outputs(given, [job.output] if job.matte is None else [job.output, job.matte])
    count = len(load_index(clip.path).between(*frames))
    preflight.check(job, clip, count)
    raw = (pieces or resume.find_pieces(job, clip)) if is_raw(job) else ()
    stream = create_stream(job, raw=raw)
    notes = _model_notes(job)
    inputs = yield from find_plan_inputs(job, clip)
    with ExitStack() as stack:
        timing = ResultTiming.of(job, clip, frames)
        numbers = object_numbers(inputs.prompts)
        out = stack.enter_context(open_output(job, clip, timing, numbers))
        matte_writer = None
        if job.matte is None:
            folder = stack.enter_context(scratch_folder(job.output))
        else:
            first, past = frames
            matte_writer = matte.create_writer(job.matte, clip, key=key, start=first, past=past)
            stack.enter_context(matte_writer)
            folder = stack.enter_context(
                resume.open_folder(job, job.matte, clip, inputs, () if raw else pieces)
            )
        plan = inputs.plan(clip, frames)
        cropped, high_bit_depth = job.follows_subject(clip), job.high_bit_depth(clip)
        twice = cropped or job.needs_survey
        meter = ProgressMeter("matte", count_frames(plan, clip), later=count if twice else 0)
        windows = surveyed = remover = None
        if twice:
            with closing(
                run.run_ahead(clip, stream, plan, folder, frames[0], high_bit_depth, device)
            ) as ahead:
                for step in ahead:
                    meter.step(step.frames, step.resumed)
                    yield meter.progress(0)
            if not raw:
                _record_speed(job, clip, meter)
            mattes = PartialMatte.read(folder, plan, clip)
            if cropped:
                windows = yield from _follow(job, clip, mattes.unions(), meter)
            read = survey.read_partial(mattes)
            surveyed = yield from _survey(job, clip, read, meter)
            remover = _create_remover(job, clip, surveyed, read)
            meter.begin_render()
        steps = run.run_plan(
            clip,
            stream,
            plan,
            folder,
            high_bit_depth=high_bit_depth,
            lasting=twice or job.matte is not None,
            device=device,
            apart=formats.by_key(job.format).objects_apart,
        )
        if twice:
            steps = (step._replace(frames=int(step.pair is not None), resumed=0) for step in steps)
        yield from _write_result(
            job,
            clip,
            timing,
            steps,
            meter,
            out,
            windows,
            surveyed,
            remover,
            matte_writer,
            numbers,
            device,
            notes,
        )
    if job.matte is not None:
        resume.clear(MatteFile.open(job.matte))
    if twice:
        _record_rendering(job, clip, meter.processed, meter.average)
    elif not raw:
        _record_rendering(job, clip, meter.resumed, meter.resumed_average)
        _record_speed(job, clip, meter)


def render(job: Job, matte_file: MatteFile) -> Generator[Progress, None, None]:
    """Render the source over the background by a matte file, without a model. Raises as `process` does."""
    clip = load_clip(job.source, job.source_rate)
    check(job, clip)
    given, job = job, (yield from _lay_background(job, clip, matte_file))
    device = devices.frame_device(job.device, job.decoder)
    (first, past), (begin, end) = pts_range(job, clip), matte_file.pts_range(clip)
    frames = max(first, begin), min(past, end)
    if frames[0] >= frames[1]:
        raise InputError("writing.matte_lacks_part", name=matte_file.path.name, clip=clip.name)
    prepare_outputs(given, [job.output], matte_file.path)
    count = len(load_index(clip.path).between(*frames))
    preflight.check(job, clip, count)
    pairs = matte_file.read(clip, frames, high_bit_depth=job.high_bit_depth(clip), device=device)
    steps = (Step((frame, Prediction(alpha)), 1) for frame, alpha in pairs)
    meter = ProgressMeter("render", count)
    timing = ResultTiming.of(job, clip, frames)
    numbers = object_numbers(job.active_prompts)[:1]  # the file has one matte a frame
    with open_output(job, clip, timing, numbers) as out:
        windows = None
        if job.follows_subject(clip):
            windows = yield from _follow(job, clip, matte_file.read_mattes(clip, frames), meter)
        read = partial(matte_file.read_at, clip)
        surveyed = yield from _survey(job, clip, read, meter)
        remover = _create_remover(job, clip, surveyed, read)
        yield from _write_result(
            job, clip, timing, steps, meter, out, windows, surveyed, remover, numbers=numbers, device=device
        )
    _record_rendering(job, clip, meter.processed, meter.average)


def check(job: Job, clip: Clip) -> None:
    """Raise InputError where a job cannot be done, or what it needs for its background or size is missing."""
    job.check(clip)
    check_needs(job, clip)


def _lay_background(job: Job, clip: Clip, kept: MatteFile | None = None) -> Generator[Progress, None, Job]:
    """Return the job with the picture that its background is made of. Yields as `_follow` does."""
    waiting = Progress("matte", 0, clip.frames, 0.0, None)
    return (yield from retell(lay_picture(job, clip, kept), lambda _: waiting))


def _follow(
    job: Job, clip: Clip, mattes: Generator[tuple[int, Matte], None, None], meter: ProgressMeter
) -> Generator[Progress, None, Windows]:
    """Return the windows of a cropped result; yields after each matte, so that a run can be cancelled."""
    windows = WindowTracker((clip.width, clip.height), job.result_size(clip))
    with closing(mattes):
        for pts, matte in mattes:
            windows.add(pts, matte)
            yield meter.progress(0)
    return windows.follow(float(clip.time_base))


def _survey(
    job: Job, clip: Clip, read: SampleReader, meter: ProgressMeter
) -> Generator[Progress, None, Survey | None]:
    """Return the survey of a clip; None where the job needs none. Yields as `_follow` does."""
    if not job.needs_survey:
        return None
    return (yield from retell(survey.make_survey(job, clip, read), lambda _: meter.progress(0)))


def _create_remover(
    job: Job, clip: Clip, surveyed: Survey | None, read: SampleReader
) -> SubjectRemover | None:
    """Return the remover of the subject; None where the result does not show the clean plate."""
    if surveyed is None or not job.shows_plate:
        return None
    return SubjectRemover(clip, surveyed, survey.sample_pts(job, clip), read)


def _write_result(
    job: Job,
    clip: Clip,
    timing: ResultTiming,
    steps: Iterator[Step],
    meter: ProgressMeter,
    out: Output,
    windows: Windows | None = None,
    surveyed: Survey | None = None,
    remover: SubjectRemover | None = None,
    matte_writer: Writer | None = None,
    numbers: Sequence[int] = (1,),
    device: FrameDevice | None = None,
    notes: tuple[Message, ...] = (),
) -> Generator[Progress, None, None]:
    """Render the frames of `steps` to `out`; model, compositing and encoding overlap.

    `notes` are those of the model.
    """
    review, notes = ReviewPoints(clip), (*notes, *fine_edges.missing_note(job))
    written, depth = 0, _queue_depth(job, clip, device)
    if remover is not None:
        steps = remover.remove(steps)
    with (
        Renderer(
            job, clip, timing, windows, surveyed if job.is_surveyed else None, numbers, device is not None
        ) as renderer,
        closing(prefetch(steps, depth, devices.own_stream(device))) as predicted,
        ExitStack() as stack,
    ):

        def told() -> tuple[Message, ...]:
            removed = () if remover is None else remover.notes
            return _once(*out.notes, *renderer.notes, *removed, *notes)

        rendered = renderer.render(predicted, matte_writer)
        if job.upscale != 1:
            rendered = enlarge_frames(rendered, enlarging.load(job.upscale, job.device))
        ahead = prefetch(rendered, depth, devices.own_stream(device))
        for item in stack.enter_context(closing(ahead)):
            if isinstance(item, RenderedFrame):
                out.write(item.take(), item.pts)
                written += 1
                continue
            meter.step(item.frames, item.resumed)
            if item.pair is not None:
                review.add(item.pair[0].pts, item.pair[1].confidence)
            yield meter.progress(written, review.times, told())
    if not written:
        raise VideoError("video.nothing_decoded", name=clip.name)
    yield meter.progress(written, review.times, told())


def _model_notes(job: Job) -> tuple[Message, ...]:
    """Return why the job's model, which is loaded, could not be loaded as a setting asks for."""
    if models.card(job.model).given:
        return ()
    model = models.load(job.model, job.device, job.weights)
    return model.notes if isinstance(model, models.HasNotes) else ()


def _once(*notes: Message) -> tuple[Message, ...]:
    """Return the notes without repetitions, as of a device that is too small for several stages."""
    return tuple(note for n, note in enumerate(notes) if note not in notes[:n])


def prepare_outputs(job: Job, written: list[Path], *read: Path) -> None:
    """Remove what killed runs left of the files to be written.

    Raises InputError where a file would replace one that is read, or the other output.
    """
    read += (job.source,)
    if isinstance(job.background, Picture | Footage):
        read += (job.background.path,)
    if job.matte_in is not None:
        read += (job.matte_in.path,)
    read += tuple(prompt.mask.path for prompt in job.prompts if prompt.mask is not None)
    for path in written:
        if any(path.exists() and other.exists() and path.samefile(other) for other in read):
            raise InputError("writing.overwrites", name=path.name)
    if len({path.resolve() for path in written}) < len(written):
        raise InputError("writing.same_file", name=job.output.name)
    for path in written:
        remove_stale_parts(path)


def _queue_depth(job: Job, clip: Clip, device: FrameDevice | None) -> int:
    """Return the number of frames with their mattes that may wait between two threads."""
    each = clip.width * clip.height * (10 if job.high_bit_depth(clip) else 4)
    return devices.queue_depth(device, each, max(2, min(32, _QUEUED_BYTES // each)))


def _record_speed(job: Job, clip: Clip, meter: ProgressMeter) -> None:
    """Record the model's speed on this machine, unless the run was short."""
    if meter.processed >= _MEASURED_FRAMES:
        speeds.record_model(job, clip, meter.average)


def _record_rendering(job: Job, clip: Clip, frames: int, rate: float) -> None:
    """Record the rate at which so many frames with a stored matte were rendered, unless they were few."""
    if frames >= _MEASURED_FRAMES:
        speeds.record(speeds.rendering_key(job.format), "cpu", (clip.width, clip.height), rate)
