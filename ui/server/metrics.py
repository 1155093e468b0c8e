"""Metrics for Prometheus: counters and gauges, what feeds them, and the route `/metrics`.

`/metrics` is for this machine and for administrators; to others it does not exist.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from db.errors import DatabaseError
from pipeline.job import Progress
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.jobs.runner import ExecutorState, Sink
from pipeline.languages.messages import Message
from ui.server import logs
from ui.server.permissions import is_admin, not_found

log = logging.getLogger(__name__)

_FRESH_SECONDS = 2.0
_THREADS = 4
_ACTIVE_STATES = ("queued", "running")


class Metrics:
    """Prometheus counters and gauges, in a registry of their own."""

    def __init__(
        self,
        count_by_state: Callable[[], Mapping[str, int]],
        home: Path,
        executors: Callable[[], Sequence[ExecutorState]] = list,
    ) -> None:
        """`count_by_state` returns the sessions in each state, or raises DatabaseError.

        `executors` returns the states of the devices or machines that runs are given to.
        """
        self.registry = CollectorRegistry()
        self._states = _Cached(count_by_state)

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"recorte_{name}", help, labels, registry=self.registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(f"recorte_{name}", help, labels, registry=self.registry)

        self.ended = counter("runs_ended", "Runs that came to an end, by how.", "state")
        self.frames = counter("frames", "Frames of finished runs.")
        self.rate = gauge("frames_per_second", "Frames per second of the runs that are under way; else 0.")
        self.requests = counter("requests", "Answers, by the class of their status.", "status")
        self.errors = counter("errors", "Errors, by their kind.", "kind")
        for state in ("done", "failed", "cancelled", "interrupted"):
            self.ended.labels(state)
        self.registry.register(_ExecutorCollector(executors))
        runs = gauge("runs", "Runs that are under way.", "state")
        for state in _ACTIVE_STATES:
            runs.labels(state).set_function(lambda state=state: self._count(state))  # type: ignore[misc]
        gauge("queue_length", "Runs that wait for their turn.").set_function(lambda: self._count("queued"))
        memory = gauge(
            "resident_memory_bytes", "Of the server, and of the processes that it started.", "process"
        )
        memory.labels("server").set_function(lambda: float(psutil.Process().memory_info().rss))
        memory.labels("workers").set_function(_worker_memory)
        disk = gauge("disk_bytes", "Of the disk that the data folder is on.", "use")
        disk.labels("free").set_function(lambda: float(shutil.disk_usage(home).free))
        disk.labels("used").set_function(lambda: float(shutil.disk_usage(home).used))
        gauge("database_up", "Whether the database answers.").set_function(
            lambda: float(self._database_answers())
        )

    def count_response(self, status: int) -> None:
        """Count a response by the class of its HTTP status."""
        self.requests.labels(f"{status // 100}xx").inc()

    def _count(self, state: str) -> float:
        try:
            return float(self._states().get(state, 0))
        except DatabaseError:
            return float("nan")

    def _database_answers(self) -> bool:
        try:
            self._states()
        except DatabaseError:
            return False
        return True


class _ExecutorCollector(Collector):
    """Collector of a gauge for each device or place in a cluster, and of the cluster's jobs by node."""

    def __init__(self, executors: Callable[[], Sequence[ExecutorState]]) -> None:
        self._executors = executors

    def collect(self) -> Iterator[GaugeMetricFamily]:
        states = self._executors()
        busy = GaugeMetricFamily(
            "recorte_executor_busy",
            "1 while a device or machine runs something, else 0.",
            labels=("executor",),
        )
        for state in states:
            busy.add_metric((state.name,), float(state.key is not None))
        yield busy
        jobs = GaugeMetricFamily(
            "recorte_cluster_jobs",
            "Jobs that were given to the cluster, on each node that works on one, or waiting for a node.",
            labels=("state", "node"),
        )
        given = [state.node for state in states if state.key is not None and state.node is not None]
        nodes = Counts(node for names in given for node in names.split(", "))
        for node, count in nodes.items():
            jobs.add_metric(("running" if node else "waiting", node), float(count))
        if any(state.node is not None for state in states):
            yield jobs


