"""Figures of a network on the photographs and scenes that were held out of its training."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from pipeline import devices
from pipeline.arrays import Floats, Mask, as_floats
from pipeline.imaging import optical_flow
from pipeline.models import prompt_maps
from pipeline.networks.recorte import STRIDE, Memory, Recorte
from pipeline.prompts import Box
from training import marks
from training.photos import Photo, Photos

_SIDE = 256
"""Pixels of the long side."""

EDGES = "off at edges"
"""The figure that is the lower the better."""

_BAND = 4
"""Pixels beside an edge of an alpha that belong to its band."""

_KINDS = {"ecssd": "things", "ccp": "people", "cat": "cats"}


def figures(network: Recorte, photos: Photos, device: torch.device, most: int = 40) -> dict[str, float]:
    """Mean intersection over union: for each kind without a mark, with a box, and after one and three
    clicks; for the scenes, carried from a box on the first of `most` frames; and how far off the alpha is in
    the band of edges of what was keyed, from a box: the mean absolute error, 0 to 1."""
    network.eval()
    found: dict[str, float] = {}
    with torch.inference_mode(), devices.autocast(device):
        for kind, label in _KINDS.items():
            rows = [
                _asked(Look(network, photos.read(name, hard=True), device)) for name in photos.names[kind]
            ]
            for what in rows[0] if rows else ():
                found[f"{label}, {what}"] = float(np.mean([row[what] for row in rows]))
        scenes = [
            [photos.read(name, hard=True) for name in names[:most]]
            for names in photos.scenes["davis"].values()
        ]
        if scenes:
            found["carried"] = float(np.mean([_carried(network, scene, device) for scene in scenes]))
        keyed = [photos.read(name) for name in photos.names["dancer"][::4]]
        if keyed:
            found[EDGES] = float(np.mean([_off_at_edges(Look(network, photo, device)) for photo in keyed]))
    return found


def overall(found: dict[str, float]) -> float:
    """The one figure that checkpoints are chosen by: the mean over what is asked, of that over the kinds."""
    groups: dict[str, list[float]] = {}
    for name, value in found.items():
        groups.setdefault(name.rpartition(", ")[2], []).append(1 - value if name == EDGES else value)
    return float(np.mean([np.mean(values) for values in groups.values()]))


def overlap(found: Mask, truth: Mask) -> float:
    either = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / either if either else 1.0


class Look:
    """A photograph as the network is given it."""

    def __init__(self, network: Recorte, photo: Photo, device: torch.device) -> None:
        scale = _SIDE / max(photo.alpha.shape)
        height, width = (max(1, round(side * scale / STRIDE)) * STRIDE for side in photo.alpha.shape)
        small, alpha = (cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in photo)
        self.grey = optical_flow.grey(np.asarray(small, np.uint8))
        self.alpha = as_floats(np.asarray(alpha) / 255)
        self.truth: Mask = np.asarray(alpha) > 127
        self._network, self._device = network, device
        tensor = torch.from_numpy(small).to(device).permute(2, 0, 1)[None].float() / 255
        self._features = network.embed(tensor.contiguous(memory_format=torch.channels_last))

    def planes(self, box: Box | None = None, mask: Floats | None = None) -> Floats:
        """Planes of marks on its grid."""
        height, width = self.truth.shape
        return prompt_maps.drawn(height, width, box=box, mask=mask)

    def answer(self, given: Floats, memory: Memory | None = None) -> Floats:
        """The matte for planes of marks, `[H, W]`, 0 to 1."""
        features = self._features
        seen = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            seen = self._network.compare(features, memory).to(seen.dtype)
        told = torch.from_numpy(given)[None].to(self._device)
        logits, _ = self._network.decode(features, told, seen)
        return as_floats(logits[0, 0].float().sigmoid().cpu().numpy())

    def remembered(self, matte: Floats) -> Memory:
        return self._network.memorise(self._features, torch.from_numpy(matte)[None, None].to(self._device))

    def box(self) -> Box:
        """The tight one around the subject."""
        x, y, width, height = cv2.boundingRect(self.truth.astype(np.uint8))
        return Box(x, y, x + width, y + height)


def _asked(look: Look) -> dict[str, float]:
    """The overlap without a mark, with a box, and after the first and the third click on what is wrong."""

    def score(given: Floats) -> float:
        return overlap(look.answer(given) > 0.5, look.truth)

    found = {"automatic": score(look.planes()), "box": score(look.planes(look.box()))}
    given = look.planes()
    for label in ("click", "", "clicks"):
        point = marks.correction(given[prompt_maps.SO_FAR] > 0.5, look.truth)
        if point:
            prompt_maps.add(given, point)
        given[prompt_maps.SO_FAR] = look.answer(given)
        if label:
            found[label] = overlap(given[prompt_maps.SO_FAR] > 0.5, look.truth)
    return found


def _off_at_edges(look: Look) -> float:
    """The mean absolute error of the alpha in the band of its edges, from a tight box."""
    found = look.answer(look.planes(look.box()))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _BAND + 1,) * 2)
    band = cv2.dilate(look.alpha, disc) - cv2.erode(look.alpha, disc) > 0.1
    return float(np.abs(found - look.alpha)[band].mean()) if band.any() else 0.0


def _carried(network: Recorte, scene: list[Photo], device: torch.device) -> float:
    """The mean overlap on the frames of a scene that is told by a box on the first."""
    before = Look(network, scene[0], device)
    matte = before.answer(before.planes(before.box()))
    memory = before.remembered(matte)
    scores = [overlap(matte > 0.5, before.truth)]
    for photo in scene[1:]:
        look = Look(network, photo, device)
        way = optical_flow.flow(look.grey, before.grey)
        matte = look.answer(look.planes(mask=as_floats(optical_flow.warp(matte, way))), memory)
        scores.append(overlap(matte > 0.5, look.truth))
        before = look
    return float(np.mean(scores))
