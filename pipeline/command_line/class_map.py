"""The map of all classes of one frame, as `preview --view classes` writes it."""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

from pipeline import preview
from pipeline.command_output import print_facts
from pipeline.errors import VideoError
from pipeline.files import replacing
from pipeline.job import Job
from pipeline.models import classes
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import load_clip


def write_class_map(job: Job, options: argparse.Namespace) -> None:
    """Write the map of the frame shown at `--at` as a PNG whose pixels are the classes' numbers.

    Its palette are the classes' colours; those of the classes that are seen are printed. Raises VideoError
    where the frame cannot be decoded, InputError and WeightsError as `models.load` does.
    """
    clip = load_clip(job.source, job.source_rate)
    index = load_index(clip.path)
    found = preview.find_classes(job, pts := index.frame_at(round(options.at / clip.time_base)))
    if found is None:
        raise VideoError("video.frame_damaged", name=clip.name, index=index.pts.index(pts))
    _, numbers = found
    picture = Image.fromarray(numbers, mode="P")
    picture.putpalette(classes.palette().tobytes())
    with replacing(options.output) as part:
        picture.save(part, format="PNG")
    seconds = float(pts * clip.time_base)
    seen = {classes.ALL[n]: classes.COLOURS[n] for n in np.unique(numbers).tolist()}
    legend = ", ".join(f"{name} {colour}" for name, colour in seen.items())
    print_facts(
        {"output": str(options.output), "at": seconds, "classes": seen},
        f"{options.output}: classes at {seconds:.2f} s: {legend}.",
        json_lines=options.json,
    )
