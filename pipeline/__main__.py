"""The command line: `python -m pipeline`."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from PIL import Image

from pipeline import background, formats, models, preview, prompts, video
from pipeline.background import Transparent
from pipeline.composite import composer
from pipeline.errors import InputError, PromptError, RecorteError
from pipeline.job import GREEN, Job, Progress
from pipeline.matte import Kept
from pipeline.process import process, render
from pipeline.prompts import Box, Point, Prompt

DONE, FAILED, AT_FAULT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return AT_FAULT
    except RecorteError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Interrupted; nothing was changed.", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
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
    _add_cut(made)
    _add_look(made)

    made = command("preview", _preview, "Write one frame, cut out and laid over the background, as a PNG.")
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("output", metavar="OUTPUT.png", type=Path)
    made.add_argument("--at", metavar="SECONDS", type=float, default=0.0)
    _add_cut(made)
    _add_look(made)

    made = command(
        "render", _render, "Lay INPUT over a background by a MATTE that was kept; no model is run."
    )
    made.add_argument("input", metavar="INPUT", type=Path)
    made.add_argument("kept", metavar="MATTE", type=Path)
    made.add_argument("output", metavar="OUTPUT", type=Path)
    _add_look(made)

    made = command("probe", _probe, "Tell what INPUT holds.")
    made.add_argument("input", metavar="INPUT", type=Path)
    _add_json(made)
    made = command("models", _models, "List the models.")
    _add_json(made)
    made = command("download", _download, "Fetch a model's weights ahead of their first use.")
    made.add_argument("key", metavar="KEY")
    return parser


def _add_cut(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="KEY", default=Job.model)
    for name, form, text in (
        ("--point", "X,Y[@SECONDS]", "a point on the subject"),
        ("--exclude", "X,Y[@SECONDS]", "a point that is not on it"),
        ("--box", "X0,Y0,X1,Y1[@SECONDS]", "a box around it"),
    ):
        parser.add_argument(name, metavar=form, action="append", default=[], help=text)
    parser.add_argument("--prompts", metavar="FILE.json", type=Path, help="marks as a JSON list")
    parser.add_argument("--matte", metavar="FILE.mkv", type=Path, help="keep the matte here, and reuse it")
    parser.add_argument("--start", metavar="SECONDS", type=float, default=0.0)
    parser.add_argument("--end", metavar="SECONDS", type=float)
    parser.add_argument("--device", metavar="auto|cpu|cuda[:N]", default="auto")
    parser.add_argument("--weights", metavar="PATH", type=Path, help="the model's weights, where it has any")


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--background",
        metavar="SPEC",
        default=background.spec(GREEN),
        help="#rrggbb, a colour's name, a picture, a video, blur, blur:RADIUS or transparent",
    )
    parser.add_argument("--format", metavar="KEY", help="default: by OUTPUT's suffix")
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line on standard output")


def _job(options: argparse.Namespace) -> Job:
    """The job that the arguments of `run`, `preview` or `render` describe."""
    cut: dict[str, Any] = {}
    if hasattr(options, "model"):
        if options.weights is not None:
            raise InputError(f"{models.card(options.model).label} has no weights: leave --weights out.")
        cut = {
            "model": options.model,
            "prompts": _prompts(options),
            "matte": options.matte,
            "start": options.start,
            "end": options.end,
            "device": options.device,
        }
    behind = background.parse(options.background)
    form = options.format or (
        ("webm" if isinstance(behind, Transparent) else Job.format)
        if options.run is _preview
        else formats.by_suffix(options.output).key
    )
    return Job(options.input, options.output, background=behind, format=form, **cut)


def _prompts(options: argparse.Namespace) -> tuple[Prompt, ...]:
    marks: list[Prompt] = []
    for keep, texts in ((True, options.point), (False, options.exclude)):
        for text in texts:
            (x, y), time_ = _numbers(text, 2)
            marks.append(Prompt(time_, (Point(x, y, keep),)))
    for text in options.box:
        corners, time_ = _numbers(text, 4)
        marks.append(Prompt(time_, box=Box.between(*corners)))
    if options.prompts is not None:
        try:
            marks += prompts.from_json(json.loads(options.prompts.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise PromptError(f"{options.prompts.name}: this is no JSON file of marks.") from error
    return prompts.ordered(marks)


def _numbers(text: str, count: int) -> tuple[list[float], float]:
    place, _, seconds = text.partition("@")
    try:
        numbers = [float(part) for part in place.split(",")]
        at = float(seconds) if seconds else 0.0
    except ValueError:
        numbers, at = [], 0.0
    if len(numbers) != count:
        form = "X,Y" if count == 2 else "X0,Y0,X1,Y1"
        raise PromptError(f"{text!r} is no mark. Write it as {form} or {form}@SECONDS.")
    return numbers, at


def _run(options: argparse.Namespace) -> None:
    _follow(process(_job(options)), options)


def _render(options: argparse.Namespace) -> None:
    if not options.kept.is_file():
        raise InputError(f"{options.kept.name}: there is no such matte file.")
    _follow(render(_job(options), Kept.open(options.kept)), options)


def _follow(steps: Any, options: argparse.Namespace) -> None:
    """Show each Progress, and a summary at the end."""
    began = time.monotonic()
    last: Progress | None = None
    with closing(steps):
        for last in steps:
            if options.json:
                print(json.dumps(last.to_json()), flush=True)
            elif sys.stderr.isatty():
                print(f"\r{_bar(last)}", end="", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    frames = last.frames if last else 0
    summary = {
        "frames": frames,
        "seconds": round(seconds, 3),
        "frames_per_second": round(frames / seconds, 2),
        "peak_memory_bytes": _peak_memory(),
        "output": str(options.output),
    }
    if options.json:
        print(json.dumps(summary))
        return
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{options.output}: {frames} frames in {seconds:.1f} s ({frames / seconds:.1f} a second).")


def _peak_memory() -> int:
    """The most that this program has held, in bytes.

    Linux's getrusage also counts what the program that started this one held; /proc does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _bar(progress: Progress, width: int = 30) -> str:
    filled = round(width * progress.done / max(1, progress.total))
    left = "" if progress.left is None else f" · {progress.left:.0f} s left"
    bar = "█" * filled + "░" * (width - filled)
    return f"{bar} {progress.done} of {progress.total} frames · {progress.rate:.1f}/s{left}   "


