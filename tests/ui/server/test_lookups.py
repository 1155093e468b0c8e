"""Lookups in the database, while it answers and while it does not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from db.errors import DatabaseAway
from tests.waiting import DEADLINE, until
from ui.server.lookups import Lookups


class Hanging:
    """A database that answers when it is let."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []

    def ask(self, key: str) -> str:
        self.asked.append(key)
        assert self.answers.wait(DEADLINE)
        return f"{key} {len(self.asked)}"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    database = Hanging()
    yield database
    database.answers.set()


def test_a_result_is_cached_for_a_while(hanging: Hanging) -> None:
    hanging.answers.set()
    now = [0.0]
    lookups = Lookups(hanging.ask, fresh_seconds=5, clock=lambda: now[0])

    async def ask() -> str:
        return await lookups.get("a", 10)

    assert lookups.last("a") is None
    assert asyncio.run(ask()) == asyncio.run(ask()) == lookups.last("a") == "a 1"
    now[0] = 6
    assert asyncio.run(ask()) == "a 2"
    lookups.clear()
    assert lookups.last("a") is None


def test_no_result_is_not_kept() -> None:
    results: list[str | None] = ["first", None, None, "last"]
    lookups = Lookups(lambda _: results.pop(0), fresh_seconds=0, clock=time.monotonic)
    assert asyncio.run(lookups.get("a", 10)) == lookups.last("a") == "first"
    assert asyncio.run(lookups.get("a", 10)) is None and lookups.last("a") is None
    lookups = Lookups(lambda _: results.pop(0), fresh_seconds=5)
    assert asyncio.run(lookups.get("a", 10)) is None
    assert asyncio.run(lookups.get("a", 10)) == "last" and not results


@pytest.mark.parametrize("forget", [lambda lookups: lookups.forget("a"), Lookups.clear], ids=["one", "all"])
def test_what_was_under_way_when_a_result_was_forgotten_is_not_kept(
    forget: Callable[[Lookups[str, str]], None],
) -> None:
    """It may have been read before the change for which it was forgotten; who asks later asks anew."""
    calls = {name: threading.Event() for name in ("early", "late")}
    waiting = iter(calls)

    def ask(_: str) -> str:
        name = next(waiting)
        assert calls[name].wait(DEADLINE)
        return name

    lookups = Lookups(ask, fresh_seconds=5, threads=2)

    async def both() -> None:
        early = asyncio.create_task(lookups.get("a", DEADLINE))
        await asyncio.sleep(0.1)
        forget(lookups)
        late = asyncio.create_task(lookups.get("a", DEADLINE))
        await asyncio.sleep(0.1)
        calls["late"].set()
        assert await late == "late"
        calls["early"].set()
        assert await early == "early"

    asyncio.run(both())
    until(lambda: not lookups._pending)
    assert lookups.last("a") == "late"


def test_many_lookups_in_a_hanging_database_time_out_together(hanging: Hanging) -> None:
    lookups = Lookups(hanging.ask, fresh_seconds=5)

    async def ask() -> float:
        began = time.monotonic()
        with pytest.raises(DatabaseAway):
            await lookups.get("a", 0.3)
        return time.monotonic() - began

    async def many() -> list[float]:
        first = await asyncio.gather(*(ask() for _ in range(50)))
        return [max(first), await ask()]  # who comes later does not wait as long again

    first, later = asyncio.run(many())
    assert 0.2 < first < 5 and later < 0.25
    assert hanging.asked == ["a"]
    hanging.answers.set()
    until(lambda: lookups.last("a") == "a 1")


def test_an_error_is_raised_to_all_waiting_and_not_cached() -> None:
    asked: list[None] = []

    def ask(_: None) -> int:
        asked.append(None)
        if len(asked) == 1:
            raise DatabaseAway("database.silent")
        return 7

    lookups = Lookups(ask, fresh_seconds=5)

    async def get() -> int:
        return await lookups.get(None, 10)

    with pytest.raises(DatabaseAway, match="does not answer"):
        asyncio.run(get())
    assert asyncio.run(get()) == 7


def test_a_late_error_is_not_logged(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    lookups = Lookups(hanging.ask, fresh_seconds=0)

    def fail(key: str) -> str:
        hanging.ask(key)
        raise DatabaseAway("database.silent")

    lookups._ask = fail

    async def ask() -> None:
        with pytest.raises(DatabaseAway):
            await lookups.get("a", 0.05)
        hanging.answers.set()
        await asyncio.sleep(0.3)

    asyncio.run(ask())
    assert caplog.records == []
