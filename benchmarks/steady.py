"""Cost and benefit of the deflicker: python -m benchmarks.steady [FOLDER] [--frames 24]

For rendered clips with their exact alphas, and for the clips of a folder with true masks (laid out as for
benchmarks.masked), mattes are the truth with errors that differ from frame to frame, as a network's do: an
edge that moves by a pixel or two and blotches near it. Printed for them, and for the truth itself, which
deflicker should not change: flicker, the mean absolute change along consistent flow, and the mean absolute
error against the truth, 0 to 255, without and with deflicker; and its time.
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
from benchmarks.masked import read_clips, soften
from pipeline.arrays import Image, Matte
from pipeline.imaging import optical_flow
from pipeline.models import Prediction
from pipeline.propagation.deflicker import deflicker
from pipeline.video.reading.frames import Frame, read_frames
from tests.rendered import subject_over_background


def perturb(alpha: Matte, random: np.random.Generator, edge: float = 1.0, blotch: float = 0.15) -> Matte:
    """Return the alpha with a shifted edge, in pixels of a frame 640 wide, and blotches near it."""
    height, width = alpha.shape
    unit = max(height, width) / 640

    def field(cells: int) -> np.ndarray:
        coarse = random.normal(0, 1, (max(2, height // cells), max(2, width // cells))).astype(np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    shifted = optical_flow.warp(alpha, np.dstack((field(24), field(24))) * np.float32(edge * unit))
    near = cv2.GaussianBlur(alpha.astype(np.float32) / 255, (0, 0), 8 * unit)
    matte = shifted + 255 * blotch * 4 * near * (1 - near) * field(16)
    return np.clip(np.rint(matte), 0, 255).astype(np.uint8)


def smooth(frames: list[Image], mattes: list[Matte]) -> list[Matte]:
    pairs = zip((Frame(n, image) for n, image in enumerate(frames)), map(Prediction, mattes), strict=True)
    return [prediction.matte for _, prediction in deflicker(iter(pairs))]


def mean_error(mattes: list[Matte], truth: list[Matte]) -> float:
    differences = [np.abs(m.astype(np.float32) - t).mean() for m, t in zip(mattes, truth, strict=True)]
    return float(np.mean(differences))


def samples(folder: Path | None, count: int) -> Iterator[tuple[str, list[Image], list[Matte]]]:
    for width, height in ((640, 360), (1280, 720)):
        yield f"rendered {width}x{height}", *subject_over_background(count, width, height)
    for name, path, masks in read_clips(folder) if folder else ():
        frames = [frame.image for frame in itertools.islice(read_frames(path), count)]
        yield name, frames, [soften(mask) for mask in masks[: len(frames)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    print(f"{'clip':24}  mattes      flicker -> calmed    error -> calmed   ms a frame")
    for name, frames, truth in samples(options.folder, options.frames):
        random = np.random.default_rng(0)
        for kind, mattes in (("perturbed", [perturb(alpha, random) for alpha in truth]), ("true", truth)):
            started = time.perf_counter()
            smoothed = smooth(frames, mattes)
            milliseconds = 1000 * (time.perf_counter() - started) / len(frames)
            changes = flicker(frames, mattes), flicker(frames, smoothed)
            errors = mean_error(mattes, truth), mean_error(smoothed, truth)
            print(f"{name:24}  {kind:9}", end="")
            print("  {:8.3f} -> {:6.3f}  {:6.3f} -> {:6.3f}".format(*changes, *errors), end="")
            print(f"  {milliseconds:10.0f}", flush=True)


if __name__ == "__main__":
    main()
