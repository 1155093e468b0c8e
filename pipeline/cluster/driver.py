"""Driver of a Ray cluster: gives jobs to actors on its nodes, in a process of its own.

Ray ends a driver's process where the head of its cluster is lost, moves it to a process group of its own and
takes its signals; the process that hosts this one keeps its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipeline.cluster.connection import join_cluster
from pipeline.cluster.crew import Crew, Gone, Piece, as_rendering
from pipeline.cluster.crossing import error_from_json, find_versions
from pipeline.cluster.cutting import cut_job
from pipeline.cluster.node import NodeWorker
from pipeline.cluster.shipping import Shared, Shipment
from pipeline.cluster.store import Store, Tree
from pipeline.errors import InputError, RunError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.languages.messages import Message

if TYPE_CHECKING:
    import ray

Returned = TypeVar("Returned")

_RESTARTS = 2
"""Number of times that a job is begun again, or continued, after its actor or node was lost."""
_STOP_SECONDS = 6.0
"""Time that a job has to stop between two frames."""
_HEARTBEAT_SECONDS = 1.0
_MEMORY = 5 * 2**28
"""Memory that a new actor reserves, in bytes: what a run of 1080p takes; `NodeWorker.prepare` tells."""


class Node(NamedTuple):
    """A node of the cluster."""

    name: str
    """Host name or address."""
    cpus: float
    gpus: float
    memory: float
    """Bytes that Ray may give to actors."""


class Resources(NamedTuple):
    """Share of a node that a job takes."""

    cpus: float
    gpus: float


class _Slot:
    """Place for one job at a time, with its warm actor, if it has one."""

    def __init__(self) -> None:
        self.actor: Any = None
        self.node = ""
        self.resources = Resources(0, 0)
        self.memory = 0
        self.killed = False
        self.busy = False
        """True while a job is running or being stopped."""
        self.crew: list[_Slot] = []
        """Places for pieces of its job, with actors of their own."""

    @property
    def waiting(self) -> bool:
        """True while its actor does not answer yet, such as for want of room."""
        return self.actor is not None and not self.node


class RayDriver:
    """Hosted in the driver's process; the cluster is joined by the first call."""

    node_class: type[NodeWorker] = NodeWorker

    def __init__(self, address: str, store: str | None = None, pixels: int | None = None) -> None:
        """`address` as for `join_cluster`, `store` as for `Store`, `pixels` as in `Limits`, for the nodes."""
        self._address, self._store_address, self._pixels = address, store, pixels
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._joined = False
        # The kernel ends a cluster that is started here with the thread that has started it: this one stays.
        self._joining = ThreadPoolExecutor(1, "ray")
        self._slots: dict[int, _Slot] = {}

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive. Raises InputError as `join_cluster`."""
        ray = self._join()
        alive = [node for node in ray.nodes() if node["Alive"]]
        return [
            Node(
                node["NodeManagerHostname"] or node["NodeManagerAddress"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
                node["Resources"].get("memory", 0.0),
            )
            for node in alive
        ]

    def capacity(self) -> int:
        """Return the number of jobs that the cluster has room for at a time, at least 1."""
        nodes = self.nodes()
        share = share_of_node(nodes)
        return max(1, sum(_count_shares(node, share) for node in nodes))

    def run(self, number: int, job: Job) -> Generator[Progress, None, None]:
        """Run a job in the slot of a number, which runs no other; yields its progress.

        While there is no node for it, progress of no frames is yielded each second. A job whose node is lost
        goes on elsewhere, from its resume data where it keeps a matte. Raises what the job raises, and
        WorkerLost where it was killed or its nodes were lost again and again.
        """
        slot = self._slots.setdefault(number, _Slot())
        slot.killed, slot.busy = False, True
        try:
            yield from self._run(slot, job)
        finally:
            slot.busy = False

    def _run(self, slot: _Slot, job: Job) -> Generator[Progress, None, None]:
        job = replace(job, device=job.device.partition(":")[0])
        helpers = self._count_idle(job)
        with cut_job(job, helpers + 1) as cut:
            parcels, whole = [self._parcel(piece) for piece, _ in cut], self._parcel(job)
            pieces = [Piece(parcel, frames) for parcel, (_, frames) in zip(parcels, cut, strict=True)]
            try:
                if pieces:
                    yield from self._compute(slot, helpers, pieces)
                data = yield from _meanwhile(whole.send)
                data["pieces"] = [parcel.resume_data for parcel in parcels]
                steps = self._run_anywhere(slot, data)
                results = yield from (as_rendering(steps) if pieces else steps)
            except BaseException:
                # The whole first: it replaces the folder that those of the pieces are in.
                for parcel in (whole, *parcels):
                    parcel.keep()
                raise
            yield from _meanwhile(lambda: whole.receive(results))
            for parcel in parcels:
                parcel.discard()

    def _parcel(self, job: Job) -> Shared | Shipment:
        return Shared(job) if self._store_address is None else Shipment(self._open_store(), job)

    def _count_idle(self, job: Job) -> int:
        """Return how many others there is room for, where the nodes compute on processors.

        On a graphics card the last bit depends on which frames are computed together: such a job is not cut.
        """
        nodes = self.nodes()
        share = share_of_node(nodes, job.device)
        if share.gpus:
            return 0
        room = sum(_count_shares(node, share) for node in nodes)
        return max(0, room - sum(slot.busy for slot in self._slots.values()))

    def _compute(self, slot: _Slot, helpers: int, pieces: list[Piece]) -> Generator[Progress, None, None]:
        """Compute a job's pieces in its slot and in others."""
        members = [slot, *(_Slot() for _ in range(helpers))][: len(pieces)]
        crew = Crew(
            pieces, self._engage, self._run_once, self._drop, partial(self._is_crowded, slot), _RESTARTS
        )
        slot.crew = members[1:]
        try:
            yield from crew.work(members)
        except Gone:
            raise WorkerLost("runs.lost", how=Message("runs.killed")) from None
        finally:
            slot.crew = []

    def _is_crowded(self, slot: _Slot) -> bool:
        """Return True while a job of another slot waits for room."""
        return any(other.busy and other.waiting for other in self._slots.values() if other is not slot)

    def _run_anywhere(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, dict[str, Tree]]:
        """Run a job on a node, and on another where that is lost; return its results in the store."""
        for left in reversed(range(_RESTARTS + 1)):
            try:
                return (yield from self._run_once(slot, data))
            except Gone as error:
                self._drop(slot)
                if slot.killed:
                    raise WorkerLost("runs.lost", how=Message("runs.killed")) from None
                if not left:
                    how = Message("cluster.node_lost", {"node": slot.node or self._address})
                    raise WorkerLost("runs.lost", how=how) from error
        raise AssertionError("the last attempt has returned or raised")

    def kill(self, number: int) -> None:
        """Kill the actor of a slot; `run` then raises WorkerLost."""
        slot = self._slots.setdefault(number, _Slot())
        for each in (slot, *slot.crew):
            each.killed = True
            self._drop(each)

    def node_of(self, number: int) -> str:
        """Return the name of the node that a slot's actor is on; empty while there is none."""
        slot = self._slots.get(number)
        return slot.node if slot is not None and slot.actor is not None else ""

    def leave(self) -> None:
        """Leave the cluster when the jobs that are being stopped have; one that was started here ends."""
        until = time.monotonic() + _STOP_SECONDS + 2 * _HEARTBEAT_SECONDS
        while any(slot.busy for slot in self._slots.values()) and time.monotonic() < until:
            time.sleep(0.05)
        with self._lock:
            if self._joined:
                import ray

                self._joined = False
                ray.shutdown()

    # ------------------------------------------------------------------ one attempt

    def _run_once(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, dict[str, Tree]]:
        yield from self._prepare(slot, data)
        actor = slot.actor
        try:
            yield from self._wait(slot, lambda: actor.start.remote(data))
            while True:
                report = yield from self._wait(slot, actor.poll.remote)
                for progress in report["progress"]:
                    yield Progress.from_json(progress)
                if report["ended"]:
                    break
        except GeneratorExit:
            self._stop(slot)
            raise
        if report["error"] is not None:
            raise error_from_json(report["error"])
        results: dict[str, Tree] = report["results"]
        return results

    def _prepare(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, None]:
        """Give the slot an actor with enough memory for the job."""
        yield from self._engage(slot, data["job"]["device"])
        nodes, share = self.nodes(), slot.resources
        need = yield from self._lay_out(slot, data)
        need = min(need, _most_memory(nodes))  # the node itself refuses what is too large for it
        if need > slot.memory:
            yield from self._create(slot, share, need)
            yield from self._lay_out(slot, data)

    def _engage(self, slot: _Slot, device: str = "cpu") -> Generator[Progress, None, None]:
        """Give the slot an actor, unless it has one that fits; `device` as in a job."""
        nodes = self.nodes()
        share = share_of_node(nodes, device)
        if slot.actor is None or slot.resources != share:
            yield from self._create(slot, share, min(_MEMORY, _most_memory(nodes)))

    def _lay_out(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, int]:
        """Have the actor lay out the job's files; return the memory that it needs, in bytes."""
        told = yield from self._wait(slot, lambda: slot.actor.prepare.remote(data))
        if told["error"] is not None:
            raise error_from_json(told["error"])
        need: int = told["memory"]
        return need

    def _create(self, slot: _Slot, share: Resources, memory: int) -> Generator[Progress, None, None]:
        import ray

        self._drop(slot)
        actor_class = ray.remote(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            memory=memory,
            max_concurrency=4,
            # A new one is made where one is lost: elsewhere, if its node is gone. A call is not repeated by
            # Ray, which does not know that a run continues.
            max_restarts=0,
            max_task_retries=0,
        )(self.node_class)
        slot.actor = actor_class.remote(self._pixels)
        slot.resources, slot.memory, slot.node = share, memory, ""
        told = yield from self._wait(slot, slot.actor.describe.remote)
        slot.node = told["host"]
        theirs = told["versions"]
        for name, ours in find_versions().items():
            if theirs.get(name) != ours:
                self._drop(slot)
                raise InputError(
                    "cluster.versions", node=told["host"], name=name, theirs=str(theirs.get(name)), ours=ours
                )

    def _wait(self, slot: _Slot, call: Callable[[], ray.ObjectRef[Any]]) -> Generator[Progress, None, Any]:
        """Call an actor and return its answer; yields progress of no frames while it keeps silent."""
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError, RayError

        try:
            if slot.killed or slot.actor is None:
                raise Gone
            answer = call()
            while True:
                try:
                    return ray.get(answer, timeout=_HEARTBEAT_SECONDS)
                except GetTimeoutError:
                    if slot.killed:
                        raise Gone from None
                    yield Progress("render", 0, 0, 0.0, None)
        except RayActorError as error:
            if error.actor_init_failed:
                reason = str(error).strip().splitlines()[-1][:300]
                raise InputError("cluster.node_unusable", reason=reason) from error
            raise Gone from error
        except RayError as error:
            reason = str(error).strip().splitlines()[0][:300]
            raise RunError("cluster.call_failed", reason=reason) from error

    def _stop(self, slot: _Slot) -> None:
        """Stop the slot's job between two frames, or kill its actor where it does not stop."""
        import ray
        from ray.exceptions import RayError

        until = time.monotonic() + _STOP_SECONDS
        with suppress(RayError):
            slot.actor.stop.remote()
            while time.monotonic() < until:
                if ray.get(slot.actor.poll.remote(), timeout=_STOP_SECONDS)["ended"]:
                    return
        self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        """Kill the slot's actor, if it has one."""
        import ray

        actor, slot.actor = slot.actor, None
        if actor is not None:
            with suppress(Exception):  # it is gone already, or the cluster is
                ray.kill(actor, no_restart=True)

    def _open_store(self) -> Store:
        with self._lock:
            if self._store is None:
                assert self._store_address is not None
                self._store = Store(self._store_address)
            return self._store

    def _join(self) -> Any:
        with self._lock:
            if not self._joined:
                self._joining.submit(join_cluster, self._address).result()
                self._joined = True
        import ray

        return ray


