"""Worker on a node: the object that a Ray actor hosts, which runs one job at a time.

It stays between jobs, so that a model is loaded once. The driver asks for reports with one call after the
other (`poll`): Ray's streaming generators of actors are not to be had through ray:// addresses, and are
made anew from their first item where an actor dies, which a run that is continued does not do.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from pipeline import devices, limits
from pipeline.cluster.crossing import error_to_json, find_versions
from pipeline.cluster.shipping import Mirror, put_results, shared_pieces, unpack, unpack_pieces
from pipeline.cluster.store import NodeCache, TransferStopped
from pipeline.errors import InputError, RecorteError
from pipeline.job import Job, Progress
from pipeline.jobs import preflight
from pipeline.limits import Limits

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Longest time until a poll is answered."""

ROOT = Path("/")


class NodeWorker:
    """Runs jobs on a node. Its methods are called by several threads of the actor."""

    def __init__(self, pixels: int | None = None) -> None:
        """Bind this process by limits; `pixels` as in `Limits`."""
        Limits(memory_bytes=preflight.machine_memory(), pixels=pixels).apply()
        self._changed = threading.Condition()
        self._progress: dict[str, Progress] = {}
        """The latest of each stage that was not reported yet."""
        self._preparing = threading.Lock()
        """Held while files are laid out, of one job after the other."""
        self._stop = threading.Event()
        """Set when the job is to stop; each has its own."""
        self._ended = True
        """False while a job is laid out or runs."""
        self._saving = False
        """True while what a job has found is saved, behind its last frame."""
        self._error: dict[str, Any] | None = None
        self._results: dict[str, Any] = {}
        self._laid_out: ExitStack = ExitStack()
        self._cache: NodeCache | None = None
        """Of the files of shipped jobs."""
        self._job: Job | None = None
        """The job whose files are laid out."""
        self._mirror: Mirror | None = None
        """Of its resume data, if they go into a store."""
        self._pieces: list[Path] = []
        """Folders of resume data of its pieces, where it was cut."""

    def describe(self) -> dict[str, Any]:
        """Return this node's host name, the process's id, and the versions of `find_versions`."""
        return {"host": socket.gethostname(), "pid": os.getpid(), "versions": find_versions()}

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lay out the files of a job, which `start` then runs: of a "piece" its mattes alone.

        Returns its peak `memory` in bytes, 0 where its video cannot be read, which the run itself tells; and
        the `error` of a store, or None.
        """
        with self._preparing:
            self._stop, self._ended, self._saving = threading.Event(), False, False
            try:
                return self._prepare(request)
            finally:
                self._ended = True

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        from pipeline.video.reading.probe import load_clip

        self._laid_out.close()
        self._mirror = None
        try:
            if "store" in request:
                self._cache = self._cache or NodeCache()
                self._job, self._mirror = self._laid_out.enter_context(
                    unpack(request, self._cache, self._stop)
                )
                self._pieces = self._laid_out.enter_context(unpack_pieces(request, self._cache, self._stop))
            else:
                self._job, self._pieces = Job.from_json(request["job"], ROOT), shared_pieces(request)
        except (RecorteError, OSError) as error:
            return {"memory": 0, "error": error_to_json(error)}
        except TransferStopped:  # nobody waits for the answer
            return {"memory": 0, "error": None}
        try:
            clip = load_clip(self._job.source, self._job.source_rate)
            return {"memory": preflight.memory_bytes(self._job, clip), "error": None}
        except (RecorteError, OSError):
            return {"memory": 0, "error": None}

    def start(self, request: dict[str, Any]) -> None:
        """Begin to run the job that `prepare` was given, in a thread of its own."""
        self._progress, self._ended, self._saving, self._error = {}, False, False, None
        threading.Thread(target=self._work, args=(request,), name="job", daemon=True).start()

    def poll(self) -> dict[str, Any]:
        """Return what is new: `progress`, a list, `ended`, the `error` that it ended with, and `results`.

        `saving` is True once the job has stopped and what it has found is being saved.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._progress or self._ended, POLL_SECONDS)
            progress, self._progress = self._progress, {}
            return {
                "progress": [step.to_json() for step in progress.values()],
                "ended": self._ended,
                "saving": self._saving,
                "error": self._error,
                "results": self._results,
            }

    def stop(self) -> None:
        """Stop the job between two frames, or between two chunks of a file; returns at once."""
        self._stop.set()

    def save(self) -> None:
        """Send finished segments of the job's resume data to the store, if there is one, and wait for it."""
        if self._mirror is not None:
            self._mirror.update()

    def _work(self, request: dict[str, Any]) -> None:
        error, results = None, dict[str, Any]()
        try:
            with self._laid_out:
                results = self._run(request)
        except TransferStopped:  # as the driver knows
            pass
        except BaseException as failure:
            if devices.is_device_lost(failure):
                log.error("the device no longer answers: %s", failure)
                os._exit(limits.DEVICE_LOST)
            error = error_to_json(failure)
        with self._changed:
            self._ended, self._error, self._results = True, error, results
            self._changed.notify_all()

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for, and return its results; none where it was stopped."""
        reported = 0.0
        with closing(self._steps(request)) as steps:
            while not self._stop.is_set():
                try:
                    progress = next(steps)
                except StopIteration as end:
                    results: dict[str, Any] = end.value
                    return results
                with self._changed:
                    self._progress[progress.stage] = progress
                    # Few reports, so that a fast run is not held up by them.
                    if time.monotonic() - reported >= POLL_SECONDS:
                        reported = time.monotonic()
                        self._changed.notify_all()
        self._saving = True
        return {}

    def _steps(self, request: dict[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
        """Run the job, or make a "piece" or the "plan" of it, and return the results."""
        from pipeline.process import process
        from pipeline.propagation.ahead import compute_ahead
        from pipeline.propagation.scenes import find_plan_inputs
        from pipeline.video.reading.probe import load_clip

        job = self._job
        assert job is not None, "prepare comes first"
        _check_reachable(job)
        if request.get("plan"):
            inputs = yield from find_plan_inputs(job, load_clip(job.source, job.source_rate))
            return {"plan": inputs.to_json()}
        if request.get("piece"):
            streams = request.get("streams") or None
            yield from compute_ahead(job, raw=streams is None, streams=streams)
            return {}
        yield from process(job, self._pieces)
        return put_results(request, job, self._stop) if "store" in request else {}


def _check_reachable(job: Job) -> None:
    """Raise InputError where this node does not see the source or the folder of the result."""
    for path in (job.source, job.output.parent):
        if not path.exists():
            raise InputError("cluster.not_shared", node=socket.gethostname(), name=path.name or str(path))
