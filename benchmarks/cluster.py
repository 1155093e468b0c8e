"""Cost of a Ray cluster: python -m benchmarks.cluster CLIP [--seconds 3] [--runs 3] [--only local first ...]

Clusters of several nodes on this machine, with a folder as store. Printed as JSON, a line a figure:

- local: frames per second of a run on one node with a store, beside one in a worker process here, in turns,
  each warm and with all processors; the medians and their ratio, and the bytes that were moved for each frame
- first: seconds from submit to the first frame's progress, of an actor that starts and of a warm one
- pieces: 1,000 pieces that sleep, on 1, 2 and 4 nodes; the time asleep of those behind the moment at which
  all actors have started, divided by the nodes and by the time that they took
- writes: reports of progress that the server's database takes a second, one transaction each
- memory: peak bytes of the driver's process and of Ray's object store for the clip, and for ten times as much

The clip is scaled to `--height`, trimmed and repeated with the ffmpeg program.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.memory import repeat_clip, scale_clip
from db import repository
from db.engine import Database
from pipeline.cluster.actors import Slot
from pipeline.cluster.crew import Piece
from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.cluster.node import NodeWorker
from pipeline.cluster.shipping import Shared
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Worker
from pipeline.process import process
from pipeline.prompts import Box, Prompt
from pipeline.video.reading.probe import probe_clip

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
PIECES, SLEEP_SECONDS = 1000, 0.05
WRITES = 1000


class MeasuredDriver(RayDriver):
    """Driver that tells how much of the object store is used."""

    def stored_bytes(self) -> float:
        import ray

        name = "object_store_memory"
        return ray.cluster_resources().get(name, 0.0) - ray.available_resources().get(name, 0.0)


class SleepingNode(NodeWorker):
    """Node whose jobs sleep."""

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"memory": 0, "error": None}

    def _run(self, piece: bool) -> bool:
        time.sleep(SLEEP_SECONDS)
        return True


class Sleep(Shared):
    """A piece that sleeps."""

    def __init__(self) -> None:
        pass

    def send(self) -> dict[str, Any]:
        return {"job": {"device": "cpu"}}


class SleepingDriver(RayDriver):
    """Driver of pieces that sleep."""

    node_class = SleepingNode

    def sleep(self, nodes: int) -> tuple[int, float]:
        """Let nodes do the pieces; return how many were left when all had started, and the seconds then."""
        until = time.monotonic() + 60
        while self.capacity() < nodes and time.monotonic() < until:
            time.sleep(0.1)
        slot = self._slots.setdefault(0, Slot())
        began, left = 0.0, 0
        for step in self._compute(slot, nodes - 1, [Piece(Sleep(), 1) for _ in range(PIECES)]):
            if not began and all(each.node for each in (slot, *slot.crew)):
                began, left = time.monotonic(), PIECES - step.done
        return left, time.monotonic() - began


class LocalHost:
    """Runs jobs in a worker process."""

    def run(self, job: Job) -> Iterator[Progress]:
        return process(job)


@dataclass
class Traffic:
    """Largest size of each file that was seen in a store."""

    folder: Path
    sizes: dict[str, int]
    _ended: threading.Event

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def watch(self) -> None:
        while not self._ended.wait(0.05):
            for path in self.folder.rglob("*"):
                if path.suffix != ".part":
                    try:
                        size = path.stat().st_size if path.is_file() else 0
                    except FileNotFoundError:
                        continue
                    self.sizes[str(path)] = max(size, self.sizes.get(str(path), 0))


@contextmanager
def watch_store(folder: Path) -> Iterator[Traffic]:
    traffic = Traffic(folder, {}, threading.Event())
    thread = threading.Thread(target=traffic.watch)
    thread.start()
    yield traffic
    traffic._ended.set()
    thread.join()


@contextmanager
def start_cluster(nodes: int, processors: int = 1) -> Iterator[str]:
    """Start a head that runs no job, and nodes of so many processors each; yield the address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own modules
        from ray.cluster_utils import Cluster

        made: Any = Cluster(initialize_head=True, head_node_args=NODE | {"num_cpus": 0})
    for _ in range(nodes):
        made.add_node(**NODE | {"num_cpus": processors})
    yield made.address
    made.shutdown()


def run_timed(steps: Iterator[Progress]) -> tuple[float, float, int]:
    """Run a job; return the seconds to the first frame and to the end, and the frames."""
    began, first, frames = time.monotonic(), 0.0, 0
    for step in steps:
        first = first or (time.monotonic() - began if step.done else 0.0)
        frames = step.frames
    return first, time.monotonic() - began, frames


