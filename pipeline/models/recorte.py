"""Recorte's own model: it comes with the application, finds a subject by itself or by marks, and carries it.

The network looks at a window around the subject. On each next frame it is given the mask before, warped by
dense flow, and compares what it sees with the frames on which it was told, or found by itself, what the
subject is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from pipeline import devices
from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import optical_flow
from pipeline.models import (
    LOW_CONFIDENCE,
    Card,
    Model,
    Prediction,
    PromptedFrame,
    Proposal,
    prompt_maps,
    window,
)
from pipeline.models.window import Window
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation.stream_state import State
from pipeline.weights import checkpoints
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    import torch

    from pipeline.networks.recorte import Features, Memory
    from pipeline.networks.recorte import Recorte as Network

_PIXELS = 288 * 288
"""Of the grid that the network sees, whatever its shape: a little more than it was trained with."""

_ROOM = 0.35
"""What is seen around a subject, as a share of its sides."""

_CLOSER = 0.7
"""A window this much smaller than the frame is worth a second look."""

_REMEMBERED = 4
"""So many frames at most: the first, and the last ones that were corrected."""

_SLACK = 0.04
"""How far a subject may stand out of the box around it, as a share of its longer side."""

_FAINT = 0.3
"""What is above this in a mask holds its parts together."""

_VEIL = 0.04
"""What is nearer to 0 or 1 than this is 0 or 1."""

_SHARED = 0.1
"""The share of a part that was there before, at least; else it is something else."""

_ALIKE = 0.5
"""How much a lost subject has to look like what is remembered, as a share of how it usually does."""

_AS_ALIKE = 0.65
"""How much a part of a mask has to look like what is remembered, as a share of how its largest part does."""

_SURE, _UNSURE = 1.0, 0.7
"""The mean of a mask's inside where it is beyond doubt, and where it is a guess: on the first picture without
the subject it is 0.87 at most, on the subject hardly ever below 0.92."""

_LOST = 0.4
"""The confidence below which the subject is not there, whatever else is."""


_SMOOTH, _FASTEST, _SLOW, _FAST = 2.0, 97, 0.3, 0.8
"""Of the mask of what moves: its softness in pixels, the percentile of all places that counts as the fastest,
and the shares of that below which a place stands still and above which it moves."""

_ELIGIBLE = 4
"""Candidates that are voted for: those of the largest weight."""

_SAME = 0.8
"""The overlap from which on two frames' candidates are the same subject beyond doubt."""

_TREMBLE = 0.2
"""Pixels by which the flow of what stands still is wrong."""


class Recorte:
    """The model; its streams share the network and nothing else."""

    def __init__(self, network: Network, device: torch.device) -> None:
        import torch

        from pipeline.networks.recorte import fused

        self._network = fused(network).to(device).to(memory_format=torch.channels_last)
        self._device = device

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        stream = _Stream(self)
        if state is not None:
            stream.restore(state, self._device)
        for frame in frames:
            yield stream.step(frame)._replace(state=stream.state)

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """Find the subject of a scene: what stands out, or what moves by itself.

        Each frame gives two candidates, and the frames vote: for a candidate by how far what is found by the
        memory of it is what the frame proposes itself, and by how sure that is and how much it moves.
        """
        looks: list[Look] = []
        candidates: list[_Candidate] = []
        for image, behind in pairs:
            look = self.look(image, window.whole(_size(image), _PIXELS))
            movement = _Movement(look.small, look.window.cut(behind))
            for mask in (look.mask(), look.mask(so_far=movement.prior())):
                sureness = _sureness(mask)
                if sureness >= _LOST:
                    weight = sureness * movement.share(mask)
                    candidates.append(_Candidate(len(looks), mask, sureness, weight))
            looks.append(look)

        def agreements(one: _Candidate) -> list[tuple[float, _Candidate]]:
            """On each other frame the candidate nearest to what the memory of `one` finds, and how near."""
            memory = [looks[one.number].remembered(one.mask)]
            found = []
            for number, look in enumerate(looks):
                own = [other for other in candidates if other.number == number != one.number]
                if own:
                    again = look.mask(alike=look.compared(memory))
                    nearest = max(own, key=lambda other: other.weight * _overlap(again, other.mask))
                    found.append((_overlap(again, nearest.mask), nearest))
            return found

        best, agreed, most = None, [], (-1.0, 0.0)
        for candidate in sorted(candidates, key=lambda one: -one.weight)[:_ELIGIBLE]:
            found = agreements(candidate)
            votes = sum(near * other.weight for near, other in found)
            score = candidate.sureness * votes, candidate.sureness
            if score > most:
                best, agreed, most = candidate, found, score
        if best is None:
            return []
        same = sorted((pair for pair in agreed if pair[0] >= _SAME), key=lambda pair: -pair[0])
        proposals = []
        for chosen in (best, *(other for _, other in same)):
            box = window.extent((255 * chosen.mask).astype(np.uint8))
            if box is not None:
                proposals.append(Proposal(chosen.number, looks[chosen.number].window.from_grid(box)))
        return proposals

    def look(self, image: Image, place: Window) -> Look:
        """What is to be seen in a window of a frame."""
        return Look(self._network, self._device, image, place)


