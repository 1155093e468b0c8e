"""The Recorte model and its card; its weights come with the application."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import devices
from pipeline.arrays import Image, Matte
from pipeline.models import window
from pipeline.models.base import Candidate, Card, Model, Prediction, PromptedFrame, Proposal
from pipeline.models.parts import Candidates, clear_thing
from pipeline.models.recorte.encoded_window import GRID_PIXELS, EncodedWindow, frame_size
from pipeline.models.recorte.masks import clear_veil
from pipeline.models.recorte.proposals import propose
from pipeline.models.recorte.stream import Stream
from pipeline.models.window import Window
from pipeline.prompts import Point, Prompt
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
        self._candidates = Candidates(self._segment_crop, self._take_all)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        return (prediction for prediction, _ in self.follow(frames, state))

    def follow(
        self, frames: Iterator[PromptedFrame], state: State | None = None
    ) -> Iterator[tuple[Prediction, Window | None]]:
        """Do as `predict`, and yield with each prediction the window in which it was made."""
        stream = Stream(self.encode, self._candidates)
        if state is not None:
            stream.restore(state, self._device)
        for frame in frames:
            yield stream.step(frame)._replace(state=stream.state), stream.window

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """As `OffersCandidates.candidates`."""
        return self._candidates(frame)

    def find_thing(self, image: Image, point: Point) -> Generator[None, None, Matte | None]:
        """As `FindsThings.find_thing`."""
        return clear_thing((yield from self._candidates.steps(image, point)), point)

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """As `Proposer.propose`."""
        return propose(self.encode, pairs)

    def encode(self, image: Image, place: Window) -> EncodedWindow:
        """Run the image encoder on a window of a frame."""
        return EncodedWindow(self._network, self._device, image, place)

    def _take_all(self, image: Image, point: Point) -> Matte:
        """Segment all that the network takes for the subject marked by a point."""
        (prediction,) = self.predict(iter([PromptedFrame(image, Prompt(points=(point,)))]))
        return prediction.matte

    def _segment_crop(self, crop: Image, point: Point) -> Matte:
        """Segment what a point lies on in a crop of a frame."""
        view = self.encode(crop, window.whole(frame_size(crop), GRID_PIXELS))
        mask = view.mask([point])
        mask = view.mask([point], None, mask)
        return view.window.to_frame(clear_veil(mask), crop)


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
        candidates=True,
        splits=True,
        version=3,
        weights=Weights(
            (
                File(
                    "recorte.safetensors",
                    "",
                    6715860,
                    "03aec9a7268db9d2b9acc1ea6b0778d73ab132db5caba5605ae9e34d02638a1b",
                ),
            )
        ),
    ),
)