def measure_local(job: Job, address: str, store: Path, runs: int) -> None:
    with Worker(LocalHost) as here, open_driver(address, f"file://{store}") as driver:
        places: dict[str, Callable[[], Iterator[Progress]]] = {
            "here": partial(here.stream, LocalHost.run, job),
            "node": partial(RayExecutor(driver, 0).run, job),
        }
        rates: dict[str, list[float]] = {name: [] for name in places}
        moved = 0.0
        for turn in range(runs + 1):  # the first one warms up
            for name, run in places.items():
                assert job.matte is not None
                job.matte.unlink(missing_ok=True)
                if turn:
                    _, seconds, frames = run_timed(run())
                    rates[name].append(frames / seconds)
                    continue
                with watch_store(store) as traffic:
                    *_, frames = run_timed(run())
                moved = traffic.bytes / frames
    here_rate, node_rate = (statistics.median(rates[name]) for name in ("here", "node"))
    show("local", here=here_rate, node=node_rate, ratio=node_rate / here_rate, bytes_a_frame=moved)


def measure_first(job: Job, address: str, runs: int) -> None:
    cold, warm = [], []
    own = replace(job, matte=None)
    for _ in range(runs):
        with open_driver(address) as driver:
            driver.call(RayDriver.capacity)
            for times in (cold, warm):
                times.append(run_timed(RayExecutor(driver, 0).run(own))[0])
    show("first", cold=statistics.median(cold), warm=statistics.median(warm))


def measure_pieces() -> None:
    for nodes in (1, 2, 4):
        with start_cluster(nodes) as address, open_driver(address, factory=SleepingDriver) as driver:
            left, seconds = driver.call(SleepingDriver.sleep, nodes)
        asleep = left * SLEEP_SECONDS / nodes
        show("pieces", nodes=nodes, left=left, seconds=seconds, efficiency=asleep / seconds)


def measure_memory(job: Job, address: str, times: int) -> None:
    peaks = {}
    for name, source in (("once", job.source), ("longer", repeat_clip(job.source, times))):
        with open_driver(address, factory=MeasuredDriver) as driver:
            driver.call(RayDriver.capacity)
            process, peak, stored = psutil.Process(driver.pid), 0, 0.0
            for _ in RayExecutor(driver, 0).run(replace(job, source=source, matte=None)):
                peak = max(peak, process.memory_info().rss)
                stored = max(stored, driver.call(MeasuredDriver.stored_bytes))
            peaks[name] = peak
            show("memory", clip=name, driver=peak, object_store=stored)
    show("memory", ratio=peaks["longer"] / peaks["once"])


def measure_writes(folder: Path) -> None:
    database = Database.open(None, folder)
    try:
        with database.begin() as tx:
            id = repository.create(tx, name="a", source="a", clip={}, job={}).id
        began = time.monotonic()
        for done in range(WRITES):
            with database.begin() as tx:
                repository.save_progress(tx, id=id, progress=Progress("matte", done, WRITES, 1.0, None))
        show("writes", a_second=WRITES / (time.monotonic() - began))
    finally:
        database.close()


def show(figure: str, **values: Any) -> None:
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}
    print(json.dumps({"figure": figure, **rounded}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    figures = ["local", "first", "pieces", "writes", "memory"]
    parser.add_argument("--only", nargs="+", choices=figures, default=figures)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "store").mkdir()
        clip = scale_clip(options.clip, options.height, options.seconds, folder)
        width, height = probe_clip(clip).width, probe_clip(clip).height
        box = Box(width * 0.3, height * 0.2, width * 0.7, height * 0.9)
        job = Job(clip, folder / "out.mp4", "recorte", (Prompt(0.0, box=box),), matte=folder / "matte.mkv")
        if {"local", "first", "memory"} & {*options.only}:
            with start_cluster(1, os.cpu_count() or 1) as address:
                if "local" in options.only:
                    measure_local(job, address, folder / "store", options.runs)
                if "first" in options.only:
                    measure_first(job, address, options.runs)
                if "memory" in options.only:
                    measure_memory(job, address, options.times)
        if "writes" in options.only:
            measure_writes(folder / "database")
        if "pieces" in options.only:
            measure_pieces()


if __name__ == "__main__":
    from benchmarks import cluster  # the nodes import their class by this name

    cluster.main()
