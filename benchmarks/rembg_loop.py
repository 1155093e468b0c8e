"""IS-Net beside rembg: python -m benchmarks.rembg_loop VIDEO ISNET.onnx [--frames 24] [--rounds 3]

The same file of weights, the same frames, the same MP4 over green, each in a process of its own, by turns and
after a warm-up of two frames: `process`, and a loop of rembg as its users write it, in which every frame goes
in and comes back as a PNG file in memory. Printed are the seconds a frame of each round, and the ratio of the
medians. rembg is not among this project's requirements: `pip install rembg onnxruntime` first.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import av
from PIL import Image

from pipeline.job import GREEN, Job
from pipeline.process import process

NAMES = ("process", "rembg")


def cut_clip(source: Path, target: Path, frames: int) -> None:
    """Write the first frames of a video, near lossless."""
    with av.open(source) as reader, av.open(target, "w") as writer:
        video = reader.streams.video[0]
        stream = writer.add_stream("libx264", rate=video.average_rate, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for frame in islice(reader.decode(video), frames):
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())


def create_rembg(weights: Path, folder: Path) -> Callable[[Path, Path], int]:
    """Return a function that cuts a video out by rembg; it returns the number of frames."""
    models = folder / "rembg"
    models.mkdir(exist_ok=True)
    shutil.copy(weights, models / "isnet-general-use.onnx")
    os.environ |= {"U2NET_HOME": str(models), "MODEL_CHECKSUM_DISABLED": "1"}
    import rembg  # type: ignore[import-not-found]

    green = GREEN.red, GREEN.green, GREEN.blue, 255
    session: Any = rembg.new_session("isnet-general-use")

    def run(source: Path, target: Path) -> int:
        with av.open(source) as reader, av.open(target, "w") as writer:
            video = reader.streams.video[0]
            stream = writer.add_stream("libx264", rate=video.average_rate)
            stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
            count = 0
            for frame in reader.decode(video):
                png = io.BytesIO()
                frame.to_image().save(png, "PNG")
                cut = rembg.remove(png.getvalue(), session=session, bgcolor=green)
                picture = Image.open(io.BytesIO(cut)).convert("RGB")
                shown = av.VideoFrame.from_image(picture)
                shown.pts, shown.time_base = frame.pts, frame.time_base
                writer.mux(stream.encode(shown))
                count += 1
            writer.mux(stream.encode())
        return count

    return run


def create_process(weights: Path) -> Callable[[Path, Path], int]:
    """Return a function that cuts a video out by `process`; it returns the number of frames."""

    def run(source: Path, target: Path) -> int:
        job = Job(source, target, model="isnet", weights=weights, background=GREEN, device="cpu")
        return [progress.frames for progress in process(job)][-1]

    return run


def measure(name: str, weights: Path, folder: Path) -> float:
    """Return the seconds a frame."""
    run = create_rembg(weights, folder) if name == "rembg" else create_process(weights)
    run(folder / "short.mp4", folder / "out.mp4")
    started = time.perf_counter()
    count = run(folder / "clip.mp4", folder / "out.mp4")
    return (time.perf_counter() - started) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.weights, options.folder)))
        return
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        cut_clip(options.video, Path(folder) / "clip.mp4", options.frames)
        cut_clip(options.video, Path(folder) / "short.mp4", 2)
        for _ in range(options.rounds):
            for name in NAMES:
                command = [sys.executable, "-m", "benchmarks.rembg_loop", str(options.video)]
                command += [str(options.weights), "--measure", name, "--folder", folder]
                completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                seconds[name].append(json.loads(completed.stdout.splitlines()[-1]))
                print(f"{name:8} {seconds[name][-1]:.2f} s a frame", flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"process is {medians['rembg'] / medians['process']:.2f} times as fast as the loop of rembg")


if __name__ == "__main__":
    main()
