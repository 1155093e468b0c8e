"""SAM 2: a subject that is clicked on or boxed once, and found through the clip by the model's own memory.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), with the weights of SAM 2.1. The memory
knows the subject again after it was hidden and in another scene, so a stream runs through scene cuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import refine
from pipeline.embeddings import Embeddings
from pipeline.errors import PromptError
from pipeline.models import Candidate, Card, Found, Image, Matte, Model, Still
from pipeline.state import State
from pipeline.weights import File, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.networks.sam2 import Network, Track

_SIDE = 512
"""Pixels of the long side on which the soft mask is made; the network's own grid has 256 each way."""


class Sam2:
    """The model. What it keeps depends on frames alone; each stream has a memory of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._embed = Embeddings(network.embed)

    def mattes(self, stills: Iterator[Still], state: State | None = None) -> Iterator[Found]:
        """As `Model.mattes`; raises PromptError where the first still's marks do not say what is meant."""
        track = self._track(state)
        for image, prompt in stills:
            if not track.begun and not (prompt and prompt.starts):
                raise PromptError("SAM 2 needs to be told what to keep. Click on the subject first.")
            answer = track.step(image, prompt)
            confidence = answer.presence * answer.scores[0]
            yield Found(self._matte(answer.logits[0], image), confidence, state=track.state)

    def candidates(self, still: Still) -> list[Candidate]:
        """As `Ambiguous.candidates`; one alone where the still's marks have but one reading."""
        image, prompt = still
        if not prompt or not prompt.starts:
            raise PromptError("SAM 2 needs to be told what to keep. Click on the subject first.")
        answer = self._track().readings(image, prompt)
        return [
            Candidate(self._matte(logits, image), score)
            for logits, score in zip(answer.logits, answer.scores, strict=True)
        ]

    def _track(self, state: State | None = None) -> Track:
        from pipeline.networks.sam2 import Track

        return Track(self._network, self._embed, state)

    def _matte(self, logits: Tensor, image: Image) -> Matte:
        height, width = refine.within(image.shape[0], image.shape[1], _SIDE)
        mask = self._network.enlarged(logits, height, width)
        return refine.upsample(refine.logistic(mask), image)


def _load(device: str, files: list[Path]) -> Model:
    from pipeline.networks.sam2 import load

    weights, config = files
    return Sam2(load(weights, config, device))


_HUB = "https://huggingface.co/{folder}/resolve/main/{file}"


def _card(size: str, purpose: str, bytes: int) -> Card:
    folder = f"facebook/sam2.1-hiera-{size}"
    files = (("model.safetensors", bytes), ("config.json", 4_000))
    return Card(
        key=f"sam2-{size}",
        label=f"SAM 2.1 {size.replace('-', ' ').title()}",
        purpose=purpose,
        points=True,
        box=True,
        automatic=False,
        licence="Apache-2.0",
        licence_url="https://github.com/facebookresearch/sam2/blob/main/LICENSE",
        load=_load,
        weights=Weights(
            tuple(
                File(f"{folder}/{file}", _HUB.format(folder=folder, file=file), bytes)
                for file, bytes in files
            )
        ),
        candidates=True,
        reads=True,
        remembers=True,
        steps=8,
    )


CARDS = (
    _card(
        "tiny",
        "Follows what you click on through the whole clip, cuts included; the fastest of its family.",
        155_908_064,
    ),
    _card(
        "small",
        "Follows what you click on through the whole clip; a little surer and slower than Tiny.",
        184_305_280,
    ),
    _card(
        "base-plus",
        "Follows what you click on through the whole clip; surer than Small among things that look alike.",
        323_476_296,
    ),
    _card(
        "large",
        "Follows what you click on through the whole clip; the surest of its family, for a GPU.",
        897_897_416,
    ),
)
