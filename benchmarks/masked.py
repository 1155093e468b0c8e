"""Accuracy of the cut: python -m benchmarks.masked FOLDER [--model KEY] [--clicks 3 | --automatic]

For each clip of a folder with true masks: J, the mean over all frames of intersection over union, from the
tight box around the subject on its first frame; then again after each of a few corrective clicks. A click is
placed on the worst frame, in the middle of its largest error, as in the interactive DAVIS challenge (Caelles
and others, "The 2018 DAVIS Challenge on Video Object Segmentation"). With --automatic J is that of a run
without any marks. Beside J: the overlap on the subject's first frame, the flicker (`benchmarks.flicker`, in
excess of the truth's) and the frames per second, all of the run without clicks.

The mattes are those of a default job: deflickered if the model needs it, and split at scene cuts. Threads
that overlap the model with other stages, compositing and encoding are left out.

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
from pipeline.propagation.run import run_plan
from pipeline.propagation.scenes import find_scenes
from pipeline.propagation.stream import create_stream
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip

Result = TypeVar("Result")

Scores = dict[str, float]
"""Scores of a clip, by column heading."""

GROUPS = {"davis": "DAVIS", "sav": "SA-V"}
"""Printed name of each sub-folder's clips."""


def read_clips(folder: Path) -> Iterator[tuple[str, Path, list[Mask]]]:
    """Yield the name, video and true masks of each clip."""
    for path in sorted(folder.glob("davis/*.mp4")):
        files = sorted(path.with_name(f"{path.stem}_masks").glob("*.png"))
        yield path.stem, path, [np.asarray(cv2.imread(str(f), cv2.IMREAD_GRAYSCALE)) > 127 for f in files]
    for path in sorted(folder.glob("sav/*_rgb.mp4")):
        truth = path.with_name(path.name.replace("_rgb", "_mask"))
        yield path.stem.removesuffix("_rgb"), path, [image[..., 0] > 127 for image in _read_images(truth)]


def _read_images(path: Path) -> list[Image]:
    return [frame.image for frame in read_frames(path)]


def soften(mask: Mask) -> Matte:
    """Return a binary mask as an alpha with soft edges, `[H, W]` uint8."""
    return cv2.GaussianBlur(255 * mask.astype(np.float32), (0, 0), 1).astype(np.uint8)


def iou(predicted: Mask, truth: Mask) -> float:
    """Return the intersection over union; 1 if both are empty."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def ious(mattes: Sequence[Matte], truth: Sequence[Mask]) -> list[float]:
    return [iou(matte > 127, mask) for matte, mask in zip(mattes, truth, strict=True)]


def predict(job: Job, *marks: Prompt) -> list[Matte]:
    """Return the mattes of all frames as `process` computes them with these marks; no output is written."""
    job = replace(job, prompts=normalise(marks))
    clip = probe_clip(job.source)
    job.check(clip)
    pts = pts_range(job, clip)
    plan = return_value(find_scenes(job, clip, pts)).plan(clip, pts)
    with tempfile.TemporaryDirectory() as folder:
        steps = run_plan(clip, create_stream(job), plan, Path(folder))
        return [step.pair[1].matte for step in steps if step.pair is not None]


def return_value(generator: Generator[object, None, Result]) -> Result:
    """Run a generator to its end and return its return value."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return cast(Result, end.value)


def tight_box(mask: Mask) -> Box:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Box(x, y, x + width, y + height)


def corrective_click(predicted: Mask, truth: Mask) -> Point:
    """Return a click at the innermost point of the largest error, to keep if it was missed."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((predicted != truth).astype(np.uint8))
    largest = parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    depth = cv2.distanceTransform(np.pad(largest, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return Point(x + 0.5, y + 0.5, keep=bool(truth[y, x]))


def evaluate(job: Job, truth: list[Mask], clicks: int | None) -> Scores:
    """Return the scores of one clip with a box and `clicks` corrective clicks; None: without any marks."""
    clip = probe_clip(job.source)
    times = [float(pts * clip.time_base) for pts in load_index(clip.path).pts]
    first = next(n for n, mask in enumerate(truth) if mask.any())
    marks = [] if clicks is None else [Prompt(times[first], box=tight_box(truth[first]))]
    started = time.monotonic()
    mattes = predict(job, *marks)
    rate = len(mattes) / (time.monotonic() - started)
    changes = flicker(_read_images(job.source), mattes, [soften(mask) for mask in truth])
    overlaps = ious(mattes, truth)
    scores = {"first": overlaps[first], "box" if marks else "no mark": float(np.mean(overlaps))}
    for n in range(1, 1 + (clicks or 0)):
        worst = int(np.argmin(overlaps))
        if overlaps[worst] < 1:
            marks.append(Prompt(times[worst], (corrective_click(mattes[worst] > 127, truth[worst]),)))
            mattes = predict(job, *marks)
            overlaps = ious(mattes, truth)
        scores[f"{n} clk"] = float(np.mean(overlaps))
    return scores | {"flicker": changes, "fps": rate}


def evaluate_folder(
    folder: Path,
    model: str,
    device: str = "cpu",
    weights: Path | None = None,
    clicks: int | None = 3,
    only: str = "",
) -> Iterator[tuple[str, str, Scores]]:
    """Yield the name, group and scores of each clip of a folder whose path holds `only`; see `evaluate`."""
    models.load(model, device, weights)  # not a part of the first clip's time
    for name, path, truth in read_clips(folder):
        if only in str(path):
            job = Job(path, path, model=model, device=device, weights=weights)
            yield name, GROUPS[path.parent.name], evaluate(job, truth, clicks)


def group_means(rows: Sequence[tuple[str, Scores]]) -> dict[str, Scores]:
    """Return the mean scores of each group of (group, scores), and of all of them."""
    groups: dict[str, list[Scores]] = {}
    for group, scores in rows:
        groups.setdefault(group, []).append(scores)
    return {group: mean(own) for group, own in groups.items()} | {"all": mean([own for _, own in rows])}


def mean(rows: Sequence[Scores]) -> Scores:
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
    clicks = None if options.automatic else options.clicks
    rows: dict[str, Scores] = {}
    grouped: list[tuple[str, Scores]] = []
    for name, group, scores in evaluate_folder(
        options.folder, options.model, options.device, options.weights, clicks, options.only
    ):
        rows[name] = scores
        grouped.append((group, scores))
        if len(rows) == 1:
            print(f"{'clip':24}" + "".join(f"{head:>9}" for head in rows[name]))
        _print_row(name, rows[name])
    if not rows:
        parser.error(f"there is no such clip in {options.folder}")
    means = group_means(grouped)
    for group, scores in means.items():
        _print_row(f"mean, {group}", scores)
    if options.json is not None:
        options.json.write_text(json.dumps({"model": options.model, "clips": rows, "means": means}, indent=1))


def _print_row(name: str, scores: Scores) -> None:
    print(f"{name:24}" + "".join(f"{score:9.3f}" for score in scores.values()), flush=True)


if __name__ == "__main__":
    main()