def _preview(options: argparse.Namespace) -> None:
    if options.output.suffix.lower() != ".png":
        raise InputError(f"{options.output.name}: the name must end in .png.")
    job = _job(options)
    clip = video.probe(job.source)
    compose = composer(job.background, clip.width, clip.height)
    for frame, alpha in preview.frames(job, [options.at]):
        seconds = float(frame.pts * clip.time_base)
        picture = Image.fromarray(compose(frame.image, alpha, seconds))
        with video.replacing(options.output) as part:
            picture.save(part, format="PNG")
        _say(
            options,
            {"output": str(options.output), "at": seconds},
            f"{options.output}: frame at {seconds:.2f} s.",
        )


def _probe(options: argparse.Namespace) -> None:
    clip = video.probe(options.input)
    sound = ", ".join(clip.sound) or "none"
    rate = f"{float(clip.rate):.3f}".rstrip("0").rstrip(".")
    text = (
        f"{clip.name}: {clip.width} × {clip.height}, {clip.duration:.2f} s, {clip.frames} frames, "
        f"{rate} a second{' (variable)' if clip.variable else ''}, {clip.codec}, {clip.depth} bits, "
        f"sound: {sound}"
    )
    _say(options, clip.to_json(), text)


def _models(options: argparse.Namespace) -> None:
    for card in models.cards().values():
        _say(options, card.to_json(), f"{card.key:10} {card.purpose} ({card.licence})")


def _download(options: argparse.Namespace) -> None:
    print(f"{models.card(options.key).label} needs no weights.")


def _say(options: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    print(json.dumps(data) if options.json else text)


if __name__ == "__main__":
    sys.exit(main())
