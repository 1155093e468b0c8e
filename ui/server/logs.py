"""What the server says of itself: one line for each event, as JSON, or to be read on a terminal.

    log.info("run finished", extra={"session": key, "seconds": 12.5})

A line of JSON has the time, the level, the event, and those of `FIELDS` that were given: what users wrote,
named or drew is in none of them. So an error is told by its kinds and by where it happened, not by its words,
which may name a file. On a terminal, which is its owner's, errors are told in full.
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

LogFormat = Literal["json", "text"]

FIELDS = (
    *("session", "job", "user", "model", "state", "kind"),
    *("seconds", "frames", "rate", "bytes", "count", "status"),
)
"""What may stand beside an event: identifiers, names of ours, and numbers."""

_ROOT = Path(__file__).resolve().parents[2]
_MAX_EVENT_LENGTH = 400


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _first_line(record),
            "from": record.name,
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["errors"] = [_describe(error) for error in _chain(record.exc_info[1])]
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For people, with the fields behind the event, and errors in full below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(
            f"  {name}={value}" for name in FIELDS if (value := getattr(record, name, None)) is not None
        )
        time = _time(record).astimezone().strftime("%H:%M:%S")
        said = f"{time} {record.levelname:<8}{record.getMessage()}{fields}"
        if record.exc_info and record.exc_info[1] is not None:
            said += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return said


class RateLimitFilter(logging.Filter):
    """Lets each event through once a second, with how often it came (`count`).

    What a client can cause at will does not fill the disk.
    """

    _MAX_EVENTS = 100

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, int]] = {}  # when it was let through, and how many came since

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
    """Have everything logged to `stream` (standard error), in the `form` or in the one that fits it."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        TextFormatter() if (form or ("text" if out.isatty() else "json")) == "text" else JsonFormatter()
    )
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
    """Log what libraries print on standard error, where the log is JSON; the words themselves are dropped.

    Gradio prints the errors of its own checks with all that the visitor has sent.
    """
    (handler,) = logging.getLogger().handlers[:1]
    if not isinstance(handler.formatter, JsonFormatter):
        yield
        return
    with redirect_stderr(cast(TextIO, _StderrLogger(sys.stderr))):
        yield


class _StderrLogger:
    """In place of standard error: each error that is printed is one event, and so is each other line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._own = threading.local()
        """Of each thread: the error that was logged last, and whether one is being logged."""

    def write(self, text: str) -> int:
        error, own = sys.exception(), self._own.__dict__
        if own.get("logging") or not text.strip() or (error is not None and own.get("last") is error):
            return len(text)
        own.update(logging=True, last=error)
        try:
            log = logging.getLogger("app")
            if error is None:
                log.warning(
                    "a library printed something", extra={"bytes": len(text.encode("utf-8", "replace"))}
                )
            else:
                log.error("a library printed an error", exc_info=error)
        finally:
            own["logging"] = False
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
    """What comes from another process may have an error's words below its event."""
    line, *_ = record.getMessage().strip().splitlines() or [""]
    return line[:_MAX_EVENT_LENGTH]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it came from."""
    seen: set[int] = set()
    left: BaseException | None = error
    while left is not None and id(left) not in seen:
        seen.add(id(left))
        yield left
        left = left.__cause__ or (None if left.__suppress_context__ else left.__context__)


def _describe(error: BaseException) -> dict[str, object]:
    told: dict[str, object] = {"kind": error_kind(error)}
    if isinstance(error, OSError) and error.strerror:
        told["reason"] = error.strerror  # the system's words; the file's name is not in them
    told["at"] = [
        f"{_source_path(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ][-8:]
    return told


def error_kind(error: BaseException) -> str:
    """The name of an error's class, with its module where that is not Python's own or ours."""
    module = type(error).__module__
    own = module == "builtins" or module.split(".")[0] in ("db", "pipeline", "ui", "app", "__main__")
    return type(error).__name__ if own else f"{module}.{type(error).__name__}"


def _source_path(file: str) -> str:
    """A source file, below this program's folder or as it is imported: not where it is on this machine."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return str(path.relative_to(_ROOT))
    return str(Path(*path.parts[-2:]))
