"""Worker process: hosts an object whose methods the threads of this process call.

The object is created in the worker. Many threads may call its methods at once; return values, yielded items
and errors are sent back. If the worker dies, calls in progress raise WorkerLost and the next call starts it
again.

Each call has a connection of its own, whose far end is sent to the worker over the control pipe, and a thread
of its own in the worker: answers need no sorting, and a closed connection means that the other side ended.
The worker therefore ends with the process that started it, however that ends.
"""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Literal, Self, TypeVar, TypeVarTuple, cast

from pipeline import devices, limits
from pipeline.errors import RecorteError, RunError, WorkerLost
from pipeline.languages.messages import Message
from pipeline.limits import Limits

log = logging.getLogger(__name__)

_TIDY_SECONDS = 3.0
"""Time that calls in progress have to close their files once the worker is to end."""

_BUILTIN = "builtins"

Answer = tuple[Literal["value", "item", "end", "error"], Any]

Arguments = TypeVarTuple("Arguments")
Returned = TypeVar("Returned")


class Worker:
    """Host of the object that `factory` returns, in a process bound by `limits`; the first call starts it.

    A process that leaves a caller without an answer for `idle_timeout` seconds is killed.

    `factory`, arguments and values must be picklable. Thread-safe. Errors of this package and of Python's own
    are raised as they were; errors of other packages, whose class may be missing here, as a RuntimeError that
    names them.
    """

    def __init__(
        self, factory: Callable[[], Any], *, limits: Limits | None = None, idle_timeout: float | None = None
    ) -> None:
        self._factory = factory
        self._limits = limits or Limits()
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        self._current: _Process | None = None
        self._closed = False

    def start(self) -> None:
        """Start the process, unless it is running; return at once."""
        self._running_process()

    @property
    def pid(self) -> int | None:
        """Process id; None while there is none."""
        process = self._current
        return None if process is None or process.ended.is_set() else process.pid

    def call(self, method: Callable[[Any, *Arguments], Returned], *args: *Arguments) -> Returned:
        """Call a method of the hosted object and return its value.

        `method` is the function in the object's class or protocol, such as `Hosted.add`. Raises what it
        raises, and WorkerLost where the process is lost.
        """
        with self._connect(method.__name__, args, False) as (process, connection):
            value: Returned = process.receive(connection)[1]
            return value

    def stream(
        self, method: Callable[[Any, *Arguments], Iterator[Returned]], *args: *Arguments
    ) -> Generator[Returned, None, None]:
        """Yield what the generator that a method returns yields; it may be a few items ahead.

        `method` and errors as in `call`. Closing this generator closes the other, and returns when it has
        closed.
        """
        with self._connect(method.__name__, args, True) as (process, connection):
            try:
                while (answer := process.receive(connection))[0] == "item":
                    yield answer[1]
            except GeneratorExit:
                with suppress(RecorteError, OSError):  # the worker is gone already
                    connection.send(None)
                    while process.receive(connection)[0] == "item":
                        pass
                raise

    def kill(self) -> None:
        """Kill the process and return when it is gone."""
        process = self._current
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process and wait for it; later calls raise WorkerLost. May be called more than once."""
        with self._lock:
            self._closed = True
            process = self._current
        if process is not None:
            process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running_process(self) -> _Process:
        with self._lock:
            if self._closed:
                raise WorkerLost("runs.stopping", how=Message("runs.being_stopped"))
            if self._current is None or self._current.ended.is_set():
                self._current = _Process(self._factory, self._limits, self._idle_timeout)
            return self._current

    @contextmanager
    def _connect(self, *request: Any) -> Iterator[tuple[_Process, Connection]]:
        """Send a request and yield the connection for its answers, restarting a process that has died."""
        process = self._running_process()
        connection = process.send(request)
        if connection is None:
            process.ended.wait(_TIDY_SECONDS)
            process = self._running_process()
            connection = process.send(request)
        if connection is None:
            raise process.lost_error()
        with connection:
            yield process, connection


class _Process:
    """One worker process, from its start to its end."""

    def __init__(self, factory: Callable[[], Any], limits: Limits, idle_timeout: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        control, remote_control = context.Pipe()
        log_pipe, log_writer = context.Pipe(duplex=False)
        self._control: Connection = control
        self._control_lock = threading.Lock()
        self._idle_timeout = idle_timeout
        self._timed_out = False
        self.ended = threading.Event()
        self.status: int | None = None
        with remote_control, log_writer:
            self._process = context.Process(
                target=_host,
                args=(factory, limits, remote_control, log_writer, _logger_levels()),
                name="worker",
                daemon=True,
            )
            with _block_sigint():
                self._process.start()
        self.pid = self._process.pid
        threading.Thread(target=self._follow, args=(log_pipe,), name="worker", daemon=True).start()

    def send(self, request: tuple[Any, ...]) -> Connection | None:
        """Send a request and return the connection for its answers; None where the process is gone."""
        near, far = multiprocessing.Pipe()
        try:
            with far, self._control_lock:
                if self.pid is None or self._control.closed:
                    raise BrokenPipeError
                reduction.send_handle(self._control, far.fileno(), self.pid)
            near.send(request)
            near.recv()
        except (EOFError, OSError):
            near.close()
            return None
        except BaseException:
            near.close()
            raise
        return near

    def receive(self, connection: Connection) -> Answer:
        """Return the next answer. Raises the error that the worker sent, or WorkerLost."""
        try:
            if not connection.poll(self._idle_timeout):
                self._timed_out = True
                self.kill()
            kind, value = connection.recv()
        except (EOFError, OSError):
            raise self.lost_error() from None
        if kind == "error":
            raise value
        return kind, value

    def lost_error(self) -> WorkerLost:
        """Return the error that says how the process ended."""
        self.ended.wait(_TIDY_SECONDS)
        how = limits.describe_exit(self.status)
        if self._timed_out:
            how = Message("runs.silent", {"minutes": (self._idle_timeout or 0) / 60})
        return WorkerLost("runs.lost", how=how)

    def kill(self) -> None:
        with suppress(ValueError):  # it has ended and was closed
            self._process.kill()
        self.ended.wait()

    def close(self) -> None:
        with self._control_lock:
            self._control.close()
        if not self.ended.wait(2 * _TIDY_SECONDS):
            self.kill()

    def _follow(self, log_pipe: Connection) -> None:
        """Pass on the records that the process logs until it ends, then reap it."""
        with log_pipe:
            while True:
                try:
                    record: logging.LogRecord = log_pipe.recv()
                    logging.getLogger(record.name).handle(record)
                except (EOFError, OSError):
                    break
                except Exception:
                    log.exception("what a worker logged cannot be read")
        self._process.join()
        # Another thread that starts a process may have reaped this one first.
        for _ in range(100):
            if (status := self._process.exitcode) is not None:
                self.status = status
                break
            time.sleep(0.01)
        with self._control_lock:
            self._control.close()
        if self.status is not None:
            self._process.close()
        self.ended.set()


def _logger_levels() -> dict[str, int]:
    """Return the levels of all loggers that have one, by name."""
    named = logging.root.manager.loggerDict
    loggers = (entry for entry in named.values() if isinstance(entry, logging.Logger) and entry.level)
    return {"": logging.root.level} | {logger.name: logger.level for logger in loggers}


@contextmanager
def _block_sigint() -> Iterator[None]:
    """Block SIGINT for a process started in this block: its parent closes it."""
    resource_tracker.ensure_running()  # starting it later would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---------------------------------------------------------------- in the worker process


class _PipeHandler(logging.handlers.QueueHandler):
    """Handler that sends log records to the parent process."""

    def __init__(self, log_pipe: Connection) -> None:
        super().__init__(cast(Any, log_pipe))
        self._log_pipe = log_pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # the parent is gone
            self._log_pipe.send(record)


def _host(
    factory: Callable[[], Any],
    limits: Limits,
    control: Connection,
    log_pipe: Connection,
    levels: dict[str, int],
) -> None:
    """Answer each connection received over the control pipe, until the parent closes it or is gone."""
    logging.root.handlers = [_PipeHandler(log_pipe)]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        limits.apply()
        hosted = factory()
    except BaseException:
        log.exception("a worker did not start")
        os._exit(1)
    answering: list[threading.Thread] = []
    with suppress(EOFError, OSError):
        while True:
            connection = Connection(reduction.recv_handle(control))
            answering = [thread for thread in answering if thread.is_alive()]
            answering.append(threading.Thread(target=_answer, args=(hosted, connection), daemon=True))
            answering[-1].start()
    until = time.monotonic() + _TIDY_SECONDS
    for thread in answering:
        thread.join(max(0.0, until - time.monotonic()))
    # Without Python's own shutdown: computing threads would block it, and CUDA's.
    os._exit(0)


def _answer(hosted: Any, connection: Connection) -> None:
    """Answer one call."""
    with connection, suppress(OSError):  # the parent is gone or has closed the connection
        try:
            name, args, streams = connection.recv()
            connection.send("taken")
            result = getattr(hosted, name)(*args)
            if not streams:
                connection.send(("value", result))
                return
            with closing(result):
                for item in result:
                    connection.send(("item", item))
                    if connection.poll():
                        break
            connection.send(("end", None))
        except EOFError:
            pass
        except BaseException as error:
            connection.send(("error", _portable(error)))
            if devices.is_device_lost(error):
                log.error("the device no longer answers: %s", error)
                os._exit(limits.DEVICE_LOST)


def _portable(error: BaseException) -> BaseException:
    """Return an error that unpickles in a process without torch, with the traceback as a note."""
    if isinstance(error, MemoryError):
        return RunError.of(limits.NO_MEMORY)
    if isinstance(error, RecorteError):
        return error
    portable: BaseException = error
    if type(error).__module__ != _BUILTIN or not isinstance(error, Exception) or not _is_picklable(error):
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note("".join(traceback.format_exception(error)))
    return portable


def _is_picklable(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False
