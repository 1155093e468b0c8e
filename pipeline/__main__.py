"""The command line: `python -m pipeline`."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from PIL import Image

from pipeline import formats, models, preview
from pipeline.cluster.executor import run_on_cluster
from pipeline.command_line import batch_plan
from pipeline.command_line.batch import Batch, format_table, watch_pause
from pipeline.command_line.batch_plan import BatchJob
from pipeline.command_line.class_map import write_class_map
from pipeline.command_line.generate import make_background
from pipeline.command_line.marks import read_prompts
from pipeline.command_line.options import (
    add_cluster_option,
    add_json_option,
    add_licence_option,
    add_matte_options,
    add_rate_option,
    add_render_options,
    cluster_arguments,
)
from pipeline.command_line.plate import add_plate_option, check_plate, write_plate
from pipeline.command_line.weights import acknowledge, fetch_weights
from pipeline.command_line.words import find_words
from pipeline.command_output import (
    print_error,
    print_facts,
    print_remarks,
    show_download,
    show_models,
    show_progress,
)
from pipeline.compositing import background
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import UNSURVEYED, Light
from pipeline.errors import InputError, RecorteError
from pipeline.files import replacing
from pipeline.job import GREEN, Job
from pipeline.keys import matte_key
from pipeline.languages.messages import Message
from pipeline.matte import MatteFile
from pipeline.models import Card, classes, matte_in
from pipeline.models.helpers import find_weights
from pipeline.models.matte_in import BorrowedMatte
from pipeline.process import check, process, render
from pipeline.propagation import resume
from pipeline.rendering import survey
from pipeline.video.reading.probe import load_clip, probe_clip
from pipeline.weights import locate
from pipeline.weights.download import download_files

DONE, FAILED, AT_FAULT, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_INTERRUPTED = Message("command.interrupted")
_CAN_CONTINUE = Message("command.interrupted_continue")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _create_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status: int | None = options.run(options)
    except InputError as error:
        print_error(error.message)
        return AT_FAULT
    except RecorteError as error:
        print_error(error.message)
        return FAILED
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print_error(_name_too_long(str(error.filename)))
        return AT_FAULT
    except KeyboardInterrupt as interrupt:
        print_error(_CAN_CONTINUE if interrupt.args else _INTERRUPTED)
        return INTERRUPTED
    return DONE if status is None else status


def _name_too_long(path: str) -> Message:
    """Return the message on a file name that is too long, given or derived."""
    longest = max(Path(path).parts, key=lambda part: len(os.fsencode(part)), default=path)
    return Message("command.name_too_long", {"name": longest[:40]})


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Remove or replace the background of a video.",
        epilog="Coordinates are pixels of the displayed frame from its top left; times are seconds.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    made = command("run", _run, "Cut the subject out of INPUT and write it over a background to OUTPUT.")
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("output", metavar="OUTPUT", type=Path)
    add_matte_options(made)
    add_render_options(made)
    add_cluster_option(made)
    add_plate_option(made)

    made = command(
        "batch", _batch, "Run many videos, and keep a manifest: what is done already is left as it is."
    )
    made.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="a video, a folder, a pattern, or a CSV or JSONL list"
    )
    made.add_argument("folder", metavar="OUTDIR", type=Path)
    made.add_argument(
        "--name",
        metavar="TEMPLATE",
        default=batch_plan.DEFAULT_NAME,
        help="of {stem} {suffix} {model} {number}",
    )
    made.add_argument("--jobs", metavar="N", type=_positive, default=1, help="videos at a time")
    made.add_argument("--watch", action="store_true", help="go on with what is added, until interrupted")
    add_matte_options(made)
    add_render_options(made)
    add_cluster_option(made)

    made = command("preview", _preview, "Write one frame, cut out and laid over the background, as a PNG.")
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("output", metavar="OUTPUT.png", type=Path)
    made.add_argument("--at", metavar="SECONDS", type=float, default=0.0)
    made.add_argument(
        "--view", choices=("cut", "classes"), default="cut", help="the cut, or the map of all classes"
    )
    add_matte_options(made)
    add_render_options(made, crop=False)

    made = command(
        "render", _render, "Lay INPUT over a background by a MATTE that was kept; no model is run."
    )
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("kept", metavar="MATTE", type=Path)
    made.add_argument("output", metavar="OUTPUT", type=Path)
    add_render_options(made)
    add_plate_option(made)

    made = command("probe", _probe, "Tell what INPUT holds.")
    made.add_argument("input", metavar="INPUT", type=Path)
    add_rate_option(made)
    add_json_option(made)
    made = command("models", _models, "List the models.")
    add_json_option(made)
    made = command("download", _download, "Fetch a model's weights ahead of their first use.")
    made.add_argument("key", metavar="KEY")
    add_licence_option(made)
    add_json_option(made)
    return parser


def _build_job(options: argparse.Namespace) -> Job:
    """Build the job that the arguments of `run`, `preview` or `render` describe."""
    cut: dict[str, Any] = {}
    if hasattr(options, "model"):
        marks = read_prompts(options)
        cut = {
            "model": _choose_model(options, bool(marks) or options.words is not None).key,
            "prompts": marks,
            "hair": options.hair,
            "classes": tuple(filter(None, map(str.strip, (options.classes or "").split(",")))),
            "matte_in": _borrowed_matte(options),
            "weights": options.weights,
            "deflicker": not options.no_steady,
            "matte": options.matte,
            "device": options.device,
        }
    clip = load_clip(options.input, options.rate)
    # A preview is a single picture, of whatever size.
    form = formats.by_key(
        options.format
        or ("png" if options.run is _preview else formats.by_suffix(options.output, clip.is_picture).key)
    )
    behind = "transparent" if clip.is_picture and form.alpha else background.format_spec(GREEN)
    return Job(
        options.input,
        options.output,
        background=background.parse_argument(options.background or behind),
        format=form.key,
        start=options.start,
        end=options.end,
        quality=options.quality,
        sound=options.sound,
        rate=None if clip.untimed else options.rate,
        source_rate=options.rate if clip.untimed else None,
        hardware=options.hardware,
        decoder=options.decoder,
        crop=getattr(options, "crop", None),
        upscale=getattr(options, "upscale", Job.upscale),
        light=_light(options),
        edges=Edges(not options.no_clean_edges, options.grow, options.feather, options.despill),
        **cut,
    )


def _light(options: argparse.Namespace) -> Light:
    """Return the shadow and the light that are asked for."""
    drawn, kept = options.shadow
    match, match_to = options.match
    return Light(drawn, options.wrap, kept, match, match_to)


def _borrowed_matte(options: argparse.Namespace) -> BorrowedMatte | None:
    """Return the matte of another tool that is given. Raises InputError for options that need one."""
    invert, unpremultiply = options.matte_in_invert, options.matte_in_unpremultiply
    if options.matte_in is not None:
        return BorrowedMatte(options.matte_in, invert, unpremultiply)
    if invert or unpremultiply:
        option = "--matte-in-invert" if invert else "--matte-in-unpremultiply"
        raise InputError("command.matte_in_missing", option=option)
    return None


def _choose_model(options: argparse.Namespace, marked: bool) -> Card:
    """Return the model that is asked for, or the best of those that are ready."""
    if options.classes is not None:
        if options.model not in (None, "classes"):
            raise InputError("command.classes_model", key=options.model)
        options.model = "classes"
    if options.matte_in is not None:
        if options.model not in (None, matte_in.KEY):
            raise InputError("command.matte_in_model", key=options.model)
        options.model = matte_in.KEY
    if options.model is None and options.weights is not None:
        raise InputError("command.weights_without_model")
    if options.model is None and options.accept_licence:
        acknowledge(models.card(models.AUTOMATIC))
    card = models.card(options.model or models.choose_default(marked)[0])
    if card.weights is None and options.weights is not None:
        raise InputError("command.no_weights", label=card.label)
    return card


def _run(options: argparse.Namespace) -> None:
    check_plate(options, options.matte)
    job = _prepare(options)
    try:
        steps = process(job) if options.ray is None else run_on_cluster(job, options.ray, options.store)
        show_progress(steps, options.output, json_lines=options.json)
    except KeyboardInterrupt:
        if resume.can_resume(job, probe_clip(job.source, rate=job.source_rate)):
            raise KeyboardInterrupt(str(_CAN_CONTINUE)) from None
        raise
    write_plate(options, job, options.matte)


def _batch(options: argparse.Namespace) -> int:
    batch = Batch(options.folder, options.jobs, json_lines=options.json, cluster=cluster_arguments(options))
    seen: dict[BatchJob, str] = {}
    try:
        if options.watch:
            while True:
                seen = batch.watch(batch_plan.plan_jobs(options.inputs, options.folder, options), seen)
                watch_pause()
        batch.run(batch_plan.plan_jobs(options.inputs, options.folder, options))
    except KeyboardInterrupt:
        if not options.watch:
            raise
    if not options.json and batch.outcomes:
        print(format_table(batch.outcomes))
    return SOME_FAILED if batch.failed() else DONE


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _prepare(options: argparse.Namespace) -> Job:
    """Build the job of `run` or `preview`, fetch its weights, and print which model was chosen and why."""
    job = _build_job(options)
    clip = probe_clip(job.source, rate=job.source_rate)
    if options.words is not None:
        job = find_words(job, clip, options)
    check(job, clip)  # before hundreds of megabytes are fetched for it
    print_remarks(clip)
    card = models.card(job.model)
    kept = MatteFile.find(job.matte, matte_key(job)) if job.takes_kept_matte else None
    if job.weights is None and kept is None:
        fetch_weights(card, options)
    elif options.accept_licence:
        acknowledge(card)
    if options.model is None:
        print(models.choose_default(bool(job.prompts))[1], file=sys.stderr)
    return make_background(job, clip, options)


def _render(options: argparse.Namespace) -> None:
    check_plate(options, options.kept)
    if not options.kept.is_file():
        raise InputError("command.no_such_matte", name=options.kept.name)
    job = _build_job(options)
    clip = probe_clip(job.source, rate=job.source_rate)
    print_remarks(clip)
    check(job, clip)
    kept = MatteFile.open(options.kept)
    job = make_background(job, clip, options, kept)
    show_progress(render(job, kept), options.output, json_lines=options.json)
    write_plate(options, job, options.kept)


def _preview(options: argparse.Namespace) -> None:
    if options.output.suffix.lower() != ".png":
        raise InputError("command.not_png", name=options.output.name)
    if options.view == "classes" and options.classes is None:
        options.classes = ",".join(classes.DEFAULT)
    job = _prepare(options)
    clip = probe_clip(job.source, rate=job.source_rate)
    if options.view == "classes":
        write_class_map(job, options)
        return
    with closing(open_composer(job.background, clip.width, clip.height, job.edges, job.light)) as compose:
        for frame, prediction in preview.predict_frames(job, [options.at]):
            seconds = float(frame.pts * clip.time_base)
            surveyed = UNSURVEYED
            if job.is_surveyed:
                alone = survey.survey_frame(job, clip, frame, prediction.matte)
                surveyed = alone.light_at(frame, prediction.matte)
            picture = Image.fromarray(compose(frame.image, prediction.matte, seconds, frame.alpha, surveyed))
            with replacing(options.output) as part:
                picture.save(part, format="PNG")
            print_facts(
                {"output": str(options.output), "at": seconds},
                f"{options.output}: frame at {seconds:.2f} s.",
                json_lines=options.json,
            )


def _probe(options: argparse.Namespace) -> None:
    clip = probe_clip(options.input, rate=options.rate)
    sound = ", ".join(clip.sound) or "none"
    rate = f"{float(clip.rate):.3f}".rstrip("0").rstrip(".")
    text = (
        f"{clip.name}: {clip.width} × {clip.height}, {clip.duration:.2f} s, {clip.frames} frames, "
        f"{rate} a second{' (variable)' if clip.variable else ''}, {clip.codec}, {clip.depth} bits, "
        f"sound: {sound}"
    )
    print_facts(clip.to_json(), text, json_lines=options.json)
    print_remarks(clip)


def _models(options: argparse.Namespace) -> None:
    show_models(json_lines=options.json)


def _download(options: argparse.Namespace) -> None:
    label, weights = find_weights(options.key)
    if weights is None:
        print_facts(
            {"model": options.key, "files": []}, f"{label} needs no weights.", json_lines=options.json
        )
        return
    if options.key in models.cards():
        fetch_weights(models.card(options.key), options)
    else:
        show_download(download_files(weights), json_lines=options.json)
    files = [str(path) for path in locate.find_files(weights, label, options.key)]
    print_facts(
        {"model": options.key, "files": files},
        f"{label} is here: {', '.join(files)}",
        json_lines=options.json,
    )


if __name__ == "__main__":
    sys.exit(main())
