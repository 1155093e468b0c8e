"""Driver of a Ray cluster: gives jobs to actors on its nodes, in a process of its own.

Ray ends a driver's process where the head of its cluster is lost, moves it to a process group of its own and
takes its signals; the process that hosts this one keeps its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.cluster.actors import STOP_SECONDS, Actors, Slot
from pipeline.cluster.capacity import Node, count_jobs, count_places, list_nodes, share_of_node
from pipeline.cluster.connection import AWAY, is_connected, is_lost, join_cluster
from pipeline.cluster.crew import Crew, Gone, Piece, as_rendering
from pipeline.cluster.cutting import cut_job, needs_plan
from pipeline.cluster.inspection import NodeReport, inspect_nodes
from pipeline.cluster.node import NodeWorker
from pipeline.cluster.shipping import Halts, Shared, Shipment, keep_all
from pipeline.cluster.store import Store, TransferStopped, Tree
from pipeline.cluster.waiting import HEARTBEAT_SECONDS, NO_CLUSTER, SHIPPING, meanwhile
from pipeline.errors import InputError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.languages.messages import Message
from pipeline.propagation.plan import PlanInputs

_RESTARTS = 2
"""Number of times that a job is begun again, or continued, after its actor or node was lost."""
_WARM_SECONDS = 300.0
"""Time for which an actor without a job keeps its share of a node, with its model loaded."""


class RayDriver:
    """Hosted in the driver's process; the cluster is joined by the first call."""

    node_class: type[NodeWorker] = NodeWorker

    def __init__(
        self, address: str, store: str | None = None, pixels: int | None = None, waits: bool = False
    ) -> None:
        """`address` as for `join_cluster`, `store` as for `Store`, `pixels` as in `Limits`, for the nodes.

        With `waits` a job waits while the cluster is away; else it fails.
        """
        self._address, self._store_address, self._waits = address, store, waits
        self._store: Store | None = None
        self._lock = threading.Lock()
        """Held while the cluster is joined or left, and the store opened."""
        self._slots_lock = threading.Lock()
        self._joined = False
        # The kernel ends a cluster that is started here with the thread that has started it: this one stays.
        self._joining = ThreadPoolExecutor(1, "ray")
        self._slots: dict[int, Slot] = {}
        self._actors = Actors(self.node_class, pixels, self.nodes, self._drop_idle)

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive. Raises InputError as `join_cluster`."""
        self._join()
        try:
            return list_nodes()
        except Exception as error:
            if is_lost(error):
                raise InputError("cluster.no_answer", address=self._address) from error
            raise

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
            slot = self._slots.setdefault(number, Slot())
            slot.killed, slot.busy, slot.latest, slot.halts = False, True, None, Halts()
        try:
            yield from self._connect()
            with closing(self._run(slot, job)) as steps:
                try:
                    for step in steps:
                        if step.total:
                            slot.latest = step
                        yield step
                finally:
                    slot.halts.stopped.set()
        except TransferStopped as error:
            raise WorkerLost("runs.lost", how=Message("runs.killed")) from error
        except Exception as error:
            if not is_lost(error):
                raise
            slot.actor = None
            raise WorkerLost("runs.lost", how=Message("cluster.lost")) from error
        finally:
            slot.idle_since = time.monotonic()
            slot.busy = False

    def _run(self, slot: Slot, job: Job) -> Generator[Progress, None, None]:
        job = replace(job, device=job.device.partition(":")[0])
        helpers = self._count_idle(job)
        inputs = (yield from self._find_plan(slot, job)) if needs_plan(job, helpers + 1) else None
        with cut_job(job, helpers + 1, inputs) as (job, cuts):
            parcels, whole = [self._parcel(slot, cut.job) for cut in cuts], self._parcel(slot, job)
            pieces = [
                Piece(parcel, cut.frames, cut.streams) for parcel, cut in zip(parcels, cuts, strict=True)
            ]
            try:
                if pieces:
                    yield from self._compute(slot, helpers, pieces)
                data = yield from meanwhile(whole.send, slot.latest or SHIPPING)
                data["pieces"] = [parcel.resume_data for parcel in parcels]
                steps = self._run_anywhere(slot, data)
                results = yield from (as_rendering(steps) if pieces else steps)
                told = slot.latest or SHIPPING
                yield from meanwhile(lambda: whole.receive(results), told)
            except BaseException:
                keep_all(whole, parcels)
                raise
            for parcel in parcels:
                parcel.discard()

    def _find_plan(self, slot: Slot, job: Job) -> Generator[Progress, None, PlanInputs | None]:
        """Return what a job's plan is made of: a node finds it, where that takes a search in the video."""
        # Here, so that who only starts a driver does not load FFmpeg.
        from pipeline.propagation.scenes import known_plan_inputs
        from pipeline.video.reading.probe import load_clip

        inputs = known_plan_inputs(job, load_clip(job.source, job.source_rate))
        if inputs is not None:
            return inputs
        whole = self._parcel(slot, job)
        try:
            data = yield from meanwhile(whole.send, slot.latest or SHIPPING)
            results: dict[str, Any] = yield from self._run_anywhere(slot, data | {"plan": True})
        finally:
            whole.keep()
        inputs = PlanInputs.from_json(results["plan"])
        return inputs and inputs.with_masks(job.active_prompts)

    def _parcel(self, slot: Slot, job: Job) -> Shared | Shipment:
        if self._store_address is None:
            return Shared(job)
        return Shipment(self._open_store(), job, slot.halts)

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

    def _compute(self, slot: Slot, helpers: int, pieces: list[Piece]) -> Generator[Progress, None, None]:
        """Compute a job's pieces in its slot and in others."""
        members = [slot, *(Slot() for _ in range(helpers))][: len(pieces)]
        actors, crowded = self._actors, partial(self._is_crowded, slot)
        crew = Crew(pieces, actors.engage, actors.run, actors.drop, crowded, _RESTARTS)
        slot.crew = members[1:]
        try:
            yield from crew.work(members)
        except Gone:
            raise WorkerLost("runs.lost", how=Message("runs.killed")) from None
        finally:
            slot.crew = []

    def _is_crowded(self, slot: Slot) -> bool:
        """Return True while a job of another slot waits for room."""
        return any(other.busy and other.waiting for other in list(self._slots.values()) if other is not slot)

    def _run_anywhere(self, slot: Slot, data: dict[str, Any]) -> Generator[Progress, None, dict[str, Tree]]:
        """Run a job on a node, and on another where that is lost; return its results in the store."""
        for left in reversed(range(_RESTARTS + 1)):
            try:
                return (yield from self._actors.run(slot, data, slot.latest))
            except Gone as error:
                self._actors.drop(slot)
                if slot.killed:
                    raise WorkerLost("runs.lost", how=Message("runs.killed")) from None
                if not left:
                    how = Message("cluster.node_lost", {"node": slot.node or self._address})
                    raise WorkerLost("runs.lost", how=how) from error
        raise AssertionError("the last attempt has returned or raised")

    def kill(self, number: int) -> None:
        """Kill the actor of a slot; `run` then raises WorkerLost.

        What a job that is being stopped has found, or one that was killed before, is left in the store.
        """
        with self._slots_lock:
            slot = self._slots.setdefault(number, Slot())
        if slot.halts.stopped.is_set():
            slot.halts.killed.set()
        slot.halts.stopped.set()
        for each in (slot, *slot.crew):
            each.killed = True
            self._actors.drop(each)

    def node_of(self, number: int) -> str:
        """Return the names of the nodes that a slot's actors are on, joined by commas."""
        slot = self._slots.get(number)
        places = [] if slot is None else [slot, *slot.crew]
        return ", ".join(
            dict.fromkeys(place.node for place in places if place.actor is not None and place.node)
        )

    def leave(self) -> None:
        """Leave the cluster when the jobs that are being stopped have; one that was started here ends."""
        until = time.monotonic() + STOP_SECONDS + 2 * HEARTBEAT_SECONDS
        while any(slot.busy for slot in list(self._slots.values())) and time.monotonic() < until:
            time.sleep(0.05)
        with self._lock:
            if self._joined:
                import ray

                self._joined = False
                ray.shutdown()

    def _drop_idle(self, seconds: float = 0.0) -> None:
        """Kill the actors that have had no job for so long."""
        with self._slots_lock:
            for slot in self._slots.values():
                if not slot.busy and time.monotonic() - slot.idle_since >= seconds:
                    self._actors.drop(slot)

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
            if self._joined and self._address.startswith("ray://") and not is_connected():
                self._joined = False
                for slot in list(self._slots.values()):
                    slot.actor = None
            if not self._joined:
                self._joining.submit(join_cluster, self._address).result()
                self._joined = True
