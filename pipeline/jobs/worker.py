"""A process that hosts an object for the threads of another.

The object is made over there; its methods are called from here, by many threads at once, and what they
return, yield or raise comes over. What kills the process leaves the one that asked alive: the calls that were
under way raise WorkerLost, and the next call has the process started again.

Every call has a pipe of its own, whose far end is handed over, and over there a thread of its own: nothing
has to be sorted, and a pipe that closes says that the other side is gone. So the process ends with the one
that started it, however that ends.
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
from typing import Any, Literal, Self, cast

from pipeline import devices
from pipeline.errors import RecorteError, RunError, WorkerLost
from pipeline.jobs import limits
from pipeline.jobs.limits import Limits

log = logging.getLogger(__name__)

_TIDY_SECONDS = 3.0
"""What is under way over there has this long to close its files, once nobody waits for it any more."""

_BUILTIN = "builtins"

Answer = tuple[Literal["value", "item", "end", "error"], Any]


class Worker:
    """Hosts what `factory` makes, in a process that is bound by `limits`; started by the first call.

    A process that says nothing to somebody who waits for it, for `patience` seconds, is killed.

    `factory` is picklable, as are arguments and values. Safe to use from many threads. An error of this
    package or of Python's own is raised here as it was over there; another's, whose class may not be at hand
    here, as a RuntimeError that says what it was.
    """

    def __init__(
        self, factory: Callable[[], Any], *, limits: Limits | None = None, idle_timeout: float | None = None
    ) -> None:
        self._factory = factory
        self._limits = limits or Limits()
        self._patience = idle_timeout
        self._lock = threading.Lock()
        self._life: _Process | None = None
        self._closed = False

    def start(self) -> None:
        """Have the process started, if it is not there; returns at once."""
        self._living()

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none."""
        life = self._life
        return None if life is None or life.ended.is_set() else life.pid

    def call(self, name: str, *args: Any) -> Any:
        """What the object's method of this name returns. Raises WorkerLost where the process is lost."""
        with self._line(name, args, False) as (life, line):
            return life.answer(line)[1]

    def stream(self, name: str, *args: Any) -> Generator[Any, None, None]:
        """What the generator that the method returns yields; it may be a few ahead. Raises as `call` does.

        Closing this one closes that one, and returns when it has closed.
        """
        with self._line(name, args, True) as (life, line):
            try:
                while (answer := life.answer(line))[0] == "item":
                    yield answer[1]
            except GeneratorExit:
                with suppress(RecorteError, OSError):  # nobody is there any more to hear of it
                    line.send(None)
                    while life.answer(line)[0] == "item":
                        pass
                raise

    def kill(self) -> None:
        """End the process at once, whatever it does; returns when it is gone."""
        life = self._life
        if life is not None:
            life.kill()

    def close(self) -> None:
        """Let the process end, and wait for it; no call is answered then. Doing so twice is no mistake."""
        with self._lock:
            self._closed = True
            life = self._life
        if life is not None:
            life.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _living(self) -> _Process:
        with self._lock:
            if self._closed:
                raise WorkerLost("The program is being stopped.", "the program is being stopped")
            if self._life is None or self._life.ended.is_set():
                self._life = _Process(self._factory, self._limits, self._patience)
            return self._life

    @contextmanager
    def _line(self, *request: Any) -> Iterator[tuple[_Process, Connection]]:
        """A pipe by which the process has taken a request: one that died since the last is started again."""
        life = self._living()
        line = life.ask(request)
        if line is None:
            life.ended.wait(_TIDY_SECONDS)
            life = self._living()
            line = life.ask(request)
        if line is None:
            raise life.lost()
        with line:
            yield life, line


