"""A process that hosts an object."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.errors import InputError, RunError, WorkerLost
from pipeline.jobs.worker import Worker
from pipeline.limits import Limits
from tests import children as processes
from tests.waiting import DEADLINE, until

ROOT = Path(__file__).resolve().parents[3]


class Foreign(Exception):
    """An error of a class that the other side is not asked to know."""


def nothing(hosted: Hosted) -> None:
    """A method that the hosted object does not have."""


class Hosted:
    """Does over there what the tests ask for."""

    def __init__(self) -> None:
        self.closed = 0
        self.waiting = threading.Barrier(4)
        self.asleep = 0

    def pid(self) -> int:
        return os.getpid()

    def add(self, a: int, b: int) -> int:
        return a + b

    def doubled(self, image: np.ndarray) -> np.ndarray:
        return image * 2

    def fail(self, how: str) -> None:
        raise {
            "input": InputError("video.not_a_file", name="a.mp4"),
            "zero": ZeroDivisionError("by zero"),
            "foreign": Foreign("told", 7),
            "memory": MemoryError(),
            "exit": SystemExit(3),
        }[how]

    def together(self) -> int:
        """Returns once four threads are in here."""
        return self.waiting.wait(DEADLINE)

    def sleep(self) -> None:
        """For ever."""
        self.asleep += 1
        threading.Event().wait()

    def how_many_sleep(self) -> int:
        return self.asleep

    def crash(self) -> None:
        ctypes.string_at(0)

    def unpicklable(self) -> Any:
        return lambda: None

    def log(self, words: str) -> None:
        logging.getLogger("pipeline.there").info("%s", words)
        logging.getLogger("pipeline.there").debug("not this")

    def count(self, most: int, pause: float = 0.0, size: int = 1) -> Iterator[Any]:
        try:
            for n in range(most):
                time.sleep(pause)
                yield n if size == 1 else bytes(size)
            if most == 3:
                raise InputError("choices.rate", most=3)
        finally:
            self.closed += 1

    def how_many_closed(self) -> int:
        return self.closed

    def take(self, bytes: int) -> int:
        return len(np.ones(bytes, np.uint8))

    def spin(self) -> None:
        while True:
            pass

    def open(self, count: int) -> int:
        files = [Path(os.devnull).open() for _ in range(count)]  # noqa: SIM115
        return len([file.close() for file in files])

    def cores(self) -> tuple[int, int]:
        import resource

        return resource.getrlimit(resource.RLIMIT_CORE)


def broken() -> Hosted:
    raise OSError("nothing to be had")


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    with Worker(Hosted) as worker:
        spared.append(worker.call(Hosted.pid))
        yield worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One that a test may ruin."""
    with Worker(Hosted) as worker:
        yield worker
    assert worker.pid is None and not children()


spared: list[int] = []


def children() -> list[psutil.Process]:
    """Those of this process that host something, or did and were not waited for; not what all tests share."""
    own = [child for child in psutil.Process().children() if child.pid not in spared]
    return [c for c in own if c.status() == psutil.STATUS_ZOMBIE or "spawn_main" in " ".join(c.cmdline())]


# ---------------------------------------------------------------- calls


def test_a_method_is_called_in_the_worker(shared: Worker) -> None:
    assert shared.call(Hosted.pid) == shared.pid != os.getpid()
    assert shared.call(Hosted.add, 2, 3) == 5
    image = np.arange(3_000_000, dtype=np.uint8).reshape(1000, 1000, 3)
    assert np.array_equal(shared.call(Hosted.doubled, image), image * 2)


def test_errors_in_the_worker_are_raised_in_the_caller(shared: Worker) -> None:
    with pytest.raises(InputError, match=r"^a\.mp4: this is no file\.$"):
        shared.call(Hosted.fail, "input")
    with pytest.raises(ZeroDivisionError, match="by zero") as caught:
        shared.call(Hosted.fail, "zero")
    assert "test_worker.py" in caught.value.__notes__[0]  # where it was, for the log
    with pytest.raises(RuntimeError, match=r"^Foreign: .*told"):
        shared.call(Hosted.fail, "foreign")
    with pytest.raises(RuntimeError, match="SystemExit"):
        shared.call(Hosted.fail, "exit")
    with pytest.raises(RunError, match="not enough memory"):
        shared.call(Hosted.fail, "memory")
    with pytest.raises(AttributeError):
        shared.call(nothing)
    with pytest.raises(AttributeError, match="pickle"):
        shared.call(Hosted.add, lambda: None, 1)
    with pytest.raises((RuntimeError, AttributeError), match="pickle"):
        shared.call(Hosted.unpicklable)
    assert shared.call(Hosted.add, 1, 1) == 2


