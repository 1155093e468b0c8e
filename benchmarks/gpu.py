"""A graphics card beside the host: python -m benchmarks.gpu [--device cuda] [--size 1080p] [--seconds 10]

For each model, with random weights and in a process of its own after a warm-up: `process` with frames that
stay on the card, `process` with frames on the host, and for RMBG an engine of TensorRT (where
`torch-tensorrt` is installed), the plain loop (OpenCV reads and writes, the network in float32, one frame at
a time) and the network alone on tensors that are on the card already.
Printed are frames per second, the share of time in which the card computes (by `nvidia-smi`), the host's
processor seconds a frame, and the peaks of both memories. Then, for each step, the milliseconds a frame on
the card and on the host. With `--device cpu` only what needs no card is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.rmbg import load_network, run_loop
from pipeline import devices, models
from pipeline.compositing import composite, device_foreground, foreground
from pipeline.imaging import device_guided_filter as device_filter
from pipeline.imaging import guided_filter
from pipeline.job import Job
from pipeline.networks import isnet, tensorrt
from pipeline.process import process
from pipeline.prompts import Box, Prompt
from pipeline.tensors import colour, compositing, transfer
from pipeline.video.colour.to_rgb import RgbConverter, white_level
from pipeline.video.colour.tonemap import make_table
from pipeline.video.writing.encoder_frames import FrameConverter
from pipeline.weights import licences
from tests.rendered import subject_over_background, write_clip

SIZES = {"360p": (640, 360), "1080p": (1920, 1080), "4k": (3840, 2160)}
MODELS = ("rmbg", "recorte", "sam2-tiny")
WAYS = ("card", "engine", "host", "loop", "network")
BATCH = 4


def create_action(way: str, job: Job, frames: int) -> Callable[[Job], int]:
    """Return the function that is measured: it runs a job and returns its number of frames."""
    device = devices.pick(job.device)
    file = weights_file(job.weights) if job.weights is not None else Path()
    if way == "loop":
        return lambda job: run_loop(job.source, job.output, file, device)
    if way == "network":
        network = load_network(file, device).to(devices.precision(device), memory_format=torch.channels_last)
        grids = torch.rand(BATCH, 3, 1024, 1024, device=device).to(devices.precision(device))
        grids = grids.contiguous(memory_format=torch.channels_last)

        def run(job: Job) -> int:
            with torch.inference_mode():
                for _ in range(max(1, frames // BATCH)):
                    network(grids)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return max(1, frames // BATCH) * BATCH

        return run
    return lambda job: [progress.frames for progress in process(job)][-1]


def weights_file(folder: Path) -> Path:
    """Return RMBG's file in a folder of weights."""
    card = models.card("rmbg")
    assert card.weights is not None
    return folder / card.weights.files[0].name


