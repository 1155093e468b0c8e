"""Backgrounds that a network makes, at the command line: with their progress, before anything else."""

from __future__ import annotations

import argparse
import json
import sys

from pipeline.clip import Clip
from pipeline.generation import backgrounds
from pipeline.generation.drawing import Step
from pipeline.generators import complete, retell
from pipeline.job import Job


def make_background(job: Job, clip: Clip, options: argparse.Namespace) -> Job:
    """Return the job with the picture that its background is made of, and show how far it is.

    Raises as `backgrounds.lay_picture`.
    """
    shown = False

    def show(step: Step) -> None:
        nonlocal shown
        if options.json:
            print(json.dumps({"stage": "background", **step._asdict()}), flush=True)
        elif sys.stderr.isatty():
            shown = True
            print(f"\rbackground: step {step.done} of {step.total}", end="", file=sys.stderr, flush=True)

    laid = complete(retell(backgrounds.lay_picture(job, clip), show))
    if shown:
        print(file=sys.stderr)
    return laid
