"""What the server shows of itself: whether it is well, metrics for Prometheus, and a page for its admins.

`/healthz` is open to all and says no more than yes or no. `/metrics` is for this machine and for admins,
`/admin` for admins; to others it is not there.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psutil
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from db.errors import DatabaseAway, DatabaseError
from pipeline.jobs.runner import Sink
from ui import text
from ui.server import html_pages, logs
from ui.server.lookups import Lookups
from ui.server.visitors import Visitor

log = logging.getLogger(__name__)

_FRESH_SECONDS = 2.0
_HEALTH_SECONDS = 1.5
_THREADS = 4
_ACTIVE_STATES = ("queued", "running")


@dataclass(frozen=True)
class Run:
    """A session that is queued or running."""

    session: str
    user: str
    """Empty: the local user."""
    state: str
    model: str
    since: datetime
    place: int | None = None
    """0: running, 1: next, …; None: not in this server's line."""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    """Frames, and frames per second."""


@dataclass(frozen=True)
class Account:
    name: str
    """Empty: the local user."""
    admin: bool
    sessions: int
    bytes: int


class StatusSource(Protocol):
    """Where it is read from. Each raises DatabaseError where the database does not answer."""

    def check(self) -> None: ...
    def worker(self) -> bool: ...
    def states(self) -> Mapping[str, int]: ...
    def runs(self) -> Sequence[Run]: ...
    def accounts(self) -> Sequence[Account]: ...
    def cancel(self, session: str) -> None: ...


# ---------------------------------------------------------------- metrics


class Metrics:
    """Counters and gauges, in a registry of their own."""

    def __init__(self, status: StatusSource, home: Path) -> None:
        self.registry = CollectorRegistry()
        self._status = status
        self._states = _Cached(status.states)

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"recorte_{name}", help, labels, registry=self.registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(f"recorte_{name}", help, labels, registry=self.registry)

        self.ended = counter("runs_ended", "Runs that came to an end, by how.", "state")
        self.frames = counter("frames", "Frames of finished runs.")
        self.rate = gauge("frames_per_second", "Frames per second of the run that is under way; else 0.")
        self.requests = counter("requests", "Answers, by the class of their status.", "status")
        self.errors = counter("errors", "Errors, by their kind.", "kind")
        for state in ("done", "failed", "cancelled", "interrupted"):
            self.ended.labels(state)
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
        gauge("database_up", "Whether the database answers.").set_function(lambda: float(self._answers()))

    def count_response(self, status: int) -> None:
        self.requests.labels(f"{status // 100}xx").inc()

    def _count(self, state: str) -> float:
        try:
            return float(self._states().get(state, 0))
        except DatabaseError:
            return float("nan")

    def _answers(self) -> bool:
        try:
            self._states()
        except DatabaseError:
            return False
        return True


class ErrorCounter(logging.Handler):
    """Counts what is logged as an error, and what says its kind, whatever its level."""

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
    """A runner's sink that logs and counts how runs fare, and tells another sink."""

    def __init__(self, sink: Sink, metrics: Metrics) -> None:
        self._sink = sink
        self._metrics = metrics
        self._began: dict[str, float] = {}

    def started(self, key: str) -> None:
        self._began[key] = time.monotonic()
        log.info("run started", extra={"session": key})
        self._sink.started(key)

    def progressed(self, key: str, progress: dict[str, Any]) -> None:
        self._metrics.rate.set(float(progress.get("rate") or 0.0))
        self._sink.progressed(key, progress)

    def checked(self, key: str, checks: dict[str, Any]) -> None:
        self._sink.checked(key, checks)

    def finished(self, key: str, result: dict[str, Any]) -> None:
        frames = int(result.get("frames", 0))
        self._metrics.frames.inc(frames)
        self._ended(key, "done", frames=frames, bytes=result.get("bytes"), model=result.get("model"))
        self._sink.finished(key, result)

    def failed(self, key: str, sentence: str) -> None:
        self._ended(key, "failed", kind="RunFailed")
        self._sink.failed(key, sentence)

    def interrupted(self, key: str, sentence: str) -> None:
        self._ended(key, "interrupted", kind="RunInterrupted")
        self._sink.interrupted(key, sentence)

    def cancelled(self, key: str) -> None:
        self._ended(key, "cancelled")
        self._sink.cancelled(key)

    def _ended(self, key: str, state: str, **fields: object) -> None:
        began = self._began.pop(key, None)
        self._metrics.ended.labels(state).inc()
        self._metrics.rate.set(0)
        seconds = None if began is None else round(time.monotonic() - began, 3)
        level = logging.INFO if state in ("done", "cancelled") else logging.WARNING
        log.log(level, "run ended", extra={"session": key, "state": state, "seconds": seconds, **fields})


