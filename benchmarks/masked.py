"""How well a prompted model carries a subject: python -m benchmarks.masked FOLDER [--model KEY] [--clicks 3]

For each clip of a folder with true masks: J, the mean over all frames of intersection over union, from the
tight box around the subject on its first frame; then again after each of a few corrective clicks. A click
is placed by rule on the worst frame, in the middle of its largest fault, as the interactive DAVIS challenge
does it (Caelles and others, "The 2018 DAVIS Challenge on Video Object Segmentation").

FOLDER holds davis/NAME.mp4 with davis/NAME_masks/*.png, and sav/NAME_rgb.mp4 with sav/NAME_mask.mp4.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline import models, stretches, video
from pipeline.clip import Clip
from pipeline.models import Model
from pipeline.prompts import Box, Point, Prompt, ordered

Masks = list[NDArray[np.bool_]]


def clips(folder: Path) -> Iterator[tuple[str, Path, Masks]]:
    """Name, video and true masks of each clip."""
    for path in sorted(folder.glob("davis/*.mp4")):
        files = sorted(path.with_name(f"{path.stem}_masks").glob("*.png"))
        yield path.stem, path, [np.asarray(cv2.imread(str(f), cv2.IMREAD_GRAYSCALE)) > 127 for f in files]
    for path in sorted(folder.glob("sav/*_rgb.mp4")):
        truth = path.with_name(path.name.replace("_rgb", "_mask"))
        yield path.stem.removesuffix("_rgb"), path, [f.image[..., 0] > 127 for f in _frames(truth)]


def _frames(path: Path) -> Iterator[video.Frame]:
    return video.read(path, 0, 1 + video.index(path).pts[-1])


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 where there is nothing to find and nothing was found."""
    either = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / either if either else 1.0


def run(clip: Clip, model: Model, prompts: list[Prompt]) -> Masks:
    """The masks of all frames, as the application would make them."""
    past = 1 + video.index(clip.path).pts[-1]
    with tempfile.TemporaryDirectory() as folder:
        plan = stretches.plan(ordered(prompts), clip, 0, past)
        steps = stretches.steps(clip, partial(stretches.pairs, model), plan, Path(folder))
        return [step.pair[1].matte > 127 for step in steps if step.pair is not None]


def tight_box(mask: NDArray[np.bool_]) -> Box:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Box(x, y, x + width, y + height)


def click(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Point:
    """The innermost point of the largest fault, to keep if it was missed."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((found != truth).astype(np.uint8))
    largest = parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    depth = cv2.distanceTransform(np.pad(largest, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return Point(x + 0.5, y + 0.5, keep=bool(truth[y, x]))


def measure(path: Path, truth: Masks, model: Model, clicks: int) -> tuple[list[float], float, float]:
    """J with the box and after each click, the first frame's overlap with the box, and frames a second."""
    clip = video.probe(path)
    times = [float(pts * clip.time_base) for pts in video.index(path).pts]
    first = next(n for n, mask in enumerate(truth) if mask.any())
    prompts = [Prompt(times[first], box=tight_box(truth[first]))]
    began = time.monotonic()
    found = run(clip, model, prompts)
    rate = len(found) / (time.monotonic() - began)
    start = overlap(found[first], truth[first])
    scores = [[overlap(f, t) for f, t in zip(found, truth, strict=True)]]
    for _ in range(clicks):
        worst = int(np.argmin(scores[-1]))
        if scores[-1][worst] < 1:
            prompts.append(Prompt(times[worst], (click(found[worst], truth[worst]),)))
            found = run(clip, model, prompts)
        scores.append([overlap(f, t) for f, t in zip(found, truth, strict=True)])
    return [float(np.mean(s)) for s in scores], start, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="grabcut")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clicks", type=int, default=3)
    parser.add_argument("--only", default="", help="clips whose path holds this")
    options = parser.parse_args()
    model = models.loaded(options.model, options.device)
    after = "".join(f"  {n:2d} clk" for n in range(1, options.clicks + 1))
    print(f"{'clip':24}  first     box{after}     fps")
    rows = []
    for name, path, truth in clips(options.folder):
        if options.only not in str(path):
            continue
        scores, first, rate = measure(path, truth, model, options.clicks)
        rows.append([first, *scores, rate])
        print(_line(name, rows[-1]), flush=True)
    print(_line("mean", np.mean(rows, axis=0).tolist()))


def _line(name: str, figures: list[float]) -> str:
    return f"{name:24}" + "".join(f"  {v:6.3f}" for v in figures[:-1]) + f"  {figures[-1]:6.1f}"


if __name__ == "__main__":
    main()
