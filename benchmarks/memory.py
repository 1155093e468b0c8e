"""Memory of a run: python -m benchmarks.memory CLIP [--heights 720 1080 2160] [--seconds 10] [--times 10]

Peak resident memory of `python -m pipeline run` for each height, on so many seconds of the clip and on that
repeated, each in a process of its own. It may grow with the frame, and must not with the length, which the
ratio shows. The estimate of `pipeline.jobs.preflight` is printed beside it.

The clip is scaled, trimmed and repeated (`-stream_loop`) with the ffmpeg program.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline import formats
from pipeline.job import Job
from pipeline.jobs import preflight
from pipeline.video.reading.probe import probe_clip


def run_ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def scale_clip(clip: Path, height: int, seconds: float, folder: Path) -> Path:
    """Write `seconds` of the clip, repeated if it is shorter, at a height; returns its path."""
    out = folder / f"{height}.mp4"
    looped = ["-stream_loop", "-1", "-t", str(seconds), "-i", clip, "-vf", f"scale=-2:{height}"]
    run_ffmpeg(*looped, "-preset", "veryfast", "-crf", "20", out)
    return out


def repeat_clip(clip: Path, times: int) -> Path:
    out = clip.with_stem(f"{clip.stem}-{times}")
    run_ffmpeg("-stream_loop", str(times - 1), "-i", clip, "-c", "copy", out)
    return out


def measure_peak(source: Path, output: Path, arguments: list[str]) -> tuple[int, float]:
    """Return the peak resident bytes and frames per second of the command line."""
    command = [sys.executable, "-m", "pipeline", "run", str(source), str(output), "--json", *arguments]
    completed = subprocess.run(command, check=True, capture_output=True, text=True)
    summary = json.loads(completed.stdout.splitlines()[-1])
    return summary["peak_memory_bytes"], summary["frames_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[720, 1080, 2160])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--model", default=Job.model)
    parser.add_argument("--format", default=Job.format)
    parser.add_argument("--background", default="blur")
    options = parser.parse_args()
    suffix = formats.by_key(options.format).suffix
    arguments = ["--model", options.model, "--format", options.format, "--background", options.background]
    lengths = f"{options.seconds:g} s and {options.times} times that"
    print(f"{options.clip.name}, {options.model}, {options.format}, {lengths}: peak memory in MiB")
    print("  height    once  repeated   ratio   reckoned   frames a second")
    for height in options.heights:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            once = scale_clip(options.clip, height, options.seconds, folder)
            output = folder / f"out{suffix}"
            short, _ = measure_peak(once, output, arguments)
            long, rate = measure_peak(repeat_clip(once, options.times), output, arguments)
            job = Job(once, output, model=options.model, format=options.format)
            estimated = preflight.memory_bytes(job, probe_clip(once))
        print(
            f"  {height:6} {short / 2**20:7.0f} {long / 2**20:10.0f} {long / short:7.3f}"
            f" {estimated / 2**20:10.0f} {rate:17.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
