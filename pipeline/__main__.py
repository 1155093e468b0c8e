"""The command line: `python -m pipeline`."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, get_args

from PIL import Image

from pipeline import formats, models, preview, prompts
from pipeline.command_output import (
    print_error,
    print_facts,
    print_remarks,
    show_download,
    show_models,
    show_progress,
)
from pipeline.compositing import aspect, background
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import CLEAN, Despill, Edges
from pipeline.errors import InputError, PromptError, RecorteError
from pipeline.files import replacing
from pipeline.imaging import strokes
from pipeline.job import GREEN, Job, Sound
from pipeline.keys import matte_key
from pipeline.languages.messages import Message
from pipeline.matte import MatteFile
from pipeline.models import Card
from pipeline.process import process, render
from pipeline.prompts import Box, Point, Prompt, Stroke
from pipeline.propagation import resume
from pipeline.video.reading.probe import probe_clip
from pipeline.weights import licences, locate
from pipeline.weights.download import download_files

DONE, FAILED, AT_FAULT, INTERRUPTED = 0, 1, 2, 130

_STROKE = "X,Y,X,Y,…:WIDTH"
_INTERRUPTED = Message("command.interrupted")
_CAN_CONTINUE = Message("command.interrupted_continue")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _create_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.run(options)
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
    return DONE


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
    _add_matte_options(made)
    _add_render_options(made)

    made = command("preview", _preview, "Write one frame, cut out and laid over the background, as a PNG.")
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("output", metavar="OUTPUT.png", type=Path)
    made.add_argument("--at", metavar="SECONDS", type=float, default=0.0)
    _add_matte_options(made)
    _add_render_options(made, crop=False)

    made = command(
        "render", _render, "Lay INPUT over a background by a MATTE that was kept; no model is run."
    )
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("kept", metavar="MATTE", type=Path)
    made.add_argument("output", metavar="OUTPUT", type=Path)
    _add_render_options(made)

    made = command("probe", _probe, "Tell what INPUT holds.")
    made.add_argument("input", metavar="INPUT", type=Path)
    _add_json_option(made)
    made = command("models", _models, "List the models.")
    _add_json_option(made)
    made = command("download", _download, "Fetch a model's weights ahead of their first use.")
    made.add_argument("key", metavar="KEY")
    _add_licence_option(made)
    _add_json_option(made)
    return parser


def _add_matte_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="KEY", help="default: the best of those that are ready")
    for name, form, text in (
        ("--point", "X,Y[@SECONDS]", "a point on the subject"),
        ("--exclude", "X,Y[@SECONDS]", "a point that is not on it"),
        ("--box", "X0,Y0,X1,Y1[@SECONDS]", "a box around it"),
        ("--stroke", f"{_STROKE}[@SECONDS]", "a brush stroke over what is on it"),
        ("--erase", f"{_STROKE}[@SECONDS]", "a brush stroke over what is not on it"),
    ):
        parser.add_argument(name, metavar=form, action="append", default=[], help=text)
    parser.add_argument("--prompts", metavar="FILE.json", type=Path, help="marks as a JSON list")
    parser.add_argument("--matte", metavar="FILE.mkv", type=Path, help="keep the matte here, and reuse it")
    parser.add_argument("--device", metavar="auto|cpu|cuda[:N]", default="auto")
    parser.add_argument(
        "--weights", metavar="PATH", type=Path, help="the model's weights, a file or a folder"
    )
    _add_licence_option(parser)
    parser.add_argument(
        "--no-steady", action="store_true", help="leave the flicker of an automatic model as it is"
    )


def _add_licence_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-licence", action="store_true", help="acknowledge what the model's licence forbids, once"
    )


def _add_render_options(parser: argparse.ArgumentParser, crop: bool = True) -> None:
    parser.add_argument(
        "--background",
        metavar="SPEC",
        default=background.format_spec(GREEN),
        help="#rrggbb, a colour's name, a picture, a video, blur, blur:RADIUS or transparent",
    )
    parser.add_argument("--start", metavar="SECONDS", type=float, default=0.0)
    parser.add_argument("--end", metavar="SECONDS", type=float)
    parser.add_argument("--format", metavar="KEY", help="default: by OUTPUT's suffix")
    parser.add_argument("--quality", choices=formats.QUALITIES, default=Job.quality)
    parser.add_argument(
        "--sound", choices=get_args(Sound), default=Job.sound, help="the video's, the background's, or none"
    )
    parser.add_argument("--rate", metavar="FPS", type=_rate, help="an even rate; default: the video's times")
    if crop:
        parser.add_argument("--crop", metavar="|".join(aspect.ASPECTS), help="crop around the subject")
    parser.add_argument("--hardware", action="store_true", help="encode on the graphics card if it can")
    parser.add_argument("--grow", metavar="PIXELS", type=float, default=CLEAN.grow, help="widen the cut")
    parser.add_argument("--feather", metavar="PIXELS", type=float, default=CLEAN.feather, help="soften it")
    parser.add_argument(
        "--despill",
        choices=get_args(Despill),
        default=CLEAN.despill,
        help="take a coloured screen's light off the subject",
    )
    parser.add_argument(
        "--no-clean-edges", action="store_true", help="leave the old background's colour in the edges"
    )
    _add_json_option(parser)


def _rate(text: str) -> Fraction:
    """Parse `25`, `29.97` or `30000/1001`; short names of television rates stand for the exact ones.

    argparse shows this function's name in its message.
    """
    try:
        rate = Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(text) from error
    exact = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    return exact if text in ("23.98", "23.976", "29.97", "59.94", "119.88") else rate


def _add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line on standard output")


def _build_job(options: argparse.Namespace) -> Job:
    """Build the job that the arguments of `run`, `preview` or `render` describe."""
    cut: dict[str, Any] = {}
    if hasattr(options, "model"):
        marks = _read_prompts(options)
        cut = {
            "model": _choose_model(options, bool(marks)).key,
            "prompts": marks,
            "weights": options.weights,
            "deflicker": not options.no_steady,
            "matte": options.matte,
            "device": options.device,
        }
    # A preview is a single picture, of whatever size.
    form = options.format or ("png" if options.run is _preview else formats.by_suffix(options.output).key)
    return Job(
        options.input,
        options.output,
        background=background.parse_argument(options.background),
        format=form,
        start=options.start,
        end=options.end,
        quality=options.quality,
        sound=options.sound,
        rate=options.rate,
        hardware=options.hardware,
        crop=getattr(options, "crop", None),
        edges=Edges(not options.no_clean_edges, options.grow, options.feather, options.despill),
        **cut,
    )


def _choose_model(options: argparse.Namespace, marked: bool) -> Card:
    """Return the model that is asked for, or the best of those that are ready."""
    if options.model is None and options.weights is not None:
        raise InputError("command.weights_without_model")
    if options.model is None and options.accept_licence:
        _acknowledge(models.card(models.AUTOMATIC))
    card = models.card(options.model or models.choose_default(marked)[0])
    if card.weights is None and options.weights is not None:
        raise InputError("command.no_weights", label=card.label)
    return card


def _fetch_weights(card: Card, options: argparse.Namespace) -> None:
    """Check the licence, then download the weights if they are missing."""
    if options.accept_licence:
        _acknowledge(card)
    models.check_licence(card)
    if card.weights is None:
        return
    show_download(download_files(card.weights), json_lines=options.json)


def _acknowledge(card: Card) -> None:
    if card.restriction:
        licences.acknowledge(card.key, card.licence_url)


def _read_prompts(options: argparse.Namespace) -> tuple[Prompt, ...]:
    marks: list[Prompt] = []
    for keep, texts in ((True, options.point), (False, options.exclude)):
        for text in texts:
            (x, y), time_ = _parse_mark(text, 2)
            marks.append(Prompt(time_, (Point(x, y, keep),)))
    for text in options.box:
        corners, time_ = _parse_mark(text, 4)
        marks.append(Prompt(time_, box=Box.between(*corners)))
    marks += [_parse_stroke(text, True) for text in options.stroke]
    marks += [_parse_stroke(text, False) for text in options.erase]
    if options.prompts is not None:
        try:
            marks += prompts.from_json(json.loads(options.prompts.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise PromptError("command.no_marks_file", name=options.prompts.name) from error
    return prompts.normalise(marks)


def _parse_mark(text: str, count: int) -> tuple[list[float], float]:
    place, _, seconds = text.partition("@")
    try:
        numbers = [float(part) for part in place.split(",")]
        at = float(seconds) if seconds else 0.0
    except ValueError:
        numbers, at = [], 0.0
    if len(numbers) != count:
        form = "X,Y" if count == 2 else "X0,Y0,X1,Y1"
        raise PromptError("command.malformed_mark", text=text, form=form)
    return numbers, at


def _parse_stroke(text: str, keep: bool) -> Prompt:
    place, _, seconds = text.partition("@")
    path, _, width = place.partition(":")
    try:
        numbers = [float(part) for part in path.split(",")]
        stroke = Stroke(tuple(zip(numbers[::2], numbers[1::2], strict=True)), float(width), keep)
        return Prompt(float(seconds or 0), strokes=(strokes.simplify(stroke),))
    except ValueError:
        raise PromptError("command.malformed_stroke", text=text, form=_STROKE) from None


def _run(options: argparse.Namespace) -> None:
    job = _prepare(options)
    try:
        show_progress(process(job), options.output, json_lines=options.json)
    except KeyboardInterrupt:
        if resume.can_resume(job, probe_clip(job.source)):
            raise KeyboardInterrupt(str(_CAN_CONTINUE)) from None
        raise


def _prepare(options: argparse.Namespace) -> Job:
    """Build the job of `run` or `preview`, fetch its weights, and print which model was chosen and why."""
    job = _build_job(options)
    clip = probe_clip(job.source)
    job.check(clip)  # before hundreds of megabytes are fetched for it
    print_remarks(clip)
    card = models.card(job.model)
    if job.weights is None and MatteFile.find(job.matte, matte_key(job)) is None:
        _fetch_weights(card, options)
    elif options.accept_licence:
        _acknowledge(card)
    if options.model is None:
        print(models.choose_default(bool(job.prompts))[1], file=sys.stderr)
    return job


def _render(options: argparse.Namespace) -> None:
    if not options.kept.is_file():
        raise InputError("command.no_such_matte", name=options.kept.name)
    job = _build_job(options)
    print_remarks(probe_clip(job.source))
    show_progress(render(job, MatteFile.open(options.kept)), options.output, json_lines=options.json)


def _preview(options: argparse.Namespace) -> None:
    if options.output.suffix.lower() != ".png":
        raise InputError("command.not_png", name=options.output.name)
    job = _prepare(options)
    clip = probe_clip(job.source)
    with closing(open_composer(job.background, clip.width, clip.height, job.edges)) as compose:
        for frame, prediction in preview.predict_frames(job, [options.at]):
            seconds = float(frame.pts * clip.time_base)
            picture = Image.fromarray(compose(frame.image, prediction.matte, seconds, frame.alpha))
            with replacing(options.output) as part:
                picture.save(part, format="PNG")
            print_facts(
                {"output": str(options.output), "at": seconds},
                f"{options.output}: frame at {seconds:.2f} s.",
                json_lines=options.json,
            )


def _probe(options: argparse.Namespace) -> None:
    clip = probe_clip(options.input)
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
    card = models.card(options.key)
    if card.weights is None:
        print_facts(
            {"model": card.key, "files": []}, f"{card.label} needs no weights.", json_lines=options.json
        )
        return
    _fetch_weights(card, options)
    files = [str(path) for path in locate.find_files(card.weights, card.label, card.key)]
    print_facts(
        {"model": card.key, "files": files},
        f"{card.label} is here: {', '.join(files)}",
        json_lines=options.json,
    )


if __name__ == "__main__":
    sys.exit(main())