@contextmanager
def sampled_use(device: torch.device) -> Iterator[list[float]]:
    """Sample the share of time in which the card computes, 0 to 1, five times a second."""
    samples: list[float] = []
    if device.type != "cuda":
        yield samples
        return
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    command = ["nvidia-smi", *query, "-i", str(device.index or 0)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampler:
        assert sampler.stdout is not None
        lines = sampler.stdout
        reader = threading.Thread(target=lambda: samples.extend(float(line) / 100 for line in lines))
        reader.start()
        try:
            yield samples
        finally:
            sampler.terminate()
            reader.join()


def measure(model: str, way: str, folder: Path, device: str, frames: int) -> dict[str, float]:
    """Return what one way of running a job takes."""
    weights = None if model == "recorte" else folder
    width, height = json.loads((folder / "size.json").read_text())
    box = Prompt(box=Box(width * 0.3, height * 0.2, width * 0.7, height * 0.8))
    job = Job(
        folder / "clip.mp4",
        folder / "out.mp4",
        model=model,
        prompts=() if model == "rmbg" else (box,),
        device=device,
        weights=weights,
        hardware=way in ("card", "engine"),
    )
    if way == "engine":
        os.environ[tensorrt.SETTING] = "1"
    run = create_action(way, job, frames)
    picked = devices.pick(device)
    with ExitStack() as stack:
        if way not in ("card", "engine"):
            stack.enter_context(patch.object(devices, "frame_device", lambda *_: None))
        run(replace(job, source=folder / "short.mp4"))
        used = stack.enter_context(sampled_use(picked))
        before, started = time.process_time(), time.perf_counter()
        count = run(job)
        seconds, processor = time.perf_counter() - started, time.process_time() - before
    return {
        "fps": count / seconds,
        "busy": statistics.fmean(used) if used else 0,
        "processor": processor / count,
        "host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "device": torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_initialized() else 0,
    }


def time_steps(size: tuple[int, int], device: torch.device) -> Iterator[tuple[str, float, float]]:
    """Yield each step with its milliseconds a frame on the device and on the host."""
    (image,), (matte,) = subject_over_background(1, *size)
    behind = np.full_like(image, 90)
    mask = np.asarray(guided_filter.shrink(np.dstack((matte,) * 3), 1024)[..., 0], np.float32) / 255
    frame = FrameConverter("yuv420p")(image)
    on_device = [transfer.upload_image(picture, device) for picture in (image, behind)]
    alpha, small = transfer.upload_matte(matte, device), transfer.upload(mask, device)
    luma, chroma = colour.from_rgb(on_device[0], colour.Yuv(1, False, 8), 2, 2, torch.uint8)
    hdr = FrameConverter("yuv420p10le")(image)
    hdr.color_trc, hdr.color_primaries, hdr.colorspace = 16, 9, 9  # PQ in BT.2020
    deep = colour.Yuv(9, False, 10)
    hdr_luma, hdr_chroma = colour.from_rgb(on_device[0], deep, 2, 2, torch.uint16)
    converter = RgbConverter()
    tone_map = converter.choose_tonemap(hdr, white_level(hdr, 10))
    table = transfer.upload(make_table(tone_map), device)
    steps: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "planes to RGB": (
            lambda: colour.to_rgb(luma, chroma, colour.Yuv(1, False, 8), torch.uint8),
            lambda: RgbConverter().to_rgb(frame, *size, high_bit_depth=False),
        ),
        "HDR planes to RGB": (
            lambda: colour.apply_table(
                colour.to_signal(hdr_luma, hdr_chroma, deep), table, tone_map.max_input, torch.uint8
            ),
            lambda: converter.to_rgb(hdr, *size, high_bit_depth=False),
        ),
        "upsampling": (
            lambda: device_filter.upsample_soft(small, on_device[0]),
            lambda: guided_filter.upsample_soft(mask, image),
        ),
        "foreground": (
            lambda: device_foreground.estimate_foreground(on_device[0], alpha),
            lambda: foreground.estimate_foreground(image, matte),
        ),
        "over": (
            lambda: compositing.over(on_device[0], alpha, on_device[1]),
            lambda: composite.over(image, matte, behind),
        ),
        "RGB to planes": (
            lambda: colour.from_rgb(on_device[0], colour.Yuv(1, False, 8), 2, 2, torch.uint8),
            lambda: FrameConverter("yuv420p")(image),
        ),
    }
    for name, ways in steps.items():
        took = []
        for run in ways:
            with torch.inference_mode():
                run()
                seconds = []
                for _ in range(5):
                    started = time.perf_counter()
                    run()
                    if device.type == "cuda":
                        torch.cuda.synchronize(device)
                    seconds.append(time.perf_counter() - started)
            took.append(statistics.median(seconds) * 1000)
        yield name, took[0], took[1]


def is_possible(way: str, model: str, device: torch.device) -> bool:
    """Return True if a model can be run in this way on the device."""
    if way == "engine" and tensorrt.find_version() is None:
        return False
    on_card = way in ("card", "engine")
    return (device.type == "cuda" or not on_card) and (model == "rmbg" or way in ("card", "host"))


def create_inputs(folder: Path, size: tuple[int, int], frames: int) -> None:
    """Write the clips and random weights that all ways share."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    (folder / "size.json").write_text(json.dumps(size))
    torch.manual_seed(0)
    file = weights_file(folder)
    file.parent.mkdir(parents=True)
    save_file(isnet.Isnet().state_dict(), file)
    Sam2VideoModel(Sam2VideoConfig()).save_pretrained(folder / "facebook/sam2.1-hiera-tiny")
    pictures, _ = subject_over_background(min(frames, 24), *size)
    write_clip(folder / "clip.mp4", [pictures[n % len(pictures)] for n in range(frames)])
    write_clip(folder / "short.mp4", pictures[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    frames = max(4, round(options.seconds * 24))
    if options.measure:
        print(json.dumps(measure(*options.measure, options.folder, options.device, frames)))
        return
    device = devices.pick(options.device)
    for size in options.size or ("1080p", "4k"):
        print(f"{size}, {frames} frames, on {device}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            create_inputs(folder, SIZES[size], frames)
            with patch.dict(os.environ, {"RECORTE_WEIGHTS": name, "RECORTE_HOME": name}):
                licences.acknowledge("rmbg", models.card("rmbg").licence_url)
                for model in options.model or MODELS:
                    for way in WAYS:
                        if not is_possible(way, model, device):
                            continue
                        command = [sys.executable, "-m", "benchmarks.gpu", "--measure", model, way]
                        command += ["--folder", name, "--device", options.device]
                        command += ["--seconds", str(options.seconds)]
                        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                        row = json.loads(done.stdout.splitlines()[-1])
                        print(
                            f"{model:10} {way:8} {row['fps']:8.2f} frames/s  busy {row['busy']:4.0%}  "
                            f"processor {row['processor'] * 1000:7.1f} ms/frame  "
                            f"host {row['host']:6.0f} MiB  device {row['device']:6.0f} MiB",
                            flush=True,
                        )
        for step, ours, theirs in time_steps(SIZES[size], device):
            print(f"{step:18} {ours:8.2f} ms on {device}, {theirs:8.2f} ms on the host", flush=True)


if __name__ == "__main__":
    main()
