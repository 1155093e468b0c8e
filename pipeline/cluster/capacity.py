"""Nodes of a cluster, and the share of one that a job takes."""

from __future__ import annotations

from typing import NamedTuple

_MEMORY = 5 * 2**28
"""Memory that a new actor reserves, in bytes: what a run of 1080p takes; `NodeWorker.prepare` tells."""

_CARD = "accelerator_type:"
"""Prefix of the resource by which Ray names a node's kind of card."""


class Node(NamedTuple):
    """A node of the cluster."""

    name: str
    """Host name or address."""
    cpus: float
    gpus: float
    memory: float
    """Bytes that Ray may give to actors."""
    card: str = ""
    """Kind of its graphics cards as Ray names it, such as `H100`; empty: none, or unknown."""
    id: str = ""
    """Ray's own."""

    @property
    def runs_jobs(self) -> bool:
        """True unless it has no processors to give, as a head that only manages."""
        return self.cpus >= 1 or self.gpus >= 1


class Resources(NamedTuple):
    """Share of a node that a job takes."""

    cpus: float
    gpus: float


def list_nodes() -> list[Node]:
    """Return the nodes of the joined cluster that are alive."""
    import ray

    return [
        Node(
            node["NodeManagerHostname"] or node["NodeManagerAddress"],
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
            node["Resources"].get("memory", 0.0),
            next((name[len(_CARD) :] for name in node["Resources"] if name.startswith(_CARD)), ""),
            node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


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


def count_jobs(nodes: list[Node]) -> int:
    """Return the number of jobs that the nodes have room for at a time, at least 1."""
    return max(1, count_places(nodes, share_of_node(nodes)))


def count_places(nodes: list[Node], share: Resources) -> int:
    """Return how often the nodes have a share to give."""
    return sum(_count_shares(node, share) for node in nodes)


def new_actor_memory(nodes: list[Node]) -> int:
    """Return the memory that an actor reserves before its job is known, in bytes."""
    return min(_MEMORY, most_memory(nodes))


def most_memory(nodes: list[Node]) -> int:
    """Return the memory of the largest node, in bytes; more can never be had."""
    return int(max((node.memory for node in nodes), default=0)) or _MEMORY


def _count_shares(node: Node, share: Resources) -> int:
    by_cpus = int(node.cpus // share.cpus)
    return min(by_cpus, int(node.gpus // share.gpus)) if share.gpus else by_cpus
