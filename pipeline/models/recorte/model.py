"""The Recorte model and its card; its weights come with the application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import devices
from pipeline.arrays import Image
from pipeline.models.base import Card, Model, Prediction, PromptedFrame, Proposal
from pipeline.models.recorte.encoded_window import EncodedWindow
from pipeline.models.recorte.proposals import propose
from pipeline.models.recorte.stream import Stream
from pipeline.models.window import Window
from pipeline.stream_state import State
from pipeline.weights import checkpoints
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    import torch

    from pipeline.networks.recorte import Recorte as Network


class Recorte:
    """The model; its streams share the network and nothing else."""

    def __init__(self, network: Network, device: torch.device) -> None:
        import torch

        from pipeline.networks.recorte import fuse_batch_norm

        self._network = fuse_batch_norm(network).to(device).to(memory_format=torch.channels_last)
        self._device = device

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        stream = Stream(self.encode)
        if state is not None:
            stream.restore(state, self._device)
        for frame in frames:
            yield stream.step(frame)._replace(state=stream.state)

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """As `Proposer.propose`."""
        return propose(self.encode, pairs)

    def encode(self, image: Image, place: Window) -> EncodedWindow:
        """Run the image encoder on a window of a frame."""
        return EncodedWindow(self._network, self._device, image, place)


def _load(device: str, files: list[Path]) -> Model:
    from pipeline.networks.recorte import Recorte as Network

    network = Network()
    checkpoints.load_into(network, files[0])
    return Recorte(network, devices.pick(device))


CARDS = (
    Card(
        key="recorte",
        label="Recorte",
        purpose="Comes with the application: finds a subject by itself or by marks, near real time anywhere.",
        points=True,
        box=True,
        automatic=True,
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        load=_load,
        version=2,
        weights=Weights(
            (
                File(
                    "recorte.safetensors",
                    "",
                    6715860,
                    "b7658d16344b0bf1ddbde1052841df804137b9c3a7e9066b9472c0b8a590304c",
                ),
            )
        ),
    ),
)
