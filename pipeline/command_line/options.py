"""Options of the commands that make a matte or a result."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import get_args

from pipeline import formats
from pipeline.command_line.marks import STROKE_FORM
from pipeline.compositing import aspect
from pipeline.compositing.edges import CLEAN, Despill
from pipeline.compositing.light import NONE, MatchTo, Shadow
from pipeline.devices import DECODERS
from pipeline.job import Job, Sound
from pipeline.models import word_networks


def add_matte_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="KEY", help="default: the best of those that are ready")
    for name, form, text in (
        ("--point", "X,Y[@SECONDS]", "a point on the subject"),
        ("--exclude", "X,Y[@SECONDS]", "a point that is not on it"),
        ("--box", "X0,Y0,X1,Y1[@SECONDS]", "a box around it"),
        ("--stroke", f"{STROKE_FORM}[@SECONDS]", "a brush stroke over what is on it"),
        ("--erase", f"{STROKE_FORM}[@SECONDS]", "a brush stroke over what is not on it"),
    ):
        parser.add_argument(name, metavar=form, action="append", default=[], help=text)
    parser.add_argument(
        "--mask-in",
        metavar="FILE[@SECONDS]",
        action="append",
        default=[],
        help="its mask on one frame, a PNG or EXR picture of another tool; the model follows it from there",
    )
    parser.add_argument("--mask-in-invert", action="store_true", help="white is the background in it")
    parser.add_argument("--prompts", metavar="FILE.json", type=Path, help="marks as a JSON list")
    parser.add_argument(
        "--words", metavar="TEXT", help='what to keep, in English: "the red car, a dog"; boxes are made of it'
    )
    parser.add_argument(
        "--words-threshold",
        metavar="SCORE",
        type=float,
        help="how sure a hit of --words has to be, 0 to 1; default: 0.35, and 0.5 with sam3",
    )
    parser.add_argument(
        "--words-again",
        metavar="SECONDS",
        type=float,
        action="append",
        default=[],
        help="search for --words again from here on, such as where an earlier run lost the subject",
    )
    parser.add_argument(
        "--words-model",
        choices=word_networks.NETWORKS,
        default=word_networks.GROUNDING_DINO,
        help="the network that finds what --words names",
    )
    parser.add_argument(
        "--matte-in",
        metavar="PATH",
        type=Path,
        help="the matte of another tool in place of a model: a video, or a folder of PNG or EXR pictures",
    )
    for name, text in (
        ("--matte-in-invert", "white is the background in it"),
        ("--matte-in-unpremultiply", "it is the brightness, which was multiplied by alpha"),
    ):
        parser.add_argument(name, action="store_true", help=text)
    parser.add_argument("--matte", metavar="FILE.mkv", type=Path, help="keep the matte here, and reuse it")
    parser.add_argument(
        "--classes", metavar="NAME,NAME,…", help="all things of these classes, such as person,dog"
    )
    parser.add_argument(
        "--hair", action="store_true", help="find hair and other soft edges anew, by ViTMatte's weights"
    )
    parser.add_argument("--device", metavar="auto|cpu|cuda[:N]|xpu[:N]|mps", default="auto")
    parser.add_argument(
        "--weights", metavar="PATH", type=Path, help="the model's weights, a file or a folder"
    )
    add_licence_option(parser)
    parser.add_argument(
        "--no-steady", action="store_true", help="leave the flicker of an automatic model as it is"
    )


def add_licence_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-licence", action="store_true", help="acknowledge what the model's licence forbids, once"
    )


def add_render_options(parser: argparse.ArgumentParser, crop: bool = True) -> None:
    parser.add_argument(
        "--background",
        metavar="SPEC",
        help="#rrggbb, a colour's name, a picture, a video, blur[:RADIUS], depth-blur[:RADIUS], "
        "transparent, words:TEXT[?seed=N] or, around a picture's subject, around:TEXT[?seed=N]; "
        "default: green, and transparent for a picture where the format can",
    )
    parser.add_argument("--start", metavar="SECONDS", type=float, default=0.0)
    parser.add_argument("--end", metavar="SECONDS", type=float)
    parser.add_argument("--format", metavar="KEY", help="default: by OUTPUT's suffix")
    parser.add_argument("--quality", choices=formats.QUALITIES, default=Job.quality)
    parser.add_argument(
        "--sound", choices=get_args(Sound), default=Job.sound, help="the video's, the background's, or none"
    )
    add_rate_option(parser)
    if crop:
        parser.add_argument("--crop", metavar="|".join(aspect.ASPECTS), help="crop around the subject")
        parser.add_argument(
            "--upscale",
            metavar="2|4",
            type=int,
            default=Job.upscale,
            help="enlarge a picture by Swin2SR's weights; no video, whose frames would flicker",
        )
    parser.add_argument("--hardware", action="store_true", help="encode on the graphics card if it can")
    parser.add_argument(
        "--decoder",
        choices=DECODERS,
        default="auto",
        help="decode on the graphics card that frames stay on, or on the processor",
    )
    parser.add_argument("--grow", metavar="PIXELS", type=float, default=CLEAN.grow, help="widen the cut")
    parser.add_argument("--feather", metavar="PIXELS", type=float, default=CLEAN.feather, help="soften it")
    parser.add_argument(
        "--despill",
        choices=get_args(Despill),
        default=CLEAN.despill,
        help="take a coloured screen's light off the subject",
    )
    parser.add_argument(
        "--shadow",
        metavar="keep[:STRENGTH]|cast[:ANGLE,LENGTH,SOFTNESS,STRENGTH]",
        type=_shadow,
        default=(None, NONE.keep),
        help="keep the shadow that was filmed, from 0 to 2, or draw one: where it falls (0 right, 90 back, "
        "180 left), then shares from 0 to 1",
    )
    parser.add_argument(
        "--wrap", metavar="STRENGTH", type=float, default=0.0, help="the background's light on edges, 0 to 1"
    )
    parser.add_argument(
        "--match",
        metavar="[background:|subject:]STRENGTH",
        type=_match,
        default=(NONE.match, NONE.match_to),
        help="bring the subject's colours into the background's light (or the other way), 0 to 1",
    )
    parser.add_argument(
        "--no-clean-edges", action="store_true", help="leave the old background's colour in the edges"
    )
    add_json_option(parser)


def add_cluster_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on the Ray cluster at HOST:PORT, ray://HOST:PORT or auto, or local: on one of this machine",
    )
    parser.add_argument(
        "--store",
        metavar="ADDRESS",
        help="with --ray: a folder or bucket that all machines reach, file:///folder or s3://bucket/prefix",
    )


def cluster_arguments(options: argparse.Namespace) -> list[str]:
    """Return the options of `add_cluster_option` that are given, as a `run` is called with them."""
    given = {"--ray": options.ray, "--store": options.store}
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def add_rate_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate",
        metavar="FPS",
        type=_rate,
        help="an even rate, and that of numbered pictures; default: the video's times",
    )


def _shadow(text: str) -> tuple[Shadow | None, float]:
    """Parse `keep`, `keep:0.8`, `cast` or `cast:60,0.5,0.4,0.5`; numbers at the end may be left out.

    Return the shadow to draw, and the strength of the one to keep.
    """
    kind, _, numbers = text.partition(":")
    try:
        values = [float(number) for number in numbers.split(",")] if numbers else []
        if kind == "keep" and len(values) <= 1:
            return None, values[0] if values else 1.0
        if kind != "cast":
            raise ValueError(kind)
        return Shadow(*values), NONE.keep
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no shadow: write keep, keep:STRENGTH, cast, or cast:ANGLE,LENGTH,SOFTNESS,STRENGTH"
        ) from None


def _match(text: str) -> tuple[float, MatchTo]:
    """Parse `0.6`, `background:0.6` or `subject:0.6`."""
    to, _, strength = text.rpartition(":")
    try:
        return float(strength), {"": NONE.match_to, **{name: name for name in get_args(MatchTo)}}[to]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no match: write STRENGTH, or subject:STRENGTH, from 0 to 1"
        ) from None


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


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
