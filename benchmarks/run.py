"""Speed of a run and its stages: python -m benchmarks.run CLIP [--model KEY] [--box X0,Y0,X1,Y1] [--rounds 3]

Each stage alone (decode; decode with the model; composite; encode), a sequential loop of all stages, and
`process`, which overlaps them, also as wall time relative to the slowest stage. Figures are medians of
interleaved rounds, against noise of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline import formats, matte
from pipeline.compositing.composite import open_composer
from pipeline.job import Job
from pipeline.process import process
from pipeline.prompts import Box, Prompt
from pipeline.propagation.plan import prompts_by_frame
from pipeline.propagation.stream import create_stream
from pipeline.video.audio.audio_read import AudioRange
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer


def frame_rate(action: Callable[[], int]) -> float:
    """Return the frames per second of `action`, which returns its number of frames."""
    started = time.perf_counter()
    count = action()
    return count / (time.perf_counter() - started)


def create_stages(job: Job, folder: Path) -> dict[str, Callable[[], int]]:
    """Return a function for each stage alone over the whole clip; composite reads a stored matte."""
    clip = probe_clip(job.source)
    marks = prompts_by_frame(job.prompts, clip)
    stream = create_stream(job)
    path = folder / "kept.mkv"
    for _ in process(replace(job, matte=path)):
        pass
    stored = matte.MatteFile.open(path)
    compose = open_composer(job.background, clip.width, clip.height)

    def writer(path: Path) -> Writer:
        return Writer(
            path,
            formats.by_key(job.format),
            StreamSpec(clip.width, clip.height, clip.time_base, clip.rate),
            sound=AudioRange(job.source),
        )

    def decode() -> int:
        return sum(1 for _ in read_frames(job.source))

    def model_alone() -> int:
        return sum(1 for _ in stream(read_frames(job.source), marks))

    def composite() -> int:
        return sum(1 for frame, alpha in stored.read(clip) if compose(frame.image, alpha, 0.0) is not None)

    def encode() -> int:
        count = 0
        with writer(folder / "encode.mp4") as out:
            for frame in read_frames(job.source):
                out.write(frame.image, frame.pts)
                count += 1
        return count

    def loop() -> int:
        count = 0
        with writer(folder / "loop.mp4") as out:
            for frame, prediction in stream(read_frames(job.source), marks):
                out.write(compose(frame.image, prediction.matte, 0.0), frame.pts)
                count += 1
        return count

    def overlapped() -> int:
        return [progress.frames for progress in process(job)][-1]

    return {
        "decode": decode,
        "decode, composite": composite,
        "decode, encode": encode,
        "decode, model": model_alone,
        "one after the other": loop,
        "process": overlapped,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default=Job.model)
    parser.add_argument("--box", help="around the subject on the first frame")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    prompts = (Prompt(box=Box.between(*map(float, options.box.split(",")))),) if options.box else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = Job(options.clip, folder / "out.mp4", model=options.model, prompts=prompts)
        stage_functions = create_stages(job, folder)
        rates: dict[str, list[float]] = {stage: [] for stage in stage_functions}
        for _ in range(options.rounds):
            for stage, action in stage_functions.items():
                rates[stage].append(frame_rate(action))
        print(f"{options.clip.name}, {options.model}: frames per second, median of {options.rounds}")
        for stage, stage_rates in rates.items():
            print(f"  {stage:20} {statistics.median(stage_rates):8.1f}")
        walls = [
            model / overlapped
            for model, overlapped in zip(rates["decode, model"], rates["process"], strict=True)
        ]
        loops = [
            overlapped / loop
            for overlapped, loop in zip(rates["process"], rates["one after the other"], strict=True)
        ]
        print(f"  process over the slowest stage (wall): {statistics.median(walls):.2f}")
        print(f"  process over one after the other (rate): {statistics.median(loops):.2f}")


if __name__ == "__main__":
    main()
