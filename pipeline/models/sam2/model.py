"""SAM 2: a subject marked once and tracked through the clip by the model's own memory.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), with the weights of SAM 2.1. The memory
recognises the subject after an occlusion and in another scene, so a stream runs through scene cuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.arrays import Image, Matte
from pipeline.errors import PromptError
from pipeline.imaging import guided_filter, mask_files, strokes
from pipeline.models.base import Candidate, Card, Model, Prediction, PromptedFrame
from pipeline.models.embeddings import Embeddings
from pipeline.prompts import Prompt
from pipeline.stream_state import State
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.networks.sam2 import Network, Track

_SIDE = 512
"""Pixels of the long side on which the soft mask is made; the network's own grid has 256 each way."""


class Sam2:
    """The model, or another with such a network. Its cache depends on frames alone; each stream has its own
    memory."""

    def __init__(self, network: Network, label: str = "SAM 2") -> None:
        self._network = network
        self._label = label
        self._embed = Embeddings(network.embed)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        """As `Model.predict`; raises PromptError where the first frame has no prompt that initialises."""
        track = self._track(state)
        for image, prompt in frames:
            if not track.started and not (prompt and prompt.initialises):
                raise PromptError("marks.needed", label=self._label)
            given = None if prompt is None else mask_files.of_prompt(prompt, *image.shape[:2])
            answer = track.step(image, None if prompt is None else _point_prompt(prompt, image), given)
            confidence = answer.presence * answer.scores[0]
            if given is not None and prompt is not None and not prompt.points:
                matte = given
            else:
                matte = self._matte(answer.logits[0], image)
            yield Prediction(matte, confidence, state=track.state)

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """As `OffersCandidates.candidates`; only one for an unambiguous prompt."""
        image, prompt = frame
        if not prompt or not prompt.initialises:
            raise PromptError("marks.needed", label=self._label)
        answer = self._track().candidates(image, prompt)
        return [
            Candidate(self._matte(logits, image), score)
            for logits, score in zip(answer.logits, answer.scores, strict=True)
        ]

    def _track(self, state: State | None = None) -> Track:
        from pipeline.networks.sam2 import Track

        return Track(self._network, self._embed, state)

    def _matte(self, logits: Tensor, image: Image) -> Matte:
        height, width = guided_filter.fit_size(image.shape[0], image.shape[1], _SIDE)
        mask = self._network.upscale(logits, height, width)
        return guided_filter.upsample(guided_filter.logistic(mask), image)


def _point_prompt(prompt: Prompt, image: Image) -> Prompt | None:
    """Return the prompt with points along its strokes; a chosen candidate is that of the click alone.

    None if nothing is left to tell the network: strokes beside the frame.
    """
    if prompt.candidate is not None:
        return prompt
    if prompt.mask is not None:  # which the strokes are painted into
        return replace(prompt, box=None) if prompt.points else None
    pointed = strokes.with_points(prompt, *image.shape[:2])
    return pointed if pointed.points or pointed.box else None


def _load(device: str, files: list[Path]) -> Model:
    from pipeline.networks.sam2 import load

    weights, config = files
    return Sam2(load(weights, config, device))


_HUB = "https://huggingface.co/{folder}/resolve/{revision}/{file}"


def _card(size: str, purpose: str, revision: str, *published: tuple[int, str]) -> Card:
    """`published`: bytes and SHA-256 of the weights and of their configuration."""
    folder = f"facebook/sam2.1-hiera-{size}"
    files = zip(("model.safetensors", "config.json"), published, strict=True)
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
                File(
                    f"{folder}/{file}",
                    _HUB.format(folder=folder, revision=revision, file=file),
                    bytes,
                    sha256,
                )
                for file, (bytes, sha256) in files
            )
        ),
        candidates=True,
        slow_encoder=True,
        has_memory=True,
        preview_frames=8,
    )


CARDS = (
    _card(
        "tiny",
        "Follows what you click on through the whole clip, cuts included; the fastest of its family.",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        (155_908_064, "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7"),
        (5695, "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce"),
    ),
    _card(
        "small",
        "Follows what you click on through the whole clip; a little surer and slower than Tiny.",
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        (184_305_280, "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60"),
        (5698, "97ff9f65b76d107acda4247885f0a5555d0048850ae3c5f97183df289aaecde9"),
    ),
    _card(
        "base-plus",
        "Follows what you click on through the whole clip; surer than Small among things that look alike.",
        "b7320756a13354e7530a63935656d35b2f91a290",
        (323_476_296, "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780"),
        (5705, "8e24a93b6a40d4dad86eaec383ce7b4044f37ec6360136460f5ff2ce55f87390"),
    ),
    _card(
        "large",
        "Follows what you click on through the whole clip; the surest of its family, for a GPU.",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        (897_897_416, "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230"),
        (5705, "00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3"),
    ),
)
