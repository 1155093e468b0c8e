"""The clean plate that `run` and `render` write beside their result."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.command_output import print_facts
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.rendering import clean_plate
from pipeline.video.reading.probe import probe_clip


def add_plate_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plate",
        metavar="FILE.png",
        type=Path,
        help="write what stands behind the subject here, too, from the kept matte",
    )


def check_plate(options: argparse.Namespace, kept: Path | None) -> None:
    """Raise InputError for a clean plate that cannot be made, or would replace another file of the command.

    `kept` is the file of the matte that it is made from.
    """
    plate = options.plate
    if plate is None:
        return
    if kept is None:
        raise InputError("command.plate_needs_matte")
    if plate.suffix.lower() != ".png":
        raise InputError("command.not_png", name=plate.name)
    behind = options.background and Path(options.background.partition("?")[0])
    for read in (options.input, behind):
        if read and plate.exists() and read.exists() and plate.samefile(read):
            raise InputError("writing.overwrites", name=plate.name)
    if plate.resolve() == options.output.resolve():
        raise InputError("writing.same_file", name=plate.name)


def write_plate(options: argparse.Namespace, job: Job, kept: Path | None) -> None:
    """Write the clean plate that is asked for, if one is, from the file of a matte."""
    if options.plate is None or kept is None:
        return
    clip = probe_clip(job.source, rate=job.source_rate)
    clean_plate.write_plate(job, clip, MatteFile.open(kept), options.plate)
    print_facts({"plate": str(options.plate)}, f"{options.plate}: the clean plate.", json_lines=options.json)
