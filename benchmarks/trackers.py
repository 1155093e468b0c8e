"""Seconds a frame of trackers: python -m benchmarks.trackers VIDEO [--frames 3] [--models sam2-tiny sam3]

Each network has its published size and random weights, so that nothing is downloaded, and a process of its
own. The first frame is marked with a box; of the later ones, which are tracked by the memory, the median is
printed, and its processor time, which other work on the machine changes less. The mattes mean nothing. Memory
is the peak of the process, with the weights.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from pipeline import devices
from pipeline.models import PromptedFrame
from pipeline.models.sam2 import Sam2
from pipeline.networks import edgetam, sam2, sam3
from pipeline.prompts import Box, Prompt
from pipeline.video.reading.frames import read_frames


def create_sam2_tiny() -> sam2.Network:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    return sam2.Network(Sam2VideoModel(Sam2VideoConfig()), devices.pick("cpu"))  # the defaults: Tiny


def create_edgetam() -> sam2.Network:
    from transformers import EdgeTamVideoModel

    module = EdgeTamVideoModel(edgetam.configure()).train(False)
    return sam2.Network(edgetam.fuse_encoder(module), devices.pick("cpu"))


def create_sam3() -> sam2.Network:
    from transformers import Sam3TrackerVideoModel

    module = Sam3TrackerVideoModel(sam3.configure().tracker_config)  # type: ignore[arg-type]
    return sam3.create_tracker(module, devices.pick("cpu"))


NETWORKS: dict[str, Callable[[], sam2.Network]] = {
    "sam2-tiny": create_sam2_tiny,
    "edgetam": create_edgetam,
    "sam3": create_sam3,
}


def read_marked(video: Path, count: int) -> list[PromptedFrame]:
    """Read the first frames of a video, the first with a box around its middle."""
    frames: list[PromptedFrame] = []
    for frame in islice(read_frames(video), count):
        height, width = frame.image.shape[:2]
        box = Box(width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        frames.append(PromptedFrame(frame.image, None if frames else Prompt(box=box)))
    return frames


def time_each(predictions: Iterator[object]) -> Iterator[tuple[float, float]]:
    """Yield the seconds that each prediction takes, and those of processor time."""
    started = time.perf_counter(), time.process_time()
    for _ in predictions:
        yield time.perf_counter() - started[0], time.process_time() - started[1]
        started = time.perf_counter(), time.process_time()


def measure(key: str, video: Path, count: int) -> dict[str, float]:
    """Return the seconds of the first frame and of a later one, peak memory in bytes, and weights."""
    network = NETWORKS[key]()
    weights = sum(weight.numel() for weight in network.module.parameters())
    (first, _), *later = time_each(Sam2(network, key).predict(iter(read_marked(video, count))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    wall, processor = (statistics.median(seconds) for seconds in zip(*later, strict=True))
    return {"first": first, "later": wall, "processor": processor, "peak": peak, "weights": weights}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--models", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--measure", choices=NETWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.frames < 2:
        parser.error("--frames: at least two")
    if options.measure:
        print(json.dumps(measure(options.measure, options.video, options.frames)))
        return
    print(f"{options.video.name}, {options.frames} frames, random weights: seconds")
    print("  model       weights   first frame   later frame   processor   peak memory")
    for key in options.models:
        command = [sys.executable, "-m", "benchmarks.trackers", str(options.video)]
        command += ["--frames", str(options.frames), "--measure", key]
        completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(completed.stdout.splitlines()[-1])
        print(
            f"  {key:10} {found['weights'] / 1e6:6.1f} M {found['first']:13.2f} {found['later']:13.2f}"
            f" {found['processor']:11.2f} {found['peak'] / 2**20:9.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
