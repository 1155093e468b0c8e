"""Benefit and cost of taking the old background out of edges: python -m benchmarks.edges [--frames 6]

For rendered clips whose figures are known with their true colours, laid over another colour by their exact
alphas: the mean absolute error, 0 to 255, of what is partly covered, and its flicker, the mean absolute
change of that error from frame to frame; both without and with `Edges.clean`, and with over without. Then
the milliseconds of one core that a frame takes at best, at three sizes: composite alone, and with the edge
clean.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np

from pipeline.compositing.background import Colour
from pipeline.compositing.composite import open_composer, over
from pipeline.compositing.edges import CLEAN, Edges
from tests.figures import EDGES, Shot, shots

BEHIND = Colour(128, 128, 128)
AS_IT_IS = Edges(clean=False)
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))


def faults(clip: Sequence[Shot], edges: Edges) -> list[np.ndarray]:
    """By how much each frame over the new background differs from what it should be, `[H, W, 3]`."""
    height, width = clip[0].alpha.shape
    compose = open_composer(BEHIND, width, height, edges)
    behind = np.full((height, width, 3), (BEHIND.red, BEHIND.green, BEHIND.blue), np.uint8)
    return [
        compose(shot.image, shot.alpha, 0.0).astype(np.float32) - over(shot.colours, shot.alpha, behind)
        for shot in clip
    ]


def partly(shot: Shot) -> np.ndarray:
    return (shot.alpha > 0) & (shot.alpha < 255)


def error(clip: Sequence[Shot], edges: Edges) -> float:
    """Mean absolute error where the figure covers a part of the pixel."""
    return float(
        np.mean([np.abs(f)[partly(s)].mean() for f, s in zip(faults(clip, edges), clip, strict=True)])
    )


def unrest(clip: Sequence[Shot], edges: Edges) -> float:
    """Mean absolute change of the error where two frames running are partly covered."""
    seen = list(zip(faults(clip, edges), map(partly, clip), strict=True))
    return float(np.mean([np.abs(b - a)[near & also].mean() for (a, near), (b, also) in pairwise(seen)]))


def milliseconds(action: Callable[[], object], rounds: int = 9) -> float:
    spent = []
    for _ in range(rounds):
        began = time.thread_time()
        action()
        spent.append(1000 * (time.thread_time() - began))
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=6)
    options = parser.parse_args()
    clips = {edge: list(shots(edge, options.frames, *SIZES[0])) for edge in EDGES}
    print(f"{'edge':10}{'partly':>8}      error -> clean  ratio    flicker -> clean  ratio")
    for edge, clip in clips.items():
        print(f"{edge:10}{np.mean([partly(shot).mean() for shot in clip]):8.1%}", end="")
        for figure in (error, unrest):
            before, after = figure(clip, AS_IT_IS), figure(clip, CLEAN)
            print(f"   {before:8.2f} -> {after:5.2f}  {after / before:5.2f}", end="")
        print(flush=True)
    cv2.setNumThreads(1)
    print("\nmilliseconds of one core a frame: composite alone -> clean (the part that is partly covered)")
    for width, height in SIZES:
        print(f"{f'{width}x{height}':10}", end="")
        for edge, clip in clips.items():
            image, alpha = (cv2.resize(what, (width, height)) for what in (clip[0].image, clip[0].alpha))
            plain, clean = (open_composer(BEHIND, width, height, edges) for edges in (AS_IT_IS, CLEAN))
            times = [milliseconds(lambda made=made: made(image, alpha, 0.0)) for made in (plain, clean)]  # noqa: B023
            share = ((alpha > 0) & (alpha < 255)).mean()
            print(f"   {edge} {times[0]:.1f} -> {times[1]:.1f} ({share:.1%})", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