class _Cached:
    """What a function gave a moment ago: whoever asks often does not ask the database as often."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._until = 0.0
        self._answer: Any = None
        self._error: DatabaseError | None = None

    def __call__(self) -> Any:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._answer, self._error = self._ask(), None
                except DatabaseError as error:
                    self._error = error
                self._until = time.monotonic() + _FRESH_SECONDS
            if self._error is not None:
                raise self._error
            return self._answer


def _worker_memory() -> float:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return float(total)


# ---------------------------------------------------------------- addresses


class Health:
    """Health of database and worker, asked by threads that do nothing else."""

    def __init__(self, status: StatusSource) -> None:
        self._database: Lookups[None, bool] = Lookups(
            lambda _: _database_answers(status.check), fresh_seconds=_FRESH_SECONDS, name="health"
        )
        self._worker: Lookups[None, bool] = Lookups(lambda _: status.worker(), fresh_seconds=0, name="health")

    async def read(self) -> dict[str, bool]:
        """Both, within two seconds: what does not answer until then is not well."""

        async def well(lookups: Lookups[None, bool]) -> bool:
            try:
                return await lookups.get(None, _HEALTH_SECONDS)
            except DatabaseAway:
                return False

        database, worker = await asyncio.gather(well(self._database), well(self._worker))
        return {"database": database, "worker": worker}


def _database_answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except DatabaseError:
        return False
    return True


def router(status: StatusSource, metrics: Metrics, home: Path) -> APIRouter:
    """Build the routes of health, metrics and administration.

    What has to ask the database does so in threads of its own: nobody else waits for one that hangs.
    """
    routes = APIRouter()
    health = Health(status)
    limiter = CapacityLimiter(_THREADS)

    @routes.get("/healthz")
    async def healthz() -> Response:
        said = await health.read()
        return JSONResponse(said, 200 if all(said.values()) else 503, headers={"Cache-Control": "no-store"})

    @routes.get("/metrics")
    async def metrics_route(request: Request) -> Response:
        return await to_thread.run_sync(_metrics, request, limiter=limiter)

    def _metrics(request: Request) -> Response:
        if not (_is_admin(request) or request.state.local):
            return _not_found(request)
        return Response(
            generate_latest(metrics.registry),
            media_type=CONTENT_TYPE_LATEST,
            headers={"Cache-Control": "no-store"},
        )

    @routes.get("/admin")
    async def admin(request: Request) -> Response:
        return await to_thread.run_sync(_overview, request, limiter=limiter)

    def _overview(request: Request) -> Response:
        if not _is_admin(request):
            return _not_found(request)
        language = text.negotiate_language(request.headers.get("accept-language"))
        try:
            body = _overview_html(language, status, home)
        except DatabaseError:
            failure = text.translate_admin(language, "away")
            body = f'<main><h1>Recorte</h1><p class="failure">{failure}</p></main>'
            return html_pages.render_page(language, text.translate_admin(language, "title"), body, 503)
        return html_pages.render_page(language, text.translate_admin(language, "title"), body)

    @routes.post("/admin/cancel/{session}")
    async def cancel(session: str, request: Request) -> Response:
        return await to_thread.run_sync(_cancel, session, request, limiter=limiter)

    def _cancel(session: str, request: Request) -> Response:
        if not _is_admin(request):
            return _not_found(request)
        try:
            status.cancel(session)
        except DatabaseError:
            log.info("an admin's cancel came to nothing", extra={"session": session})
        else:
            log.info("cancelled by an admin", extra={"session": session, "user": _visitor(request).id})
        return RedirectResponse("/admin", 303)

    return routes


def _visitor(request: Request) -> Visitor:
    visitor: Visitor = request.state.user
    return visitor


def _is_admin(request: Request) -> bool:
    visitor: Visitor | None = request.state.user
    return visitor is not None and visitor.admin


def _not_found(request: Request) -> Response:
    language = text.negotiate_language(request.headers.get("accept-language"))
    return JSONResponse({"error": text.translate_access(language, "nothing")}, 404)


# ---------------------------------------------------------------- the admins' page


def _overview_html(language: str, status: StatusSource, home: Path) -> str:
    def say(key: str, **fields: object) -> str:
        return html_pages.escape(text.translate_admin(language, key, **fields))

    disk = shutil.disk_usage(home)
    runs, accounts = status.runs(), status.accounts()
    used = f"{disk.used / disk.total:.4f}"
    queue = _table(_RUN_COLUMNS, say, [_run_row(run, say, language) for run in runs]) if runs else ""
    free, total = (text.format_size(count, language) for count in (disk.free, disk.total))
    return f"""<main>
<header><h1>Recorte</h1><p class="quiet"><a href="/">{say("back")}</a></p></header>
<h2>{say("disk")}</h2>
<meter min="0" max="1" high="0.9" value="{used}" aria-label="{say("disk")}"></meter>
<p class="quiet">{say("disk_says", free=free, total=total)}</p>
<h2>{say("queue")}</h2>
{queue or f'<p class="quiet">{say("no_runs")}</p>'}
<h2>{say("users")}</h2>
{_table(_ACCOUNT_COLUMNS, say, [_account_row(account, say, language) for account in accounts])}
</main>"""


_RUN_COLUMNS = ("place", "user", "state", "model", "progress", "since", "")
_ACCOUNT_COLUMNS = ("user", "role", "sessions", "bytes")

_Say = Callable[..., str]


def _table(columns: Sequence[str], say: _Say, rows: Sequence[Sequence[str]]) -> str:
    """`rows` are HTML."""
    names = [say(column) if column else "" for column in columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(names, row, strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table class="stacked">{table}</table></div>'


def _run_row(run: Run, say: _Say, language: str) -> list[str]:
    minutes = max(0, round((datetime.now(UTC) - run.since).total_seconds() / 60))
    far = run.state == "running" and run.total > 0
    return [
        str(run.place or "–"),
        html_pages.escape(run.user) or say("local"),
        say(run.state),
        html_pages.escape(run.model),
        say("frames", done=run.done, total=run.total, rate=text.format_number(run.rate, language))
        if far
        else "–",
        say("minutes", minutes=minutes),
        f'<form method="post" action="/admin/cancel/{html_pages.escape(run.session)}">'
        f'<button class="small">{say("cancel")}</button></form>',
    ]


def _account_row(account: Account, say: _Say, language: str) -> list[str]:
    return [
        html_pages.escape(account.name) or say("local"),
        say("admin") if account.admin else say("member"),
        str(account.sessions),
        text.format_size(account.bytes, language) if account.bytes else "0",
    ]
