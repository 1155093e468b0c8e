"""Cost of resume data: python -m benchmarks.journal [--frames 480] [--repeat 3]

A rendered clip is matted at 720p, and predictions are stored as they come, as for a job with a matte file.
For each model that needs no download, the medians of `--repeat` runs: milliseconds per frame of all the work,
of storing, and of a second run that reads the stored predictions while decoding the frames again; the size of
a stream's state, and that of a matte.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.prompts import Point, Prompt
from pipeline.propagation import run, spool
from pipeline.propagation.plan import plan_segments
from pipeline.propagation.stream import create_stream
from pipeline.video.reading.probe import probe_clip
from tests import rendered

WIDTH, HEIGHT, RATE = 1280, 720, Fraction(30)


class Clock:
    """Callable that adds up the seconds of its calls."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.seconds = 0.0
        self._call = call

    def __call__(self, *args: Any) -> Any:
        started = time.perf_counter()
        try:
            return self._call(*args)
        finally:
            self.seconds += time.perf_counter() - started


class TimedSpool(spool.Spool):
    """Spool that measures the time of storing."""

    adding: Clock

    def add(self, pts: int, prediction: Any) -> None:
        TimedSpool.adding(self, pts, prediction)


def measure(job: Job, folder: Path) -> tuple[float, float, float, int, int]:
    """Return seconds of a run, of storing, of a second run; bytes of the last state and of all mattes."""
    clip = probe_clip(job.source)
    pts = pts_range(job, clip)
    plan = plan_segments(job.active_prompts, clip, *pts)

    def time_run() -> float:
        started = time.perf_counter()
        for _ in run.run_plan(clip, create_stream(job), plan, folder, lasting=True):
            pass
        return time.perf_counter() - started

    TimedSpool.adding = Clock(spool.Spool.add)
    total = time_run()
    states = sorted(folder.rglob("*.state"))
    mattes = sum(path.stat().st_size for path in folder.rglob("*.mattes"))
    second_run = time_run()
    return total, TimedSpool.adding.seconds, second_run, states[-1].stat().st_size if states else 0, mattes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    run.Spool = TimedSpool  # type: ignore[misc]
    print(f"{'model':10}  ms a frame  putting by        second run   state  a matte")
    with tempfile.TemporaryDirectory() as name:
        frames, _alphas = rendered.subject_over_background(options.frames, WIDTH, HEIGHT)
        source = rendered.write_clip(Path(name) / "in.mp4", frames, rate=RATE)
        middle = Prompt(points=(Point(WIDTH / 2, HEIGHT / 2),))
        for model in ("grabcut", "recorte"):
            job = Job(source, Path(name) / "out.mp4", model=model, prompts=(middle,))
            runs = [measure(job, Path(name) / f"{model}-{n}") for n in range(options.repeat)]
            total, storing, read, state, mattes = (statistics.median(of) for of in zip(*runs, strict=True))
            each = 1000 / options.frames
            print(
                f"{model:10}  {total * each:10.1f}  {storing * each:5.2f} ({storing / total:5.1%})"
                f"  {read * each:13.2f}  {state / 1e6:5.1f} MB  {mattes / options.frames / 1e3:5.1f} kB",
                flush=True,
            )


if __name__ == "__main__":
    main()