class ErrorCounter(logging.Handler):
    """Log handler that counts errors, and records of any level that have a `kind`."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._errors = metrics.errors

    def emit(self, record: logging.LogRecord) -> None:
        kind = getattr(record, "kind", None)
        if kind is None and record.exc_info and record.exc_info[1] is not None:
            kind = logs.error_kind(record.exc_info[1])
        if kind is None and record.levelno >= logging.ERROR:
            kind = record.name
        if kind is not None:
            self._errors.labels(kind).inc()


class MeteredSink:
    """Metered sink: logs and counts the events of runs, and forwards them to another sink."""

    def __init__(self, sink: Sink, metrics: Metrics) -> None:
        self._sink = sink
        self._metrics = metrics
        self._started_at: dict[str, float] = {}
        self._rates: dict[str, float] = {}
        """Frames per second of each run that is under way."""

    def started(self, key: str) -> None:
        self._started_at[key] = time.monotonic()
        log.info("run started", extra={"session": key})
        self._sink.started(key)

    def progressed(self, key: str, progress: Progress) -> None:
        self._rates[key] = progress.rate
        self._metrics.rate.set(sum(self._rates.values()))
        self._sink.progressed(key, progress)

    def checked(self, key: str, points: MatteChecked) -> None:
        self._sink.checked(key, points)

    def finished(self, key: str, result: RunFinished) -> None:
        self._metrics.frames.inc(result.frames)
        self._ended(key, "done", frames=result.frames, bytes=result.bytes, model=result.model)
        self._sink.finished(key, result)

    def failed(self, key: str, message: Message) -> None:
        self._ended(key, "failed", kind="RunFailed")
        self._sink.failed(key, message)

    def interrupted(self, key: str, message: Message) -> None:
        self._ended(key, "interrupted", kind="RunInterrupted")
        self._sink.interrupted(key, message)

    def cancelled(self, key: str) -> None:
        self._ended(key, "cancelled")
        self._sink.cancelled(key)

    def _ended(self, key: str, state: str, **fields: object) -> None:
        started_at = self._started_at.pop(key, None)
        self._metrics.ended.labels(state).inc()
        self._rates.pop(key, None)
        self._metrics.rate.set(sum(self._rates.values()))
        seconds = None if started_at is None else round(time.monotonic() - started_at, 3)
        level = logging.INFO if state in ("done", "cancelled") else logging.WARNING
        log.log(level, "run ended", extra={"session": key, "state": state, "seconds": seconds, **fields})


class _Cached:
    """Cache of a function's last result or error, so that frequent requests do not load the database."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._until = 0.0
        self._value: Any = None
        self._error: DatabaseError | None = None

    def __call__(self) -> Any:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._value, self._error = self._read(), None
                except DatabaseError as error:
                    self._error = error
                self._until = time.monotonic() + _FRESH_SECONDS
            if self._error is not None:
                raise self._error
            return self._value


def _worker_memory() -> float:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return float(total)


def router(metrics: Metrics) -> APIRouter:
    """Build the route `/metrics`; it reads the database in threads of its own."""
    routes = APIRouter()
    limiter = CapacityLimiter(_THREADS)

    @routes.get("/metrics")
    async def read_metrics(request: Request) -> Response:
        return await to_thread.run_sync(respond, request, limiter=limiter)

    def respond(request: Request) -> Response:
        if not (is_admin(request) or request.state.local):
            return not_found(request)
        return Response(
            generate_latest(metrics.registry),
            media_type=CONTENT_TYPE_LATEST,
            headers={"Cache-Control": "no-store"},
        )

    return routes
