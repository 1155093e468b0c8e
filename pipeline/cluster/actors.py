"""Actors on the nodes of a cluster, and the driver's calls of them.

An actor hosts a `NodeWorker`. It belongs to a slot, the place for one job at a time, and stays there between
jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from math import inf
from typing import TYPE_CHECKING, Any

from pipeline.cluster.capacity import Node, Resources, most_memory, new_actor_memory, share_of_node
from pipeline.cluster.crew import Gone
from pipeline.cluster.crossing import error_from_json, version_error
from pipeline.cluster.inspection import unusable_error
from pipeline.cluster.node import NodeWorker
from pipeline.cluster.shipping import Halts
from pipeline.cluster.store import Tree
from pipeline.cluster.waiting import HEARTBEAT_SECONDS, NO_NODE, SHIPPING, STARTING
from pipeline.errors import RunError, WorkerLost
from pipeline.job import Progress
from pipeline.jobs.runner import STALL_SECONDS
from pipeline.languages.messages import Message

if TYPE_CHECKING:
    import ray

STOP_SECONDS = 6.0
"""Time that a job has to stop between two frames."""
_SILENT_SECONDS = 120.0
"""An actor that does not answer a poll for so long is given up, however slow its job is: another thread of it
computes. Ray itself finds lost nodes."""
_CROWDED_SECONDS = 10.0
"""Time without a node after which warm actors of other slots make room for a job."""


class Slot:
    """Place for one job at a time, with its warm actor, if it has one."""

    def __init__(self) -> None:
        self.actor: Any = None
        self.node = ""
        self.resources = Resources(0, 0)
        self.memory = 0
        self.killed = False
        self.halts = Halts()
        """Those of its job."""
        self.busy = False
        """True while a job is running or being stopped."""
        self.crew: list[Slot] = []
        """Places for pieces of its job, with actors of their own."""
        self.idle_since = 0.0
        """Time at which its latest job ended, by `time.monotonic`."""
        self.latest: Progress | None = None
        """Latest progress of its job, once frames are done."""

    @property
    def waiting(self) -> bool:
        """True while its actor does not answer yet, such as for want of room."""
        return self.actor is not None and not self.node


class Actors:
    """Makes, calls and ends the actors of slots. Used by several threads, each with a slot of its own."""

    def __init__(
        self,
        node_class: type[NodeWorker],
        pixels: int | None,
        nodes: Callable[[], list[Node]],
        make_room: Callable[[], None],
    ) -> None:
        """`node_class` is what an actor hosts, and `pixels` its argument.

        `nodes` returns those that are alive; `make_room` ends actors that have no job.
        """
        self._node_class, self._pixels = node_class, pixels
        self._nodes, self._make_room = nodes, make_room

    def run(
        self, slot: Slot, request: dict[str, Any], told: Progress | None = None
    ) -> Generator[Progress, None, dict[str, Tree]]:
        """Run a request by the slot's actor, and return the results that it has put into the store.

        Yields at least each second: the latest progress again, at first `told`. Closing the generator stops
        the job. Raises what the job raises, Gone where the actor is lost, and WorkerLost where the job has no
        progress for long.
        """
        latest = told or STARTING
        try:
            yield from self._prepare(slot, request, told or SHIPPING)
            actor = slot.actor
            yield from self._wait(slot, lambda: actor.start.remote(request), latest, _SILENT_SECONDS)
            moved = time.monotonic()
            while True:
                report = yield from self._wait(slot, actor.poll.remote, latest, _SILENT_SECONDS)
                for progress in report["progress"]:
                    latest, moved = Progress.from_json(progress), time.monotonic()
                    yield latest
                if report["ended"]:
                    break
                if time.monotonic() - moved > STALL_SECONDS:
                    self.drop(slot)
                    how = Message("runs.silent", {"minutes": STALL_SECONDS / 60})
                    raise WorkerLost("runs.lost", how=how)
                if not report["progress"]:
                    yield latest
        except GeneratorExit:
            self._stop(slot)
            raise
        if report["error"] is not None:
            raise error_from_json(report["error"])
        results: dict[str, Tree] = report["results"]
        return results

    def engage(self, slot: Slot, device: str = "cpu") -> Generator[Progress, None, None]:
        """Give the slot an actor, unless it has one that fits; `device` as in a job."""
        nodes = self._nodes()
        share = share_of_node(nodes, device)
        while slot.actor is None or slot.resources != share:
            with closing(self._create(slot, share, new_actor_memory(nodes))) as waiting:
                for told in waiting:
                    yield told
                    # Nodes that have joined meanwhile may have another share to give.
                    nodes = self._nodes()
                    if share != (share := share_of_node(nodes, device)):
                        break

    def drop(self, slot: Slot) -> None:
        """Kill the slot's actor, if it has one."""
        import ray

        actor, slot.actor = slot.actor, None
        if actor is not None:
            with suppress(Exception):  # it is gone already, or the cluster is
                ray.kill(actor, no_restart=True)

    def _prepare(
        self, slot: Slot, request: dict[str, Any], told: Progress
    ) -> Generator[Progress, None, None]:
        """Give the slot an actor with enough memory for the job."""
        yield from self.engage(slot, request["job"]["device"])
        nodes, share = self._nodes(), slot.resources
        need = yield from self._lay_out(slot, request, told)
        need = min(need, most_memory(nodes))  # the node itself refuses what is too large for it
        if need > slot.memory:
            yield from self._create(slot, share, need)
            yield from self._lay_out(slot, request, told)

    def _lay_out(self, slot: Slot, request: dict[str, Any], told: Progress) -> Generator[Progress, None, int]:
        """Have the actor lay out the job's files; return the memory that it needs, in bytes."""
        answer = yield from self._wait(slot, lambda: slot.actor.prepare.remote(request), told)
        if answer["error"] is not None:
            raise error_from_json(answer["error"])
        need: int = answer["memory"]
        return need

    def _create(self, slot: Slot, share: Resources, memory: int) -> Generator[Progress, None, None]:
        import ray

        self.drop(slot)
        actor_class = ray.remote(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            memory=memory,
            max_concurrency=4,
            # A new one is made where one is lost: elsewhere, if its node is gone. A call is not repeated by
            # Ray, which does not know that a run continues.
            max_restarts=0,
            max_task_retries=0,
        )(self._node_class)
        slot.actor = actor_class.remote(self._pixels)
        slot.resources, slot.memory, slot.node = share, memory, ""
        told = yield from self._wait(slot, slot.actor.describe.remote, NO_NODE)
        slot.node = told["host"]
        error = version_error(slot.node, told["versions"])
        if error is not None:
            self.drop(slot)
            raise error

    def _wait(
        self,
        slot: Slot,
        call: Callable[[], ray.ObjectRef[Any]],
        told: Progress,
        silent_seconds: float = inf,
    ) -> Generator[Progress, None, Any]:
        """Call an actor and return its answer; yields `told` each second until it comes.

        Raises Gone where the actor is lost, or does not answer for `silent_seconds`.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError, RayError

        try:
            if slot.killed or slot.actor is None:
                raise Gone
            answer, began = call(), time.monotonic()
            while True:
                try:
                    return ray.get(answer, timeout=HEARTBEAT_SECONDS)
                except GetTimeoutError:
                    waited = time.monotonic() - began
                    if slot.killed or waited > silent_seconds:
                        raise Gone from None
                    if not slot.node and waited > _CROWDED_SECONDS:
                        self._make_room()
                    yield told
        except RayActorError as error:
            if error.actor_init_failed:
                raise unusable_error(error) from error
            raise Gone from error
        except RayError as error:
            reason = str(error).strip().splitlines()[0][:300]
            raise RunError("cluster.call_failed", reason=reason) from error

    def _stop(self, slot: Slot) -> None:
        """Stop the slot's job between two frames, or kill its actor where it does not stop.

        What it has finished until then is saved in the store before, however long that takes, unless the slot
        is killed.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        until, actor = time.monotonic() + STOP_SECONDS, slot.actor
        if actor is None or slot.waiting:
            self.drop(slot)
            return
        with suppress(RayError, ConnectionError):  # it is gone
            actor.stop.remote()
            while True:
                report = ray.get(actor.poll.remote(), timeout=STOP_SECONDS)
                if report["ended"]:
                    return
                if slot.killed or (time.monotonic() > until and not report["saving"]):
                    break
            saved = actor.save.remote()
            while not slot.killed:
                with suppress(GetTimeoutError):
                    ray.get(saved, timeout=HEARTBEAT_SECONDS)
                    break
        self.drop(slot)
