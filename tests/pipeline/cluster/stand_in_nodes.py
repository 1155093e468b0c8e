"""Nodes with the stand-ins among their models, and a driver that makes them."""

from __future__ import annotations

from typing import Any

from pipeline.cluster import actors, cutting, shipping
from pipeline.cluster.driver import RayDriver
from pipeline.cluster.node import NodeWorker
from pipeline.propagation import spool
from tests.pipeline import stand_in


class StandInNode(NodeWorker):
    """Closes a segment after each frame's work, so that a node that is lost leaves some."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        stand_in.register()
        spool.CHUNK_SECONDS = 0.2
        shipping._MIRROR_SECONDS = 0.1


class HastyNode(StandInNode):
    """A node that knows a store that is slow, and tells if it was told to save what its job has found."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import tests.pipeline.cluster.slow_files  # noqa: F401  # which registers it

        self._told_to_save = False

    def save(self) -> None:
        self._told_to_save = True
        super().save()

    def is_saving(self) -> bool:
        return self._told_to_save


class OtherNode(StandInNode):
    """A node with another version of the program."""

    def describe(self) -> dict[str, Any]:
        told = super().describe()
        return told | {"versions": told["versions"] | {"torch": "1.0"}}


class BrokenNode(NodeWorker):
    """A node that lacks something."""

    def __init__(self, *_: Any) -> None:
        raise ModuleNotFoundError("No module named 'torch'")


class StandInDriver(RayDriver):
    """Driver that can tell the process of a slot's actor."""

    node_class = StandInNode

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        stand_in.register()
        cutting.PIECE_FRAMES = 5

    def pid(self, number: int) -> int:
        return self._pid(self._slots[number].actor)

    def helpers(self, number: int) -> list[int]:
        """Return the processes of the actors that compute pieces of a slot's job beside its own."""
        return [self._pid(each.actor) for each in self._slots[number].crew if each.node]

    def _pid(self, actor: Any) -> int:
        import ray

        pid: int = ray.get(actor.describe.remote())["pid"]
        return pid


class ImpatientDriver(StandInDriver):
    """Driver that soon gives up a job without progress."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        actors.STALL_SECONDS = 2.0


class HastyDriver(StandInDriver):
    """Driver that soon kills a process within a frame, and knows a store that is slow."""

    node_class = HastyNode

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import tests.pipeline.cluster.slow_files  # noqa: F401

        actors.STOP_SECONDS = 1.0

    def is_saving(self, number: int) -> bool:
        """Return True once the actor of a slot was told to save what its job has found."""
        import ray

        told: bool = ray.get(self._slots[number].actor.is_saving.remote())
        return told


class OtherDriver(RayDriver):
    node_class = OtherNode


class BrokenDriver(RayDriver):
    node_class = BrokenNode
