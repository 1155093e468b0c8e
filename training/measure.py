"""How well a network does on what was held out: photographs and scenes that it never learnt from."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import devices, planes, propagate
from pipeline.networks.recorte import STRIDE, Memory, Recorte
from pipeline.prompts import Box
from pipeline.refine import Floats, floats
from training import marks
from training.photos import Photo, Photos

Mask = NDArray[np.bool_]

_SIDE = 320
"""Pixels of the long side."""

_KINDS = {"ecssd": "things", "ccp": "people", "cat": "cats"}


def figures(network: Recorte, photos: Photos, device: torch.device, most: int = 40) -> dict[str, float]:
    """Mean intersection over union: for each kind without a mark, with a box, and after one and three
    clicks; and for the scenes, carried from a box on the first of `most` frames."""
    network.eval()
    found: dict[str, float] = {}
    with torch.inference_mode(), devices.autocast(device):
        for kind, label in _KINDS.items():
            rows = [list(_asked(network, photos.read(name), device)) for name in photos.names[kind]]
            if rows:
                for what, value in zip(("automatic", "box", "click", "clicks"), np.mean(rows, 0), strict=True):
                    found[f"{label}, {what}"] = float(value)
        scenes = [[photos.read(name) for name in names[:most]] for names in photos.scenes.values()]
        if scenes:
            found["carried"] = float(np.mean([_carried(network, scene, device) for scene in scenes]))
    return found


def overall(found: dict[str, float]) -> float:
    """The one figure that checkpoints are chosen by: the mean of all."""
    return float(np.mean(list(found.values())))


def overlap(found: Mask, truth: Mask) -> float:
    either = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / either if either else 1.0


class Look:
    """A photograph as the network is given it."""

    def __init__(self, network: Recorte, photo: Photo, device: torch.device) -> None:
        height, width = photo.alpha.shape
        scale = _SIDE / max(height, width)
        self.size = tuple(max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width))
        small = cv2.resize(photo.picture, self.size[::-1], interpolation=cv2.INTER_AREA)
        self.grey = propagate.grey(np.asarray(small, np.uint8))
        self.truth: Mask = cv2.resize(photo.alpha, self.size[::-1], interpolation=cv2.INTER_AREA) > 127
        self._network, self._device = network, device
        tensor = torch.from_numpy(small).to(device).permute(2, 0, 1)[None].float() / 255
        self.picture = tensor.contiguous(memory_format=torch.channels_last)
        self.features = network.embed(self.picture)

    def answer(self, given: Floats, memory: Memory | None = None) -> Floats:
        """The matte for planes of marks, `[h, w]`, 0 to 1."""
        features = self.features
        seen = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            seen = self._network.look(features, memory).to(seen.dtype)
        told = torch.from_numpy(given)[None].to(self._device)
        logits, _ = self._network.decode(features, told, seen)
        return floats(logits[0, 0].float().sigmoid().cpu().numpy())

    def remembered(self, matte: Floats) -> Memory:
        return self._network.remember(self.features, torch.from_numpy(matte)[None, None].to(self._device))

    def box(self) -> Box:
        x, y, width, height = cv2.boundingRect(self.truth.astype(np.uint8))
        return Box(x, y, x + width, y + height)


def _asked(network: Recorte, photo: Photo, device: torch.device) -> Iterator[float]:
    look = Look(network, photo, device)
    yield overlap(look.answer(planes.drawn(*look.size)) > 0.5, look.truth)
    yield overlap(look.answer(planes.drawn(*look.size, box=look.box())) > 0.5, look.truth)
    given = planes.drawn(*look.size)
    for count in range(1, 4):
        point = marks.correction(given[planes.SO_FAR] > 0.5, look.truth)
        if point:
            planes.add(given, point)
        given[planes.SO_FAR] = look.answer(given)
        if count in (1, 3):
            yield overlap(given[planes.SO_FAR] > 0.5, look.truth)


def _carried(network: Recorte, scene: list[Photo], device: torch.device) -> float:
    before = Look(network, scene[0], device)
    matte = before.answer(planes.drawn(*before.size, box=before.box()))
    memory = before.remembered(matte)
    scores = [overlap(matte > 0.5, before.truth)]
    for photo in scene[1:]:
        look = Look(network, photo, device)
        way = propagate.flow(look.grey, before.grey)
        matte = look.answer(planes.drawn(*look.size, mask=floats(propagate.warp(matte, way))), memory)
        scores.append(overlap(matte > 0.5, look.truth))
        before = look
    return float(np.mean(scores))
