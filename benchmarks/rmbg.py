"""RMBG at 1080p: python -m benchmarks.rmbg [--device auto] [--frames 24] [--only NAME]

With random weights, each in a process of its own and after a warm-up: `process` on a rendered clip, a
sequential loop (OpenCV reads and writes, the network in float32, one frame at a time, masks rescaled as in
the model card), and the stages of `process` alone, the model also in float32 and by two frames.
Printed are frames per second, `process` over the loop, and the peaks of host and device memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from pipeline import devices, formats, models
from pipeline.compositing.composite import open_composer
from pipeline.job import GREEN, Job
from pipeline.models import PromptedFrame
from pipeline.networks import isnet
from pipeline.process import process
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer
from pipeline.weights import checkpoints, licences
from tests.rendered import subject_over_background, write_clip

NAMES = ("process", "loop", "decode", "model", "model, float32", "model, by two", "composite", "encode")


@cache
def load_network(file: Path, device: torch.device) -> torch.nn.Module:
    """Load the network once, so that only the work on frames is measured."""
    network = isnet.Isnet()
    checkpoints.load_into(network, file)
    return network.eval().to(device)


def run_loop(source: Path, output: Path, file: Path, device: torch.device) -> int:
    """Run all steps sequentially for each frame; returns the number of frames."""
    network = load_network(file, device)
    reader = cv2.VideoCapture(str(source))
    size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate = reader.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    green = np.array([GREEN.blue, GREEN.green, GREEN.red], np.float32)
    count = 0
    while True:
        ok, frame = reader.read()
        if not ok:
            break
        picture = torch.from_numpy(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            grid = functional.interpolate(picture.to(device), (1024, 1024), mode="bilinear") / 255 - 0.5
            mask = functional.interpolate(network(grid).sigmoid(), size[::-1], mode="bilinear")[0, 0]
        alpha = ((mask - mask.min()) / (mask.max() - mask.min())).cpu().numpy()[..., None]
        writer.write(np.rint(alpha * frame + (1 - alpha) * green).astype(np.uint8))
        count += 1
    writer.release()
    return count


def create_action(name: str, job: Job, file: Path) -> Callable[[Job], int]:
    """Return the function measured under this name: it runs a job and returns its number of frames."""
    device = devices.pick(job.device)

    def stills(path: Path) -> Iterator[PromptedFrame]:
        return (PromptedFrame(frame.image) for frame in read_frames(path))

    def model(job: Job) -> int:
        predictions = models.load("rmbg", job.device, job.weights).predict(stills(job.source))
        return sum(1 for _ in predictions)

    def composite(job: Job) -> int:
        clip = probe_clip(job.source)
        compose = open_composer(job.background, clip.width, clip.height)
        alpha = np.full((clip.height, clip.width), 99, np.uint8)
        return sum(1 for still in stills(job.source) if compose(still.image, alpha, 0.0) is not None)

    def encode(job: Job) -> int:
        clip = probe_clip(job.source)
        with Writer(
            job.output,
            formats.by_key(job.format),
            StreamSpec(clip.width, clip.height, clip.time_base, clip.rate),
        ) as out:
            for frame in read_frames(job.source):
                out.write(frame.image, frame.pts)
        return len(load_index(job.source).pts)

    return {
        "process": lambda job: [progress.frames for progress in process(job)][-1],
        "loop": lambda job: run_loop(job.source, job.output, file, device),
        "decode": lambda job: sum(1 for _ in read_frames(job.source)),
        "model": model,
        "model, float32": model,
        "model, by two": model,
        "composite": composite,
        "encode": encode,
    }[name]


def measure(name: str, folder: Path, device: str) -> dict[str, float]:
    """Return the frames per second and the peaks of memory, in MiB, of this process."""
    file = folder / models.card("rmbg").weights.files[0].name
    job = Job(folder / "clip.mp4", folder / "out.mp4", model="rmbg", device=device, weights=file.parents[2])
    run = create_action(name, job, file)
    with ExitStack() as stack:
        if name == "model, float32":
            stack.enter_context(patch.object(devices, "precision", lambda device: torch.float32))
        if name == "model, by two":
            stack.enter_context(patch.object(devices, "batch_size", lambda device, each: 2))
        run(replace(job, source=folder / "short.mp4"))
        started = time.perf_counter()
        count = run(job)
        seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()
    host = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10
    has_cuda = torch.cuda.is_initialized()
    return {
        "fps": count / seconds,
        "host": host,
        "device": torch.cuda.max_memory_reserved() / 2**20 if has_cuda else 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--only", choices=NAMES, action="append")
    parser.add_argument("--measure", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.folder, options.device)))
        return
    card = models.card("rmbg")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / card.weights.files[0].name
        file.parent.mkdir(parents=True)
        torch.manual_seed(0)
        save_file(isnet.Isnet().state_dict(), file)
        frames, _ = subject_over_background(options.frames, 1920, 1080)
        write_clip(folder / "clip.mp4", frames)
        write_clip(folder / "short.mp4", frames[:2])
        del frames
        with patch.dict(os.environ, {"RECORTE_WEIGHTS": str(folder)}):
            licences.acknowledge("rmbg", card.licence_url)
            print(f"{options.frames} frames, 1920x1080, on {devices.pick(options.device)}")
            print(f"{'':16} {'fps':>8} {'host MiB':>10} {'device MiB':>11}")
            measurements = {}
            for stage in options.only or NAMES:
                command = [sys.executable, "-m", "benchmarks.rmbg", "--measure", stage, "--folder", name]
                command += ["--device", options.device]
                completed = subprocess.run(command, check=True, capture_output=True, text=True)
                measurements[stage] = json.loads(completed.stdout.splitlines()[-1])
                print(
                    "{:16} {fps:8.3f} {host:10.0f} {device:11.0f}".format(stage, **measurements[stage]),
                    flush=True,
                )
        if "process" in measurements and "loop" in measurements:
            print(
                f"process over the loop: {measurements['process']['fps'] / measurements['loop']['fps']:.2f}"
            )


if __name__ == "__main__":
    main()