def test_concurrent_calls_are_answered(shared: Worker) -> None:
    """Each waits over there for the others."""
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(shared.call(Hosted.together))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [0, 1, 2, 3]


def test_records_logged_in_the_worker_are_logged_in_the_parent(
    shared: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        with Worker(Hosted) as fresh:
            fresh.call(Hosted.log, "a word")
    finally:
        logging.getLogger("pipeline").setLevel(logging.NOTSET)
    told = [record for record in caplog.records if record.name == "pipeline.there"]
    assert [(record.levelname, record.getMessage()) for record in told] == [("INFO", "a word")]
    assert told[0].process != os.getpid()


# ---------------------------------------------------------------- streams


def test_a_generator_is_streamed(shared: Worker) -> None:
    assert list(shared.stream(Hosted.count, 1000)) == list(range(1000))
    assert list(shared.stream(Hosted.count, 5)) == list(range(5))
    assert [len(part) for part in shared.stream(Hosted.count, 4, 0.0, 2_000_000)] == [2_000_000] * 4
    three = shared.stream(Hosted.count, 3)
    assert [next(three), next(three), next(three)] == [0, 1, 2]
    with pytest.raises(InputError, match="from 1 to 3 frames"):
        next(three)


def test_a_call_is_answered_while_a_stream_runs(shared: Worker) -> None:
    steps = shared.stream(Hosted.count, 100, 0.01)
    assert next(steps) == 0
    assert shared.call(Hosted.add, 1, 2) == 3
    assert next(steps) == 1
    steps.close()


@pytest.mark.parametrize("size", [1, 500_000])
def test_closing_a_stream_closes_the_workers_generator(shared: Worker, size: int) -> None:
    before = shared.call(Hosted.how_many_closed)
    steps = shared.stream(Hosted.count, 10**6, 0.0, size)
    assert next(steps) is not None
    steps.close()
    assert shared.call(Hosted.how_many_closed) == before + 1
    steps = shared.stream(Hosted.count, 10**6, 0.0, size)
    assert next(steps) is not None
    del steps
    gc.collect()
    assert shared.call(Hosted.how_many_closed) == before + 2
    unasked = shared.stream(Hosted.count, 10**6)
    unasked.close()
    assert shared.call(Hosted.how_many_closed) == before + 2


# ---------------------------------------------------------------- its end


def asleep(worker: Worker, count: int) -> list[tuple[threading.Thread, list[str]]]:
    """Calls that never return, each in a thread, and how each ends; they are under way over there."""

    def ask(told: list[str]) -> None:
        with pytest.raises(WorkerLost) as caught:
            worker.call(Hosted.sleep)
        told.append(str(caught.value.how))

    asked: list[tuple[threading.Thread, list[str]]] = []
    for _ in range(count):
        told: list[str] = []
        asked.append((threading.Thread(target=ask, args=(told,)), told))
    for thread, _ in asked:
        thread.start()
    until(lambda: worker.call(Hosted.how_many_sleep) == count)
    return asked


def test_a_killed_worker_is_restarted(worker: Worker) -> None:
    first = worker.call(Hosted.pid)
    ((thread, told),) = asleep(worker, 1)
    psutil.Process(worker.pid).kill()
    thread.join(DEADLINE)
    assert told == ["it was killed, and memory may have run out"] and not children()
    second = worker.call(Hosted.pid)
    assert first != second == worker.pid
    steps = worker.stream(Hosted.count, 10**6, 0.01)
    assert next(steps) == 0
    psutil.Process(worker.pid).kill()
    with pytest.raises(WorkerLost, match="killed"):
        list(steps)
    assert not children()
    assert worker.call(Hosted.add, 1, 2) == 3
    psutil.Process(worker.pid).kill()  # while nothing is asked of it
    assert worker.call(Hosted.add, 1, 2) == 3
    worker.kill()
    assert worker.pid is None and not children()
    assert worker.call(Hosted.add, 1, 2) == 3
    with pytest.raises(WorkerLost, match="it crashed"):
        worker.call(Hosted.crash)
    assert worker.call(Hosted.add, 1, 2) == 3


def test_every_waiting_caller_gets_worker_lost(worker: Worker) -> None:
    asked = asleep(worker, 5)
    worker.kill()
    for thread, told in asked:
        thread.join(DEADLINE)
        assert told == ["it was killed, and memory may have run out"]


def test_closing_a_stream_whose_process_is_gone(worker: Worker) -> None:
    steps = worker.stream(Hosted.count, 10**6, 0.01)
    next(steps)
    worker.kill()
    steps.close()


def test_a_worker_that_does_not_start_raises_worker_lost(caplog: pytest.LogCaptureFixture) -> None:
    with Worker(broken) as worker, pytest.raises(WorkerLost, match="status 1"):
        worker.call(Hosted.pid)
    assert "nothing to be had" in caplog.text
    assert not children()


def test_closing_ends_calls_in_progress(worker: Worker) -> None:
    steps = worker.stream(Hosted.count, 10**6, 0.01)
    next(steps)
    ((stuck, _),) = asleep(worker, 1)
    worker.close()
    stuck.join(DEADLINE)
    assert not stuck.is_alive() and not children()
    with pytest.raises(WorkerLost, match="being stopped"):
        worker.call(Hosted.pid)
    worker.close()


PARENT = """
import sys, threading, time
from pipeline.jobs.worker import Worker
from tests.pipeline.jobs.test_worker import Hosted
if __name__ == "__main__":
    worker = Worker(Hosted)
    worker.start()
    if "early" not in sys.argv:
        print(worker.call(Hosted.pid), flush=True)
    else:
        print(worker.pid, flush=True)
    try:
        for n in worker.stream(Hosted.count, 10**6, 0.01):
            if n == 0:
                print("streaming", flush=True)
    except KeyboardInterrupt:
        print(worker.call(Hosted.add, 1, 2), flush=True)
        worker.close()
        print("closed", flush=True)
"""


def parent(tmp_path: Path, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    return processes.running(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_worker_does_not_outlive_its_parent(tmp_path: Path, when: str) -> None:
    with parent(tmp_path, when) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        family = psutil.Process(started.pid).children(recursive=True)
        assert pid in [process.pid for process in family]
        started.kill()
    _, alive = psutil.wait_procs(family, DEADLINE)
    assert not alive


@pytest.mark.parametrize("ignored", [False, True], ids=["heard", "ignored by who started the tests"])
def test_ctrl_c_at_the_terminal_does_not_kill_the_worker(
    tmp_path: Path, ignored: bool, request: pytest.FixtureRequest
) -> None:
    if ignored:  # as by nohup, or by a script's &
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with parent(tmp_path) as started:
        assert started.stdout is not None
        while started.stdout.readline() != "streaming\n":
            assert started.poll() is None
        os.killpg(started.pid, signal.SIGINT)
        said, complaint = started.communicate(timeout=DEADLINE)
    assert said.split() == ["3", "closed"] and complaint == ""


# ---------------------------------------------------------------- limits


def test_too_much_memory_raises_an_error_and_the_worker_survives() -> None:
    with Worker(Hosted, limits=Limits(memory_bytes=2**30, open_files=64)) as worker:
        assert worker.call(Hosted.take, 10**8) == 10**8
        pid = worker.pid
        with pytest.raises(RunError, match="not enough memory"):
            worker.call(Hosted.take, 2 * 10**9)
        assert worker.call(Hosted.open, 20) == 20
        with pytest.raises(OSError, match="Too many open files"):
            worker.call(Hosted.open, 100)
        assert worker.call(Hosted.cores) == (0, 0)
        assert worker.pid == pid


@pytest.mark.parametrize("bound", [Limits(cpu_seconds=1), Limits(seconds=1)])
def test_a_time_limit_ends_the_process(bound: Limits) -> None:
    with Worker(Hosted, limits=bound) as worker, pytest.raises(WorkerLost, match="took too long"):
        worker.call(Hosted.spin)


def test_limits_are_optional() -> None:
    with Worker(Hosted) as worker:
        assert worker.call(Hosted.take, 2 * 10**8) == 2 * 10**8
