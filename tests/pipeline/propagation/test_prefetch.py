"""Working ahead in a thread."""

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.propagation.prefetch import prefetch


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


def test_items_are_the_same_in_order() -> None:
    assert list(prefetch(iter(range(100)), 3)) == list(range(100))
    assert not threads()


def test_at_most_depth_items_are_prefetched() -> None:
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    line = prefetch(items(), 4)
    assert next(line) == 1
    time.sleep(0.3)
    assert made <= 1 + 4 + 1  # taken, waiting, and one in hand
    line.close()
    assert not threads()


def test_an_error_comes_at_its_place_and_ends_the_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    line = prefetch(items(), 8)
    assert [next(line), next(line)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(line)
    assert not threads()


def test_closing_closes_the_items_in_their_thread() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    line = prefetch(items(), 2)
    next(line)
    line.close()
    assert closed == ["ahead"]
    assert not threads()


def test_an_error_while_closing_is_raised_after_the_last_item() -> None:
    class Items:
        def __iter__(self) -> Iterator[int]:
            return iter(())

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise OSError("the file would not close")

    with pytest.raises(OSError, match="would not close"):
        list(prefetch(Items(), 2))