class _Candidate(NamedTuple):
    """One answer to what the subject of a scene is."""

    number: int
    """Of the frame."""
    mask: Floats
    """On the grid of the whole frame, 0 to 1."""
    sureness: float
    weight: float
    """Weight of its vote, 0 to 1."""


class _Movement:
    """Motion between two pictures, `[H, W, 3]` uint8, other than the camera's."""

    def __init__(self, here: Image, behind: Image) -> None:
        greys = optical_flow.grey(here), optical_flow.grey(behind)
        way = optical_flow.flow(*greys)
        self._trusted = optical_flow.trusted(way, optical_flow.flow(*reversed(greys)))
        camera = optical_flow.camera(way, self._trusted, 4)
        background = optical_flow.camera_way(camera, *way.shape[:2])
        self._far = as_floats(np.linalg.norm(way - background, axis=2))
        """Length of each place's motion that the camera does not account for, in pixels."""

    def prior(self) -> Floats:
        """A mask of what moves, `[H, W]`, 0 to 1, as a network is given the mask so far."""
        far = as_floats(cv2.GaussianBlur(np.where(self._trusted, self._far, 0), (0, 0), _SMOOTH))
        share = far / max(1.0, float(np.percentile(far, _FASTEST)))
        return as_floats(((share.clip(0, 1) - _SLOW) / (_FAST - _SLOW)).clip(0, 1))

    def share(self, mask: Floats) -> float:
        """Compare the motion inside a mask with that outside: 0 to 1, 0.5 where they are the same."""
        inside, outside = (mask > 0.5) & self._trusted, (mask <= 0.5) & self._trusted
        if not inside.any() or not outside.any():
            return 0.0
        within, around = float(self._far[inside].mean()), float(self._far[outside].mean()) + _TREMBLE
        return within / (within + around)


class Look:
    """A window of a frame, ready to be asked about."""

    def __init__(self, network: Network, device: torch.device, image: Image, place: Window) -> None:
        import torch

        self.window = place
        self._network, self._device = network, device
        self.small: Image = place.cut(image)
        with torch.inference_mode(), devices.autocast(device):
            picture = torch.from_numpy(self.small).to(device).permute(2, 0, 1)[None].float() / 255
            self._features: Features = network.embed(picture.contiguous(memory_format=torch.channels_last))

    def mask(
        self,
        points: Sequence[Point] = (),
        box: Box | None = None,
        so_far: Floats | None = None,
        alike: torch.Tensor | None = None,
    ) -> Floats:
        """The matte on the window's grid, `[rows, columns]`, 0 to 1.

        Marks are in the frame's pixels; `so_far` is the mask there is, on the grid; `alike` is what
        `compared` gave.
        """
        import torch

        place = self.window
        on_grid = [place.point(point) for point in points]
        boxed = None if box is None else place.box(box)
        marks = torch.from_numpy(prompt_maps.drawn(place.rows, place.columns, on_grid, boxed, so_far))
        with torch.inference_mode(), devices.autocast(self._device):
            told = marks[None].to(self._device).contiguous(memory_format=torch.channels_last)
            seen = torch.zeros_like(self._features.sixteenth[:, :3]) if alike is None else alike
            logits, _ = self._network.decode(self._features, told, seen)
            return as_floats(logits[0, 0].float().sigmoid().cpu().numpy())

    def compared(self, memories: Sequence[Memory]) -> torch.Tensor:
        """How each place compares with what is remembered, as `networks.recorte.Recorte.look` gives it."""
        import torch

        from pipeline.networks.recorte import Memory

        memory = Memory(*(torch.cat(parts, -1) for parts in zip(*memories, strict=True)))
        with torch.inference_mode(), devices.autocast(self._device):
            return self._network.look(self._features, memory).to(self._features.sixteenth.dtype)

    def remembered(self, mask: Floats) -> Memory:
        """The window and its mask, to be compared with other frames."""
        import torch

        with torch.inference_mode(), devices.autocast(self._device):
            matte = torch.from_numpy(mask)[None, None].to(self._device)
            return self._network.remember(self._features, matte)


