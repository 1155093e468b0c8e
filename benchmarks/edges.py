"""Benefit and cost of taking the old background out of edges: python -m benchmarks.edges [--frames 6]

For rendered clips with known foreground colours, composited over another colour by their exact alphas: the
mean absolute error, 0 to 255, of partly covered pixels, and its flicker, the mean absolute change of that
error from frame to frame; both without and with `Edges.clean`, and their ratio. Then the least milliseconds
of one core per frame, at three sizes: composite alone, and with clean edges.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import cv2
import numpy as np

from pipeline.compositing.background import Colour
from pipeline.compositing.composite import open_composer, over
from pipeline.compositing.edges import CLEAN, Edges
from tests.figures import EDGES, Shot, shots

BACKGROUND = Colour(128, 128, 128)
UNCLEANED = Edges(clean=False)
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))


def errors(clip: Sequence[Shot], edges: Edges) -> list[np.ndarray]:
    """Return each frame's difference from the exact composite, `[H, W, 3]` float32."""
    height, width = clip[0].alpha.shape
    compose = open_composer(BACKGROUND, width, height, edges)
    background = np.full((height, width, 3), (BACKGROUND.red, BACKGROUND.green, BACKGROUND.blue), np.uint8)
    return [
        compose(shot.image, shot.alpha, 0.0).astype(np.float32) - over(shot.colours, shot.alpha, background)
        for shot in clip
    ]


def partial_mask(shot: Shot) -> np.ndarray:
    """Return True for partly covered pixels, `[H, W]`."""
    return (shot.alpha > 0) & (shot.alpha < 255)


def mean_error(clip: Sequence[Shot], edges: Edges) -> float:
    """Return the mean absolute error of partly covered pixels."""
    return float(
        np.mean([np.abs(f)[partial_mask(s)].mean() for f, s in zip(errors(clip, edges), clip, strict=True)])
    )


def flicker(clip: Sequence[Shot], edges: Edges) -> float:
    """Return the mean absolute change of the error in pixels partly covered in two consecutive frames."""
    pairs = list(zip(errors(clip, edges), map(partial_mask, clip), strict=True))
    return float(np.mean([np.abs(b - a)[near & also].mean() for (a, near), (b, also) in pairwise(pairs)]))


def measure_milliseconds(action: Callable[[], object], rounds: int = 9) -> float:
    durations = []
    for _ in range(rounds):
        started = time.thread_time()
        action()
        durations.append(1000 * (time.thread_time() - started))
    return min(durations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=6)
    options = parser.parse_args()
    clips = {edge: list(shots(edge, options.frames, *SIZES[0])) for edge in EDGES}
    print(f"{'edge':10}{'partly':>8}      error -> clean  ratio    flicker -> clean  ratio")
    for edge, clip in clips.items():
        print(f"{edge:10}{np.mean([partial_mask(shot).mean() for shot in clip]):8.1%}", end="")
        for score in (mean_error, flicker):
            without, with_clean = score(clip, UNCLEANED), score(clip, CLEAN)
            print(f"   {without:8.2f} -> {with_clean:5.2f}  {with_clean / without:5.2f}", end="")
        print(flush=True)
    cv2.setNumThreads(1)
    print("\nmilliseconds of one core a frame: composite alone -> clean (the part that is partly covered)")
    for width, height in SIZES:
        print(f"{f'{width}x{height}':10}", end="")
        for edge, clip in clips.items():
            image, alpha = (cv2.resize(array, (width, height)) for array in (clip[0].image, clip[0].alpha))
            plain, clean = (open_composer(BACKGROUND, width, height, edges) for edges in (UNCLEANED, CLEAN))
            times = [measure_milliseconds(partial(each, image, alpha, 0.0)) for each in (plain, clean)]
            share = ((alpha > 0) & (alpha < 255)).mean()
            print(f"   {edge} {times[0]:.1f} -> {times[1]:.1f} ({share:.1%})", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
