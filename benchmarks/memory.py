"""Memory of a run: python -m benchmarks.memory CLIP [--heights 720 1080 2160] [--seconds 10] [--times 10]

Peak resident memory of `python -m pipeline run` for each height, on so many seconds of the clip and on that
repeated, each in a process of its own. It may grow with the frame, and must not with the length: the ratio is
what is looked at. What `pipeline.jobs.preflight` reckons with stands beside it.

The clip is scaled, made as long as is asked and repeated (`-stream_loop`) with the ffmpeg program.
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


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def scaled(clip: Path, height: int, seconds: float, folder: Path) -> Path:
    """`seconds` of the clip, repeated where it is shorter, at a height."""
    out = folder / f"{height}.mp4"
    looped = ["-stream_loop", "-1", "-t", str(seconds), "-i", clip, "-vf", f"scale=-2:{height}"]
    ffmpeg(*looped, "-preset", "veryfast", "-crf", "20", out)
    return out


def repeated(clip: Path, times: int) -> Path:
    out = clip.with_stem(f"{clip.stem}-{times}")
    ffmpeg("-stream_loop", str(times - 1), "-i", clip, "-c", "copy", out)
    return out


def peak(source: Path, output: Path, arguments: list[str]) -> tuple[int, float]:
    """Peak resident bytes and frames per second of the command line."""
    command = [sys.executable, "-m", "pipeline", "run", str(source), str(output), "--json", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout.splitlines()[-1])
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
            once = scaled(options.clip, height, options.seconds, folder)
            output = folder / f"out{suffix}"
            short, _ = peak(once, output, arguments)
            long, rate = peak(repeated(once, options.times), output, arguments)
            job = Job(once, output, model=options.model, format=options.format)
            reckoned = preflight.memory_bytes(job, probe_clip(once))
        print(
            f"  {height:6} {short / 2**20:7.0f} {long / 2**20:10.0f} {long / short:7.3f}"
            f" {reckoned / 2**20:10.0f} {rate:17.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
