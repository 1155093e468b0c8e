"""Progress of a job that waits, which has no frames and says for what it waits."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipeline.job import Progress
from pipeline.languages.messages import Message

HEARTBEAT_SECONDS = 1.0
"""Time between two reports of a job that waits."""

Returned = TypeVar("Returned")


def _waiting(*notes: Message) -> Progress:
    return Progress("render", 0, 0, 0.0, None, notes=notes)


STARTING = _waiting()
NO_NODE = _waiting(Message("cluster.waiting_node"))
NO_CLUSTER = _waiting(Message("cluster.waiting_cluster"))
SHIPPING = _waiting(Message("cluster.shipping"))


def meanwhile(call: Callable[[], Returned], told: Progress) -> Generator[Progress, None, Returned]:
    """Call in another thread and return its value; yields `told` each second meanwhile."""
    with ThreadPoolExecutor(1, "store") as pool:
        answer = pool.submit(call)
        while True:
            try:
                return answer.result(HEARTBEAT_SECONDS)
            except TimeoutError:
                if answer.done():  # the call's own
                    raise
                yield told
