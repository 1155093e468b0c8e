"""Accuracy of the cut: python -m benchmarks.masked FOLDER [--model KEY] [--clicks 3 | --automatic]

For each clip of a folder with true masks: J, the mean over all frames of intersection over union, from the
tight box around the subject on its first frame; then again after each of a few corrective clicks. A click
is placed by rule on the worst frame, in the middle of its largest fault, as the interactive DAVIS challenge
does it (Caelles and others, "The 2018 DAVIS Challenge on Video Object Segmentation"). With --automatic J is
that of a run without any marks. Beside J: the overlap on the subject's first frame, the flicker (what
`benchmarks.flicker` says beyond the truth's) and the frames a second, all of the run without clicks.

The mattes are those of a job as it is by default: calmed where the model flickers, cut where scenes are.
Left out are the threads that overlap the model with the rest, and the composite and encoding after it.

FOLDER holds davis/NAME.mp4 with davis/NAME_masks/*.png, and sav/NAME_rgb.mp4 with sav/NAME_mask.mp4.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import cv2
import numpy as np

from benchmarks.flicker import flicker
from pipeline import models
from pipeline.arrays import Image, Mask, Matte
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.prompts import Box, Point, Prompt, normalise
from pipeline.propagation.plan import plan_segments
from pipeline.propagation.run import run_plan
from pipeline.propagation.scenes import find_scenes
from pipeline.propagation.stream import create_stream
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip

Result = TypeVar("Result")

Figures = dict[str, float]
"""Figures of a clip, by the heads of the columns."""

_GROUPS = {"davis": "DAVIS", "sav": "SA-V"}
"""Name of the clips of a sub-folder."""


def clips(folder: Path) -> Iterator[tuple[str, Path, list[Mask]]]:
    """Name, video and true masks of each clip."""
    for path in sorted(folder.glob("davis/*.mp4")):
        files = sorted(path.with_name(f"{path.stem}_masks").glob("*.png"))
        yield path.stem, path, [np.asarray(cv2.imread(str(f), cv2.IMREAD_GRAYSCALE)) > 127 for f in files]
    for path in sorted(folder.glob("sav/*_rgb.mp4")):
        truth = path.with_name(path.name.replace("_rgb", "_mask"))
        yield path.stem.removesuffix("_rgb"), path, [image[..., 0] > 127 for image in _images(truth)]


def _images(path: Path) -> list[Image]:
    return [frame.image for frame in read_frames(path)]


def soft(mask: Mask) -> Matte:
    """A hard mask as an alpha: it has stairs where that has an edge."""
    return cv2.GaussianBlur(255 * mask.astype(np.float32), (0, 0), 1).astype(np.uint8)


def overlap(found: Mask, truth: Mask) -> float:
    """Intersection over union; 1 where there is nothing to find and nothing was found."""
    either = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / either if either else 1.0


def overlaps(mattes: Sequence[Matte], truth: Sequence[Mask]) -> list[float]:
    return [overlap(matte > 127, mask) for matte, mask in zip(mattes, truth, strict=True)]


def run(job: Job, *marks: Prompt) -> list[Matte]:
    """The mattes of all frames, as `process` makes them of the job with these marks; nothing is written."""
    job = replace(job, prompts=normalise(marks))
    clip = probe_clip(job.source)
    job.check(clip)
    span = pts_range(job, clip)
    scenes, asked = returned(find_scenes(job, clip, span))
    plan = plan_segments(asked, clip, *span, scenes)
    with tempfile.TemporaryDirectory() as folder:
        steps = run_plan(clip, create_stream(job), plan, Path(folder))
        return [step.pair[1].matte for step in steps if step.pair is not None]


def returned(generator: Generator[object, None, Result]) -> Result:
    """Run a generator to its end and give what it returns."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return cast(Result, end.value)


def tight_box(mask: Mask) -> Box:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Box(x, y, x + width, y + height)


def click(found: Mask, truth: Mask) -> Point:
    """The innermost point of the largest fault, to keep if it was missed."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((found != truth).astype(np.uint8))
    largest = parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    depth = cv2.distanceTransform(np.pad(largest, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return Point(x + 0.5, y + 0.5, keep=bool(truth[y, x]))


def measure(job: Job, truth: list[Mask], clicks: int | None) -> Figures:
    """The figures of one clip with a box and so many clicks; None: without any marks."""
    clip = probe_clip(job.source)
    times = [float(pts * clip.time_base) for pts in load_index(clip.path).pts]
    first = next(n for n, mask in enumerate(truth) if mask.any())
    marks = [] if clicks is None else [Prompt(times[first], box=tight_box(truth[first]))]
    began = time.monotonic()
    mattes = run(job, *marks)
    rate = len(mattes) / (time.monotonic() - began)
    changes = flicker(_images(job.source), mattes, [soft(mask) for mask in truth])
    scores = overlaps(mattes, truth)
    figures = {"first": scores[first], "box" if marks else "no mark": float(np.mean(scores))}
    for n in range(1, 1 + (clicks or 0)):
        worst = int(np.argmin(scores))
        if scores[worst] < 1:
            marks.append(Prompt(times[worst], (click(mattes[worst] > 127, truth[worst]),)))
            mattes = run(job, *marks)
            scores = overlaps(mattes, truth)
        figures[f"{n} clk"] = float(np.mean(scores))
    return figures | {"flicker": changes, "fps": rate}


def mean(rows: Sequence[Figures]) -> Figures:
    return {head: float(np.mean([row[head] for row in rows])) for head in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="recorte")
    parser.add_argument("--weights", type=Path, help="those of a checkpoint; without, the model's own")
    parser.add_argument("--device", default="cpu")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--clicks", type=int, default=3)
    kind.add_argument("--automatic", action="store_true", help="no marks at all")
    parser.add_argument("--only", default="", help="clips whose path holds this")
    parser.add_argument("--json", type=Path, help="where the figures are written as well")
    options = parser.parse_args()
    models.load(options.model, options.device, options.weights)  # not a part of the first clip's time
    rows: dict[str, Figures] = {}
    groups: dict[str, list[Figures]] = {}
    for name, path, truth in clips(options.folder):
        if options.only not in str(path):
            continue
        job = Job(path, path, model=options.model, device=options.device, weights=options.weights)
        rows[name] = measure(job, truth, None if options.automatic else options.clicks)
        groups.setdefault(_GROUPS[path.parent.name], []).append(rows[name])
        if len(rows) == 1:
            print(f"{'clip':24}" + "".join(f"{head:>9}" for head in rows[name]))
        _show(name, rows[name])
    if not rows:
        parser.error(f"there is no such clip in {options.folder}")
    means = {group: mean(own) for group, own in (groups | {"all": list(rows.values())}).items()}
    for group, figures in means.items():
        _show(f"mean, {group}", figures)
    if options.json is not None:
        options.json.write_text(json.dumps({"model": options.model, "clips": rows, "means": means}, indent=1))


def _show(name: str, figures: Figures) -> None:
    print(f"{name:24}" + "".join(f"{figure:9.3f}" for figure in figures.values()), flush=True)


if __name__ == "__main__":
    main()
