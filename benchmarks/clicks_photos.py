"""Clicks that a photograph takes: python -m benchmarks.clicks_photos FOLDER [--model KEY]

The protocol of RITM (Sofiiuk, Petrov and Konushin, "Reviving Iterative Training with Mask Guidance for
Interactive Segmentation", ICIP 2022): each click is in the middle of the largest error, the first in the
middle of the subject, until the intersection over union is 0.9, or 20 clicks are made. Of each kind of
photographs the mean number of clicks (NoC@90), the share that does not reach it after 20, and the mean
overlap after 1, 3 and 5 clicks.

FOLDER is a data folder of `python -m training`; its held-out photographs are used.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.masked import Scores, iou, mean
from pipeline import models
from pipeline.arrays import Floats, Image, Mask
from pipeline.models import Model, PromptedFrame
from pipeline.prompts import Point, Prompt
from training.photos import Photos

MAX_CLICKS = 20
"""Most clicks on a photograph."""

_KINDS = {"ecssd": "things", "ccp": "people", "cat": "cats"}


def robot_click(predicted: Mask, truth: Mask) -> Point:
    """Return a click at the innermost point of what is missed or in excess, whichever is deeper."""
    missed, excess = (_distance_to_edge(wrong) for wrong in (truth & ~predicted, predicted & ~truth))
    keep = bool(missed.max() > excess.max())
    depth = missed if keep else excess
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return Point(x + 0.5, y + 0.5, keep=keep)


def _distance_to_edge(wrong: Mask) -> Floats:
    """Return the distance of each pixel to the edge of its error or the picture's border, in pixels."""
    padded = np.pad(wrong, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)[
        1:-1, 1:-1
    ]


def ious(model: Model, image: Image, truth: Mask, target: float, most: int = MAX_CLICKS) -> Iterator[float]:
    """Yield the overlap after each click, up to the one that reaches the target, or the last."""
    predicted, points = np.zeros_like(truth), []
    for _ in range(most):
        points.append(robot_click(predicted, truth))
        (prediction,) = model.predict(iter([PromptedFrame(image, Prompt(points=tuple(points)))]))
        predicted = np.asarray(prediction.matte) > 127
        score = iou(predicted, truth)
        yield score
        if score >= target:
            return


def summarise(scores: list[float], target: float) -> Scores:
    """Of one photograph, from the overlap after each of its clicks."""
    succeeded = scores[-1] >= target
    ious = {f"IoU {n}": scores[min(n, len(scores)) - 1] for n in (1, 3, 5)}
    return {"clicks": float(len(scores)), "failed": float(not succeeded)} | ious


def evaluate_photos(
    folder: Path,
    model_key: str,
    device: str = "cpu",
    weights: Path | None = None,
    target: float = 0.9,
    every: int = 1,
) -> dict[str, Scores]:
    """Return the mean scores of each kind of held-out photographs, and of all of them."""
    photos = Photos(folder, held_out=True)
    model = models.load(model_key, device, weights)
    means: dict[str, Scores] = {}
    all_scores: list[Scores] = []
    for kind, label in _KINDS.items():
        rows = []
        for name in photos.names[kind][::every]:
            photo = photos.read(name, hard=True)
            scores = [*ious(model, photo.picture, photo.alpha > 127, target)]
            rows.append(summarise(scores, target))
        if rows:
            means[label] = mean(rows)
            all_scores += rows
    return means | {"all": mean(all_scores)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="recorte")
    parser.add_argument("--weights", type=Path, help="those of a checkpoint; without, the model's own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--target", type=float, default=0.9, help="the overlap to be reached")
    parser.add_argument("--every", type=int, default=1, help="ask about one photograph in so many")
    parser.add_argument("--json", type=Path, help="where the figures are written as well")
    options = parser.parse_args()
    means = evaluate_photos(
        options.folder, options.model, options.device, options.weights, options.target, options.every
    )
    print(f"{'':12}" + "".join(f"{head:>9}" for head in means["all"]))
    for label, row in means.items():
        print(f"{label:12}" + "".join(f"{score:9.3f}" for score in row.values()))
    if options.json is not None:
        options.json.write_text(json.dumps({"model": options.model, "means": means}, indent=1))


if __name__ == "__main__":
    main()