def _meanwhile(call: Callable[[], Returned]) -> Generator[Progress, None, Returned]:
    """Call in another thread and return its value; yields progress of no frames meanwhile."""
    with ThreadPoolExecutor(1, "store") as pool:
        answer = pool.submit(call)
        while True:
            try:
                return answer.result(_HEARTBEAT_SECONDS)
            except TimeoutError:
                if answer.done():  # the call's own
                    raise
                yield Progress("render", 0, 0, 0.0, None)


def share_of_node(nodes: list[Node], device: str = "auto") -> Resources:
    """Return what a job takes of a node: a graphics card with its part of the processors, or the processors.

    Of nodes that differ the smallest decides. While there are none, as where they are started on demand, one
    card and one processor are asked for.
    """
    cards = [node for node in nodes if node.gpus >= 1]
    plain = [node for node in nodes if node.cpus >= 1]
    if device != "cpu" and (cards or not plain):
        return Resources(max(1, min((node.cpus // node.gpus for node in cards), default=1)), 1)
    return Resources(min((node.cpus // 1 for node in plain), default=1), 0)


def _count_shares(node: Node, share: Resources) -> int:
    by_cpus = int(node.cpus // share.cpus)
    return min(by_cpus, int(node.gpus // share.gpus)) if share.gpus else by_cpus


def _most_memory(nodes: list[Node]) -> int:
    """Return the memory of the largest node, in bytes; more can never be had."""
    return int(max((node.memory for node in nodes), default=0)) or _MEMORY
