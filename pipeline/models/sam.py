"""SAM: segments by a few clicks or a box on one frame, tracked through the others.

The network is that of Kirillov and others, "Segment Anything" (ICCV 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.arrays import Image
from pipeline.models.base import Candidate, Card, Prediction, PromptedFrame
from pipeline.models.embeddings import Embeddings
from pipeline.models.mask_tracker import MaskTracker
from pipeline.models.segmenter import FrameView, Segmenter, initial_masks
from pipeline.prompts import Prompt
from pipeline.stream_state import State
from pipeline.weights.spec import File, Weights


class Sam:
    """The model. Its cache depends on frames alone; each stream has its own state."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._embed = Embeddings(segmenter.embed)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        tracker = MaskTracker() if state is None else MaskTracker.from_state(state, self._view)
        for image, prompt in frames:
            yield tracker(self._view(image), prompt)._replace(state=tracker.state)

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """Return three masks for a single click, in the network's order; one for other marks."""
        view = self._view(frame.image)
        masks = initial_masks(view, frame.prompt or Prompt())
        return [Candidate(view.matte(mask.logits), mask.score) for mask in masks]

    def _view(self, image: Image) -> FrameView:
        return FrameView(image, self._segmenter, self._embed)


def _load(name: str, device: str, files: list[Path]) -> Sam:
    from pipeline.networks import sam

    return Sam(sam.load(name, device, files[0]))


def _card(size: str, purpose: str, file: str, bytes: int, sha256: str) -> Card:
    return Card(
        key=f"sam-vit-{size}",
        label=f"SAM ViT-{size.upper()}",
        purpose=purpose,
        points=True,
        box=True,
        automatic=False,
        candidates=True,
        slow_encoder=True,
        preview_frames=6,
        licence="Apache-2.0",
        licence_url="https://github.com/facebookresearch/segment-anything/blob/main/LICENSE",
        load=partial(_load, f"vit_{size}"),
        weights=Weights(
            (File(file, f"https://dl.fbaipublicfiles.com/segment_anything/{file}", bytes, sha256),)
        ),
    )


CARDS = (
    _card(
        "b",
        "Cuts out anything by a click or a box; the smallest and fastest of its family.",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _card(
        "l",
        "Surer of what a mark means than ViT-B, and several times slower.",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _card(
        "h",
        "The surest of its family, and by far the slowest: for a GPU.",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
)
