"""FairSemaphore at what is scarce."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from anyio import to_thread
from PIL import Image

from db.engine import Database
from pipeline.errors import InputError
from pipeline.jobs import sandbox
from pipeline.languages.messages import Message
from tests.ui import line
from tests.waiting import DEADLINE, until
from ui.sessions.limits.shares import FairSemaphore, FairThreads, WeightedSemaphore


class Work:
    """FairThreads that take turns, and what they are at."""

    def __init__(self, turns: FairSemaphore) -> None:
        self.turns = turns
        self.at_work: list[UUID | None] = []
        self.refused: list[UUID | None] = []
        self.go_home = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, owner: UUID | None, number: int = 1) -> None:
        def work() -> None:
            try:
                with self.turns.slot(owner):
                    self.at_work.append(owner)
                    self.go_home.wait(DEADLINE)
                    self.at_work.remove(owner)
            except InputError:
                self.refused.append(owner)

        for _ in range(number):
            self.threads.append(threading.Thread(target=work))
            self.threads[-1].start()

    def end(self) -> None:
        self.go_home.set()
        for thread in self.threads:
            thread.join()


def test_one_user_does_not_block_others() -> None:
    ana, ben, eva = (uuid4() for _ in range(3))
    work = Work(FairSemaphore(3, each=2, waiting=1, refused=Message("choices.uploads_busy")))
    work.start(ana, 8)
    until(lambda: work.at_work == [ana, ana] and len(work.refused) == 5)
    work.start(ben)
    until(lambda: ben in work.at_work)
    work.start(eva)
    time.sleep(0.2)
    assert eva not in work.at_work  # three are at work
    work.end()
    assert work.at_work == [] and not work.turns._here and not work.turns._at_work
    with work.turns.slot(ana):  # and all is as it was
        pass


def test_a_slot_is_released_on_errors() -> None:
    turns = FairSemaphore(1, each=1, waiting=0, refused=Message("choices.previews_busy"))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.slot(None):
            raise ZeroDivisionError
        with (
            turns.slot(None),
            pytest.raises(InputError, match=r"^Previews of yours are being made already"),
            turns.slot(None),
        ):
            pass


@pytest.mark.parametrize("kind", ["picture", "video", "create"])
def test_few_uploads_of_one_user_are_probed_at_once(
    own: Database, small_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Of sixteen at once, each of which takes long, two are, and another user's is as well."""
    id = line.session_maker(tmp_path, own, small_clip)()
    service = line.make_service(tmp_path, own, line.ManualRunner(None))
    going, at_work, peak, refused = threading.Event(), [0], [0], []

    def slow(file: Path, *_: object, **__: object) -> None:
        at_work[0] += 1
        peak[0] = max(peak[0], at_work[0])
        going.wait(DEADLINE)
        at_work[0] -= 1
        raise InputError("choices.no_sound")

    monkeypatch.setattr(sandbox, "rewrite_picture", slow)
    monkeypatch.setattr(sandbox, "check_video", slow)

    def take(number: int) -> None:
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8)).save(file) if kind == "picture" else shutil.copyfile(small_clip, file)
        try:
            if kind == "create":
                service.create(file, file.name)
            else:
                getattr(service.choices, f"choose_{kind}")(id, file, file.name)
        except InputError as error:
            refused.append(str(error))
            assert not file.exists()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) == 12)
    assert at_work == [2] and all(said.startswith("Several of your uploads") for said in refused)

    def take_another() -> None:
        with pytest.raises(InputError, match=r"^This video has no sound\.$"):
            service.for_owner(uuid4()).create(Path(shutil.copyfile(small_clip, tmp_path / "s.mp4")), "s.mp4")

    stranger = threading.Thread(target=take_another)
    stranger.start()
    until(lambda: at_work == [3])
    going.set()
    for thread in [*threads, stranger]:
        thread.join()
    assert peak == [3] and len(refused) == 16


# ---------------------------------------------------------------- threads and budgets


def test_threads_are_shared_between_users() -> None:
    go, at_work = threading.Event(), Counter[str]()

    def work(name: str) -> str:
        at_work[name] += 1
        assert go.wait(DEADLINE)
        return name

    async def ask(threads: FairThreads[str], owner: UUID, name: str) -> str:
        async with threads.slot(owner) as run:
            return await run(lambda: work(name))

    async def run() -> list[str]:
        threads: FairThreads[str] = FairThreads(4, each=2)
        ana, ben = uuid4(), uuid4()
        many = [asyncio.create_task(ask(threads, ana, "ana")) for _ in range(45)]
        await asyncio.sleep(0.2)
        assert at_work == {"ana": 2}
        few = asyncio.create_task(ask(threads, ben, "ben"))
        await asyncio.sleep(0.2)
        assert at_work == {"ana": 2, "ben": 1}
        # What they wait for keeps none of the threads that all share.
        assert await to_thread.run_sync(lambda: 5) == 5
        go.set()
        return await asyncio.gather(few, *many)

    assert asyncio.run(run()).count("ana") == 45


def test_the_weighted_semaphore_is_fair() -> None:
    budget, order, held, peak = WeightedSemaphore(10), [], [0], [0]
    lock = threading.Lock()

    def take(name: str, amount: int) -> None:
        with budget.acquire(amount):
            with lock:
                order.append(name)
                held[0] += min(amount, 10)
                peak[0] = max(peak[0], held[0])
            time.sleep(0.05)
            with lock:
                held[0] -= min(amount, 10)

    with budget.acquire(6):
        threads = []
        for name, amount in (("large", 8), ("small", 4), ("beyond all", 99), ("last", 1)):
            threads.append(threading.Thread(target=take, args=(name, amount)))
            threads[-1].start()
            until(lambda: len(budget._line) == len(threads))
        assert order == []  # the small one does not go before the large one
    for thread in threads:
        thread.join()
    assert order == ["large", "small", "beyond all", "last"] and peak[0] <= 10 and budget._left == 10
