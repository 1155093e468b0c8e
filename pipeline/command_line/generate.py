"""Backgrounds that a network makes, at the command line: with their progress, before anything else."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from pipeline.clip import Clip
from pipeline.compositing.background import Words
from pipeline.generation.drawing import Step
from pipeline.generation.laying import lay_picture
from pipeline.generation.product import Facts, write_prompt
from pipeline.generators import complete, retell
from pipeline.job import Job
from pipeline.matte import MatteFile


def make_background(job: Job, clip: Clip, options: argparse.Namespace, kept: MatteFile | None = None) -> Job:
    """Return the job with the picture that its background is made of, and show how far it is.

    `kept` is as of `lay_picture`, and it raises as that does.
    """
    shown = False

    def show(step: Facts | Step) -> None:
        nonlocal shown
        if isinstance(step, Facts):
            _show_facts(step, job, options)
        elif options.json:
            print(json.dumps({"stage": "background", **step._asdict()}), flush=True)
        elif sys.stderr.isatty():
            shown = True
            print(f"\rbackground: step {step.done} of {step.total}", end="", file=sys.stderr, flush=True)

    laid = complete(retell(lay_picture(job, clip, kept), show))
    if shown:
        print(file=sys.stderr)
    return laid


def _show_facts(facts: Facts, job: Job, options: argparse.Namespace) -> None:
    """Show what the matte tells of a product, and what the network is told."""
    assert isinstance(job.background, Words)
    prompt = write_prompt(job.background.text, facts)
    if options.json:
        print(json.dumps({"stage": "product", **asdict(facts), "prompt": prompt}), flush=True)
    else:
        print(prompt, file=sys.stderr)
