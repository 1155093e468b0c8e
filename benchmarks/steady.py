"""Cost and benefit of the deflicker: python -m benchmarks.steady [FOLDER] [--frames 24]

For rendered clips with their exact alphas, and for the clips of a folder with true masks (laid out as for
benchmarks.masked), mattes are the truth with faults that differ from frame to frame, as a network's do: an
edge that wanders by a pixel or two and blotches near it. Printed for them, and for the truth itself, which
calming is to leave alone: flicker, the mean absolute change along the flow where it can be followed, and
the mean absolute error against the truth, 0 to 255, without and with calming; and its time.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.flicker import flicker
from benchmarks.masked import clips, soft
from pipeline.arrays import Image, Matte
from pipeline.imaging import optical_flow
from pipeline.models import Prediction
from pipeline.propagation.deflicker import deflicker
from pipeline.video.reading.frames import Frame, read_frames
from tests.rendered import subject_over_background


def perturbed(alpha: Matte, random: np.random.Generator, edge: float = 1.0, blotch: float = 0.15) -> Matte:
    """The alpha with a wandering edge, in pixels of a frame 640 wide, and blotches where it is near."""
    height, width = alpha.shape
    unit = max(height, width) / 640

    def field(cells: int) -> np.ndarray:
        coarse = random.normal(0, 1, (max(2, height // cells), max(2, width // cells))).astype(np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    wandering = optical_flow.warp(alpha, np.dstack((field(24), field(24))) * np.float32(edge * unit))
    near = cv2.GaussianBlur(alpha.astype(np.float32) / 255, (0, 0), 8 * unit)
    matte = wandering + 255 * blotch * 4 * near * (1 - near) * field(16)
    return np.clip(np.rint(matte), 0, 255).astype(np.uint8)


def calmed(frames: list[Image], mattes: list[Matte]) -> list[Matte]:
    pairs = zip((Frame(n, image) for n, image in enumerate(frames)), map(Prediction, mattes), strict=True)
    return [found.matte for _, found in deflicker(iter(pairs))]


def error(mattes: list[Matte], truth: list[Matte]) -> float:
    apart = [np.abs(m.astype(np.float32) - t).mean() for m, t in zip(mattes, truth, strict=True)]
    return float(np.mean(apart))


def samples(folder: Path | None, count: int) -> Iterator[tuple[str, list[Image], list[Matte]]]:
    for width, height in ((640, 360), (1280, 720)):
        yield f"rendered {width}x{height}", *subject_over_background(count, width, height)
    for name, path, masks in clips(folder) if folder else ():
        frames = [frame.image for frame in itertools.islice(read_frames(path), count)]
        yield name, frames, [soft(mask) for mask in masks[: len(frames)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    print(f"{'clip':24}  mattes      flicker -> calmed    error -> calmed   ms a frame")
    for name, frames, truth in samples(options.folder, options.frames):
        random = np.random.default_rng(0)
        for kind, mattes in (("perturbed", [perturbed(alpha, random) for alpha in truth]), ("true", truth)):
            began = time.perf_counter()
            calm = calmed(frames, mattes)
            spent = 1000 * (time.perf_counter() - began) / len(frames)
            changes = flicker(frames, mattes), flicker(frames, calm)
            faults = error(mattes, truth), error(calm, truth)
            print(f"{name:24}  {kind:9}", end="")
            print("  {:8.3f} -> {:6.3f}  {:6.3f} -> {:6.3f}".format(*changes, *faults), end="")
            print(f"  {spent:10.0f}", flush=True)


if __name__ == "__main__":
    main()