class _Stream:
    """One subject on its way through the frames."""

    def __init__(self, model: Recorte) -> None:
        self._model = model
        self._before: tuple[Image, Matte, Window] | None = None
        self._memories: list[Memory] = []
        """Empty: nothing has been found yet."""
        self._usual = 1.0
        """How much the subject looks like what is remembered, of late; 0 to 1."""

    def state(self) -> State:
        """All of it as plain data."""
        before = None
        if self._before is not None:
            image, matte, place = self._before
            before = {"image": image, "matte": matte, "window": list(place)}
        return {
            "before": before,
            "memories": [list(memory) for memory in self._memories],
            "usual": self._usual,
        }

    def restore(self, state: State, device: torch.device) -> None:
        """Go on where `state` was taken."""
        from pipeline.networks.recorte import Memory

        before = state["before"]
        if before is not None:
            self._before = before["image"], before["matte"], Window(*before["window"])
        self._memories = [Memory(*(part.to(device) for part in memory)) for memory in state["memories"]]
        self._usual = state["usual"]

    def step(self, frame: PromptedFrame) -> Prediction:
        image, prompt = frame
        points = prompt.points if prompt else ()
        familiar = 1.0
        if prompt and prompt.initialises and (prompt.box is not None or not self._memories):
            look, mask = self._started(image, prompt)
        elif self._memories:
            look, mask, familiar = self._carried(image, points)
        else:
            look, mask = self._proposed(image, points)
        confidence = familiar * _sureness(mask)
        if points:
            mask = _obeyed(mask, look.window, points)
        elif not prompt and (confidence < _LOST if self._memories else not confidence):
            mask = np.zeros_like(mask)
        if prompt or confidence >= LOW_CONFIDENCE:
            self._learn(look, mask, prompt)
        matte = look.window.laid(_clear(mask), image)
        self._before = image, matte, look.window
        return Prediction(matte, confidence)

    def _learn(self, look: Look, mask: Floats, prompt: Prompt | None) -> None:
        """Remember the frame that says what the subject is, and those on which it was corrected."""
        if not (mask > 0.5).any():
            return
        if not self._memories or (prompt and prompt.box is not None):
            self._memories = [look.remembered(mask)]
            self._usual = max(1e-3, _likeness(mask, look.compared(self._memories)))
        elif prompt and prompt.points:
            self._memories = [
                self._memories[0],
                *self._memories[1:][2 - _REMEMBERED :],
                look.remembered(mask),
            ]

    # On the first frame

    def _started(self, image: Image, prompt: Prompt) -> tuple[Look, Floats]:
        """What the marks mean."""
        if prompt.box is None:
            return self._proposed(image, prompt.points)
        look = self._model.look(
            image, window.around(_with(prompt.box, prompt.points), _ROOM, _size(image), _PIXELS)
        )
        mask = look.mask(prompt.points, prompt.box)
        mask = look.mask(prompt.points, prompt.box, mask)
        return look, _within(mask, look.window.box(prompt.box))

    def _proposed(self, image: Image, points: Sequence[Point]) -> tuple[Look, Floats]:
        """What the points mean, or what stands out; looked at closer where it is small."""
        look = self._model.look(image, window.whole(_size(image), _PIXELS))
        mask = look.mask(points)
        matte = look.window.laid(mask, image)
        found = window.extent(matte)
        if found is not None:
            place = window.around(_with(found, points), _ROOM, _size(image), _PIXELS)
            if place.area < _CLOSER * look.window.area:
                look = self._model.look(image, place)
            mask = look.mask(points, None, _seen(matte, look.window))
        return look, mask

    # On the others

    def _carried(self, image: Image, points: Sequence[Point]) -> tuple[Look, Floats, float]:
        """The mask before, moved on and seen anew, and how much it looks as it usually does, 0 to 1."""
        if self._before is None:
            raise RuntimeError("There is nothing to carry before the first frame.")
        picture, matte, old = self._before
        found = window.extent(matte)
        if found is None:
            return self._sought(image, points)
        place = window.follow(old, _with(found, points), _ROOM, _size(image), _PIXELS)
        look = self._model.look(image, place)
        way = optical_flow.flow(optical_flow.grey(look.small), optical_flow.grey(place.cut(picture)))
        before = as_floats(optical_flow.warp(_seen(matte, place), way))
        alike = look.compared(self._memories)
        mask = look.mask(points, None, before, alike)
        if points:
            return look, mask, 1.0
        mask = _own(mask, before, alike)
        likeness = _likeness(mask, alike)
        familiar = min(1.0, likeness / self._usual)
        if familiar > _ALIKE:
            self._usual += 0.1 * (likeness - self._usual)
        return look, mask, familiar

    def _sought(self, image: Image, points: Sequence[Point]) -> tuple[Look, Floats, float]:
        """The subject, where it comes out again: what looks like it; else nothing."""
        look = self._model.look(image, window.whole(_size(image), _PIXELS))
        alike = look.compared(self._memories)
        mask = look.mask(points, None, None, alike)
        if points:
            return look, mask, 1.0
        familiar = min(1.0, _likeness(mask, alike) / self._usual)
        return look, mask if familiar > _ALIKE else np.zeros_like(mask), familiar


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _with(found: Box, points: Sequence[Point]) -> Box:
    """The box grown so that it holds the points, too."""
    xs, ys = [found.x0, found.x1, *(p.x for p in points)], [found.y0, found.y1, *(p.y for p in points)]
    return Box(min(xs), min(ys), max(xs), max(ys))


