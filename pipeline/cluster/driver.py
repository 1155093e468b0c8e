"""Driver of a Ray cluster: gives jobs to actors on its nodes, in a process of its own.

Ray ends a driver's process where the head of its cluster is lost, moves it to a process group of its own and
takes its signals; the process that hosts this one keeps its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.cluster.capacity import (
    Node,
    Resources,
    count_jobs,
    count_places,
    list_nodes,
    most_memory,
    new_actor_memory,
    share_of_node,
)
from pipeline.cluster.connection import AWAY, join_cluster
from pipeline.cluster.crew import Crew, Gone, Piece, as_rendering
from pipeline.cluster.crossing import error_from_json, version_error
from pipeline.cluster.cutting import cut_job
from pipeline.cluster.inspection import NodeReport, inspect_nodes, unusable_error
from pipeline.cluster.node import NodeWorker
from pipeline.cluster.shipping import Shared, Shipment
from pipeline.cluster.store import Store, Tree
from pipeline.cluster.waiting import HEARTBEAT_SECONDS, NO_CLUSTER, NO_NODE, SHIPPING, STARTING, meanwhile
from pipeline.errors import InputError, RunError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.languages.messages import Message

if TYPE_CHECKING:
    import ray

_RESTARTS = 2
"""Number of times that a job is begun again, or continued, after its actor or node was lost."""
_STOP_SECONDS = 6.0
"""Time that a job has to stop between two frames."""
_SILENT_SECONDS = 120.0
"""A running job's actor that does not answer for so long is given up; Ray itself finds lost nodes."""
_CROWDED_SECONDS = 10.0
"""Time without a node after which warm actors of other slots make room for a job."""
_WARM_SECONDS = 300.0
"""Time for which an actor without a job keeps its share of a node, with its model loaded."""


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
        self.idle_since = 0.0
        """Time at which its latest job ended, by `time.monotonic`."""
        self.latest: Progress | None = None
        """Latest progress of its job."""

    @property
    def waiting(self) -> bool:
        """True while its actor does not answer yet, such as for want of room."""
        return self.actor is not None and not self.node