class _Process:
    """One process, from its start to its end."""

    def __init__(self, factory: Callable[[], Any], limits: Limits, patience: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        door, theirs = context.Pipe()
        said, saying = context.Pipe(duplex=False)
        self._door: Connection = door
        self._handing = threading.Lock()
        self._patience = patience
        self._silent = False
        self.ended = threading.Event()
        self.status: int | None = None
        with theirs, saying:
            self._process = context.Process(
                target=_host, args=(factory, limits, theirs, saying, _levels()), name="worker", daemon=True
            )
            with _uninterrupted():
                self._process.start()
        self.pid = self._process.pid
        threading.Thread(target=self._follow, args=(said,), name="worker", daemon=True).start()

    def ask(self, request: tuple[Any, ...]) -> Connection | None:
        """The near end of a pipe by which the process has taken the request; None where it is gone."""
        near, far = multiprocessing.Pipe()
        try:
            with far, self._handing:
                if self.pid is None or self._door.closed:
                    raise BrokenPipeError
                reduction.send_handle(self._door, far.fileno(), self.pid)
            near.send(request)
            near.recv()
        except (EOFError, OSError):
            near.close()
            return None
        except BaseException:
            near.close()
            raise
        return near

    def answer(self, line: Connection) -> Answer:
        """What comes next by a pipe. Raises what was raised over there, or WorkerLost."""
        try:
            if not line.poll(self._patience):
                self._silent = True
                self.kill()
            kind, value = line.recv()
        except (EOFError, OSError):
            raise self.lost() from None
        if kind == "error":
            raise value
        return kind, value

    def lost(self) -> WorkerLost:
        """What there is to say of the end."""
        self.ended.wait(_TIDY_SECONDS)
        how = limits.describe_exit(self.status)
        if self._silent:
            how = f"it did not answer for {(self._patience or 0) / 60:.3g} minutes"
        return WorkerLost(f"The process that worked on this was lost: {how}. Try again.", how)

    def kill(self) -> None:
        with suppress(ValueError):  # it has ended, and was let go of
            self._process.kill()
        self.ended.wait()

    def close(self) -> None:
        with self._handing:
            self._door.close()
        if not self.ended.wait(2 * _TIDY_SECONDS):
            self.kill()

    def _follow(self, said: Connection) -> None:
        """Pass on what the process logs, to its end, and take note of that: it leaves no zombie."""
        with said:
            while True:
                try:
                    record: logging.LogRecord = said.recv()
                    logging.getLogger(record.name).handle(record)
                except (EOFError, OSError):
                    break
                except Exception:
                    log.exception("what a worker logged cannot be read")
        self._process.join()
        # Another thread that starts a process may have been told of the end in place of this one.
        for _ in range(100):
            if (status := self._process.exitcode) is not None:
                self.status = status
                break
            time.sleep(0.01)
        with self._handing:
            self._door.close()
        if self.status is not None:
            self._process.close()
        self.ended.set()


def _levels() -> dict[str, int]:
    """What is worth being logged, by the names of the loggers that say so."""
    named = logging.root.manager.loggerDict
    loggers = (found for found in named.values() if isinstance(found, logging.Logger) and found.level)
    return {"": logging.root.level} | {logger.name: logger.level for logger in loggers}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is started here is deaf to Ctrl-C: it is the one who started it that closes it."""
    resource_tracker.ensure_running()  # it would lift the block on its way
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---------------------------------------------------------------- over there


class _Said(logging.handlers.QueueHandler):
    """Passes records on to the process that writes them."""

    def __init__(self, said: Connection) -> None:
        super().__init__(cast(Any, said))
        self._said = said

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # nobody reads them any more
            self._said.send(record)


def _host(
    factory: Callable[[], Any], limits: Limits, door: Connection, said: Connection, levels: dict[str, int]
) -> None:
    """The process: answers each pipe that comes in by the door, until the other side closes it or is gone."""
    logging.root.handlers = [_Said(said)]
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
            line = Connection(reduction.recv_handle(door))
            answering = [thread for thread in answering if thread.is_alive()]
            answering.append(threading.Thread(target=_answer, args=(hosted, line), daemon=True))
            answering[-1].start()
    until = time.monotonic() + _TIDY_SECONDS
    for thread in answering:
        thread.join(max(0.0, until - time.monotonic()))
    # Not by way of Python's own tidying up: threads that compute would be in its way, and in CUDA's.
    os._exit(0)


def _answer(hosted: Any, line: Connection) -> None:
    """Answer one call."""
    with line, suppress(OSError):  # the other side is gone, or hears no more
        try:
            name, args, streams = line.recv()
            line.send("taken")
            found = getattr(hosted, name)(*args)
            if not streams:
                line.send(("value", found))
                return
            with closing(found):
                for item in found:
                    line.send(("item", item))
                    if line.poll():
                        break
            line.send(("end", None))
        except EOFError:
            pass
        except BaseException as error:
            line.send(("error", _portable(error)))
            if devices.lost(error):
                log.error("the device no longer answers: %s", error)
                os._exit(limits.DEVICE_LOST)


def _portable(error: BaseException) -> BaseException:
    """The error as the other side can read it, which has no torch, and as it can tell where it came from."""
    if isinstance(error, MemoryError):
        return RunError(limits.NO_MEMORY)
    if isinstance(error, RecorteError):
        return error
    told: BaseException = error
    if type(error).__module__ != _BUILTIN or not isinstance(error, Exception) or not _travels(error):
        told = RuntimeError(f"{type(error).__name__}: {error}")
    told.add_note("".join(traceback.format_exception(error)))
    return told


def _travels(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False
