"""Marks as the command line gives them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pipeline import prompts
from pipeline.errors import PromptError
from pipeline.imaging import strokes
from pipeline.prompts import Box, MaskFile, Point, Prompt, Stroke

STROKE_FORM = "X,Y,X,Y,…:WIDTH"


def read_prompts(options: argparse.Namespace) -> tuple[Prompt, ...]:
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
    marks += [_parse_mask(text, options.mask_in_invert) for text in options.mask_in]
    if options.mask_in_invert and not options.mask_in:
        raise PromptError("command.mask_in_missing")
    if options.prompts is not None:
        try:
            text = options.prompts.read_text(encoding="utf-8")
            marks += prompts.from_json(json.loads(text), options.prompts.parent)
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


def _parse_mask(text: str, invert: bool) -> Prompt:
    """Read `FILE` or `FILE@SECONDS`; a file's name may have an @ in it where no time follows."""
    name, _, seconds = text.rpartition("@")
    try:
        at = float(seconds) if name else 0.0
    except ValueError:
        name, at = "", 0.0
    return Prompt(at, mask=MaskFile(Path(name or text), invert))


def _parse_stroke(text: str, keep: bool) -> Prompt:
    place, _, seconds = text.partition("@")
    path, _, width = place.partition(":")
    try:
        numbers = [float(part) for part in path.split(",")]
        stroke = Stroke(tuple(zip(numbers[::2], numbers[1::2], strict=True)), float(width), keep)
        return Prompt(float(seconds or 0), strokes=(strokes.simplify(stroke),))
    except ValueError:
        raise PromptError("command.malformed_stroke", text=text, form=STROKE_FORM) from None
