"""Logging: one line for each event, as JSON, or as text for a terminal.

    log.info("run finished", extra={"session": key, "seconds": 12.5})

A line of JSON has the time, the level, the event, and those of `FIELDS` that were given; nothing that users
wrote, named or drew. So an error is logged by its kinds and its places, not by its message, which may name a
file. On a terminal, which is its owner's, errors are logged in full.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO, cast

from ui.server.middleware.request_ids import RequestIdFilter

LogFormat = Literal["json", "text"]

FIELDS = (
    *("request", "session", "job", "user", "model", "state", "kind"),
    *("seconds", "frames", "rate", "bytes", "count", "status"),
)
"""Fields that may be logged with an event: identifiers, names of the program's own, and numbers."""

_ROOT = Path(__file__).resolve().parents[2]
_MAX_EVENT_LENGTH = 400


class JsonFormatter(logging.Formatter):
    """Formatter of one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _first_line(record),
            "from": record.name,
        }
        fields |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            fields["errors"] = [_describe(error) for error in _chain(record.exc_info[1])]
        return json.dumps(fields, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Formatter for people: the fields after the event, and errors in full below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(
            f"  {name}={value}" for name in FIELDS if (value := getattr(record, name, None)) is not None
        )
        time = _time(record).astimezone().strftime("%H:%M:%S")
        line = f"{time} {record.levelname:<8}{record.getMessage()}{fields}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return line


class RateLimitFilter(logging.Filter):
    """Filter that passes each event once a second, with the number of its occurrences (`count`).

    So clients cannot fill the disk with events that they cause.
    """

    _MAX_EVENTS = 100

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, int]] = {}  # when it last passed, and how many were dropped since

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        key = str((_first_line(record), [_describe(each) for each in _chain(error)] if error else []))
        with self._lock:
            last, missed = self._last.pop(key, (float("-inf"), 0))
            passes = record.created - last >= 1.0
            self._last[key] = (record.created, 0) if passes else (last, missed + 1)
            if len(self._last) > self._MAX_EVENTS:
                del self._last[next(iter(self._last))]
        if missed and passes:
            record.count = missed + 1
        return passes


def setup(form: LogFormat | None = None, stream: TextIO | None = None) -> None:
    """Log to `stream` (standard error) in a format: text on a terminal, else JSON, unless one is given."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        TextFormatter() if (form or ("text" if out.isatty() else "json")) == "text" else JsonFormatter()
    )
    handler.addFilter(RequestIdFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("app", "db", "pipeline", "ui"):
        logging.getLogger(package).setLevel(logging.INFO)
    for outside in ("asyncio", "uvicorn.error"):
        logging.getLogger(outside).filters[:] = [RateLimitFilter()]
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_exception
    sys.excepthook = _log_uncaught_exception


@contextmanager
def log_printed_output() -> Iterator[None]:
    """Log what libraries print on standard error, if the log is JSON, without the printed text itself.

    Gradio prints the errors of its own checks with all that the visitor has sent.
    """
    (handler,) = logging.getLogger().handlers[:1]
    if not isinstance(handler.formatter, JsonFormatter):
        yield
        return
    with redirect_stderr(cast(TextIO, _StderrLogger(sys.stderr))):
        yield


class _StderrLogger:
    """Replacement of standard error that logs each printed error, and each other write, as one event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._own = threading.local()
        """For each thread: the error that was logged last, and whether one is being logged."""

    def write(self, text: str) -> int:
        error, state = sys.exception(), self._own.__dict__
        if state.get("logging") or not text.strip() or (error is not None and state.get("last") is error):
            return len(text)
        state.update(logging=True, last=error)
        try:
            log = logging.getLogger("app")
            if error is None:
                log.warning(
                    "a library printed something", extra={"bytes": len(text.encode("utf-8", "replace"))}
                )
            else:
                log.error("a library printed an error", exc_info=error)
        finally:
            state["logging"] = False
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _log_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        logging.getLogger("app").critical(
            "a thread ended", exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )


def _log_uncaught_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    logging.getLogger("app").critical("the program ended", exc_info=(kind, error, trace))


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _first_line(record: logging.LogRecord) -> str:
    """Return the event alone: below that of another process may be the message of an error."""
    line, *_ = record.getMessage().strip().splitlines() or [""]
    return line[:_MAX_EVENT_LENGTH]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _describe(error: BaseException) -> dict[str, object]:
    described: dict[str, object] = {"kind": error_kind(error)}
    if isinstance(error, OSError) and error.strerror:
        described["reason"] = error.strerror  # the system's message, without the file's name
    described["at"] = [
        f"{_source_path(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ][-8:]
    return described


def error_kind(error: BaseException) -> str:
    """Return the name of an error's class, with its module unless that is Python's or the program's own."""
    module = type(error).__module__
    unqualified = module == "builtins" or module.split(".")[0] in (
        "db",
        "pipeline",
        "ui",
        "app",
        "__main__",
    )
    return type(error).__name__ if unqualified else f"{module}.{type(error).__name__}"


def _source_path(file: str) -> str:
    """Return a source file relative to the program's folder, or its last two parts, without local paths."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return str(path.relative_to(_ROOT))
    return str(Path(*path.parts[-2:]))