class RayDriver:
    """Hosted in the driver's process; the cluster is joined by the first call."""

    node_class: type[NodeWorker] = NodeWorker

    def __init__(
        self, address: str, store: str | None = None, pixels: int | None = None, waits: bool = False
    ) -> None:
        """`address` as for `join_cluster`, `store` as for `Store`, `pixels` as in `Limits`, for the nodes.

        With `waits` a job waits while the cluster is away; else it fails.
        """
        self._address, self._store_address, self._pixels = address, store, pixels
        self._waits = waits
        self._store: Store | None = None
        self._lock = threading.Lock()
        """Held while the cluster is joined or left, and the store opened."""
        self._slots_lock = threading.Lock()
        self._joined = False
        # The kernel ends a cluster that is started here with the thread that has started it: this one stays.
        self._joining = ThreadPoolExecutor(1, "ray")
        self._slots: dict[int, _Slot] = {}

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive. Raises InputError as `join_cluster`."""
        self._join()
        return list_nodes()

    def inspect(self) -> list[NodeReport]:
        """Return the nodes with what is installed there. Raises InputError as `join_cluster` and `Store`."""
        nodes = self.nodes()
        if self._store_address is not None:
            self._open_store()
        return inspect_nodes(nodes, self.node_class)

    def capacity(self) -> int:
        """Return the number of jobs that the cluster has room for at a time, at least 1."""
        self._drop_idle(_WARM_SECONDS)
        return count_jobs(self.nodes())

    def run(self, number: int, job: Job) -> Generator[Progress, None, None]:
        """Run a job in the slot of a number, which runs no other; yields its progress.

        While it waits, progress of no frames is yielded each second, whose note says for what. A job whose
        node is lost goes on elsewhere, from its resume data where it keeps a matte. Raises what the job
        raises, and WorkerLost where it was killed, its nodes were lost again and again, or the cluster was.
        """
        with self._slots_lock:
            slot = self._slots.setdefault(number, _Slot())
            slot.killed, slot.busy, slot.latest = False, True, None
        try:
            yield from self._connect()
            yield from self._run(slot, job)
        except ConnectionError as error:  # of a ray:// address
            slot.actor = None
            raise WorkerLost("runs.lost", how=Message("cluster.lost")) from error
        finally:
            slot.idle_since = time.monotonic()
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
                data = yield from meanwhile(whole.send, slot.latest or SHIPPING)
                data["pieces"] = [parcel.resume_data for parcel in parcels]
                steps = self._run_anywhere(slot, data)
                results = yield from (as_rendering(steps) if pieces else steps)
            except BaseException:
                # The whole first: it replaces the folder that those of the pieces are in.
                for parcel in (whole, *parcels):
                    parcel.keep()
                raise
            told = slot.latest or SHIPPING
            yield from meanwhile(lambda: whole.receive(results), told)
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
        with self._slots_lock:
            busy = sum(slot.busy for slot in self._slots.values())
        return max(0, count_places(nodes, share) - busy)

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
        return any(other.busy and other.waiting for other in list(self._slots.values()) if other is not slot)

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
        with self._slots_lock:
            slot = self._slots.setdefault(number, _Slot())
        for each in (slot, *slot.crew):
            each.killed = True
            self._drop(each)

    def node_of(self, number: int) -> str:
        """Return the names of the nodes that a slot's actors are on, joined by commas."""
        slot = self._slots.get(number)
        places = [] if slot is None else [slot, *slot.crew]
        return ", ".join(
            dict.fromkeys(place.node for place in places if place.actor is not None and place.node)
        )

    def leave(self) -> None:
        """Leave the cluster when the jobs that are being stopped have; one that was started here ends."""
        until = time.monotonic() + _STOP_SECONDS + 2 * HEARTBEAT_SECONDS
        while any(slot.busy for slot in list(self._slots.values())) and time.monotonic() < until:
            time.sleep(0.05)
        with self._lock:
            if self._joined:
                import ray

                self._joined = False
                ray.shutdown()

    def _run_once(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, dict[str, Tree]]:
        yield from self._prepare(slot, data)
        actor = slot.actor
        try:
            yield from self._wait(slot, lambda: actor.start.remote(data), STARTING)
            while True:
                report = yield from self._wait(slot, actor.poll.remote, slot.latest or STARTING)
                for progress in report["progress"]:
                    slot.latest = Progress.from_json(progress)
                    yield slot.latest
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
        need = min(need, most_memory(nodes))  # the node itself refuses what is too large for it
        if need > slot.memory:
            yield from self._create(slot, share, need)
            yield from self._lay_out(slot, data)

    def _engage(self, slot: _Slot, device: str = "cpu") -> Generator[Progress, None, None]:
        """Give the slot an actor, unless it has one that fits; `device` as in a job."""
        nodes = self.nodes()
        share = share_of_node(nodes, device)
        while slot.actor is None or slot.resources != share:
            with closing(self._create(slot, share, new_actor_memory(nodes))) as waiting:
                for told in waiting:
                    yield told
                    # Nodes that have joined meanwhile may have another share to give.
                    nodes = self.nodes()
                    if share != (share := share_of_node(nodes, device)):
                        break

    def _lay_out(self, slot: _Slot, data: dict[str, Any]) -> Generator[Progress, None, int]:
        """Have the actor lay out the job's files; return the memory that it needs, in bytes."""
        told = yield from self._wait(slot, lambda: slot.actor.prepare.remote(data), SHIPPING)
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
        slot.latest = None
        told = yield from self._wait(slot, slot.actor.describe.remote, NO_NODE)
        slot.node = told["host"]
        error = version_error(slot.node, told["versions"])
        if error is not None:
            self._drop(slot)
            raise error

    def _wait(
        self, slot: _Slot, call: Callable[[], ray.ObjectRef[Any]], told: Progress
    ) -> Generator[Progress, None, Any]:
        """Call an actor and return its answer; yields `told` each second until it comes."""
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
                    if slot.killed or (slot.latest is not None and waited > _SILENT_SECONDS):
                        raise Gone from None
                    if not slot.node and waited > _CROWDED_SECONDS:
                        self._drop_idle()
                    yield told
        except RayActorError as error:
            if error.actor_init_failed:
                raise unusable_error(error) from error
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

    def _drop_idle(self, seconds: float = 0.0) -> None:
        """Kill the actors that have had no job for so long."""
        with self._slots_lock:
            for slot in self._slots.values():
                if not slot.busy and time.monotonic() - slot.idle_since >= seconds:
                    self._drop(slot)

    def _open_store(self) -> Store:
        with self._lock:
            if self._store is None:
                assert self._store_address is not None
                self._store = Store(self._store_address)
            return self._store

    def _connect(self) -> Generator[Progress, None, None]:
        """Join the cluster, unless it is joined; wait for it where this is wanted."""
        while True:
            try:
                yield from meanwhile(self._join, NO_CLUSTER)
                return
            except InputError as error:
                if not self._waits or error.message.key not in AWAY:
                    raise
            yield NO_CLUSTER
            time.sleep(HEARTBEAT_SECONDS)

    def _join(self) -> None:
        with self._lock:
            if self._joined:
                import ray

                self._joined = ray.is_initialized()  # a connection to ray:// may be lost
            if not self._joined:
                self._joining.submit(join_cluster, self._address).result()
                self._joined = True