def _seen(matte: Matte, place: Window) -> Floats:
    """A frame's matte on the grid of a window, 0 to 1."""
    return as_floats(place.cut(matte)) / np.float32(255)


def _within(mask: Floats, box: Box) -> Floats:
    """Nothing outside the box but a little."""
    slack = _SLACK * max(box.x1 - box.x0, box.y1 - box.y0)
    top, bottom, left, right = (
        max(0, int(v)) for v in (box.y0 - slack, box.y1 + slack + 1, box.x0 - slack, box.x1 + slack + 1)
    )
    kept = np.zeros_like(mask)
    kept[top:bottom, left:right] = mask[top:bottom, left:right]
    return kept


def _own(mask: Floats, before: Floats, alike: torch.Tensor) -> Floats:
    """The mask without the parts that are something else: not there before, or less like the subject.

    What a mask takes in by mistake is left behind as a part of its own when the subject moves on.
    """
    count, parts = cv2.connectedComponents((mask > _FAINT).astype(np.uint8))
    areas, common, shares = (
        np.bincount(parts.ravel(), weights.ravel(), count)
        for weights in (np.ones_like(mask), before > _FAINT, _share(alike, mask))
    )
    areas[0] = 0  # what is outside all of them
    likeness = shares / np.maximum(areas, 1)
    same = (common >= _SHARED * areas) & (likeness >= _AS_ALIKE * likeness[areas.argmax()])
    same[0] = True
    return as_floats(np.where(same[parts], mask, 0))


def _obeyed(mask: Floats, place: Window, points: Sequence[Point]) -> Floats:
    """The mask with what each point says right under it, should the network not have heard it."""
    mask = mask.copy()
    for point in points:
        there = place.point(point)
        x, y = int(there.x), int(there.y)
        y, x = min(max(y, 0), mask.shape[0] - 1), min(max(x, 0), mask.shape[1] - 1)
        if (mask[y, x] > 0.5) != point.keep:
            cv2.circle(mask, (x, y), 2 * prompt_maps.RADIUS, float(point.keep), cv2.FILLED)
    return mask


def _overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    a, b = one > 0.5, other > 0.5
    return int(np.count_nonzero(a & b)) / max(1, int(np.count_nonzero(a | b)))


def _sureness(mask: Floats) -> float:
    """How sure the network is of a mask, 0 to 1; 0 where there is none."""
    inside = mask[mask > 0.5]
    return float(np.clip((inside.mean() - _UNSURE) / (_SURE - _UNSURE), 0, 1)) if inside.size else 0.0


def _likeness(mask: Floats, alike: torch.Tensor) -> float:
    """How much what is in the mask looks like what was inside the remembered ones, 0 to 1."""
    inside = mask > 0.5
    return float(_share(alike, mask)[inside].mean()) if inside.any() else 0.0


def _share(alike: torch.Tensor, mask: Floats) -> Floats:
    """For each pixel of the mask, how much of what looks like its place was inside the remembered masks."""
    return as_floats(cv2.resize(alike[0, 0].float().cpu().numpy(), mask.shape[::-1]))


def _clear(mask: Floats) -> Floats:
    """The mask without the last hint of doubt, which would be a veil over the background."""
    return as_floats(np.clip((mask - _VEIL) / (1 - 2 * _VEIL), 0, 1))


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
