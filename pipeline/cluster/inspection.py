"""Inspection of a cluster: the versions on each node, asked of the worker that would run jobs there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pipeline.cluster.capacity import Node
from pipeline.cluster.crossing import version_error
from pipeline.errors import InputError, RecorteError, RunError

_ANSWER_SECONDS = 60.0
"""Time in which all nodes have to answer; starting a worker takes a few seconds."""


@dataclass(frozen=True)
class NodeReport:
    """A node with the versions that are installed there."""

    node: Node
    versions: dict[str, str] = field(default_factory=dict)
    """As of `find_versions`; empty where it runs no jobs, or did not say."""
    error: RecorteError | None = None
    """Fault for which it runs no jobs: an InputError where something has to be installed, else a RunError."""


def inspect_nodes(nodes: list[Node], worker: type) -> list[NodeReport]:
    """Ask each node of the joined cluster that runs jobs; `worker` is the class of its actors."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actors = {
        node.id: ray.remote(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        )(worker).remote(None)
        for node in nodes
        if node.runs_jobs
    }
    try:
        answers = {id: actor.describe.remote() for id, actor in actors.items()}
        until = time.monotonic() + _ANSWER_SECONDS
        return [
            _read(node, answers[node.id], until) if node.id in answers else NodeReport(node) for node in nodes
        ]
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _read(node: Node, answer: Any, until: float) -> NodeReport:
    import ray
    from ray.exceptions import RayActorError, RayError

    try:
        told = ray.get(answer, timeout=max(0.0, until - time.monotonic()))
    except RayError as error:
        if isinstance(error, RayActorError) and error.actor_init_failed:
            return NodeReport(node, error=unusable_error(error))
        reason = str(error).strip().splitlines()[0][:300]
        return NodeReport(node, error=RunError("cluster.node_silent", node=node.name, reason=reason))
    return NodeReport(node, told["versions"], version_error(node.name, told["versions"]))


def unusable_error(error: Exception) -> InputError:
    """Return the error that says why a worker could not be made on a node."""
    reason = str(error).strip().splitlines()[-1][:300]
    return InputError("cluster.node_unusable", reason=reason)
