"""Evaluation of a network on the held-out photographs and scenes."""

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
from training import prompt_simulation
from training.photos import Photo, Photos

_SIDE = 256
"""Pixels of the long side."""

EDGES = "off at edges"
"""Name of the only score that is better if lower."""

_BAND = 4
"""Pixels beside an edge of an alpha that belong to its band."""

_KINDS = {"ecssd": "things", "ccp": "people", "cat": "cats"}


def evaluate(network: Recorte, photos: Photos, device: torch.device, most: int = 40) -> dict[str, float]:
    """Return the scores by name: mean intersection over union, and one error of edges.

    For each kind without a prompt, with a box, and after one and three clicks; for the scenes, propagated
    from a box on the first of `most` frames. `EDGES` is the mean absolute error of alpha, 0 to 1, in the band
    of edges of keyed photographs, from a box.
    """
    network.eval()
    scores: dict[str, float] = {}
    with torch.inference_mode(), devices.autocast(device):
        for kind, label in _KINDS.items():
            rows = [
                _evaluate_prompts(EmbeddedPhoto(network, photos.read(name, hard=True), device))
                for name in photos.names[kind]
            ]
            for prompt in rows[0] if rows else ():
                scores[f"{label}, {prompt}"] = float(np.mean([row[prompt] for row in rows]))
        scenes = [
            [photos.read(name, hard=True) for name in names[:most]]
            for names in photos.scenes["davis"].values()
        ]
        if scenes:
            scores["carried"] = float(
                np.mean([_evaluate_propagation(network, scene, device) for scene in scenes])
            )
        keyed = [photos.read(name) for name in photos.names["dancer"][::4]]
        if keyed:
            scores[EDGES] = float(
                np.mean([_edge_error(EmbeddedPhoto(network, photo, device)) for photo in keyed])
            )
    return scores


def overall_score(scores: dict[str, float]) -> float:
    """Return the score that checkpoints are chosen by: the mean over prompt types of the mean over kinds."""
    groups: dict[str, list[float]] = {}
    for name, value in scores.items():
        groups.setdefault(name.rpartition(", ")[2], []).append(1 - value if name == EDGES else value)
    return float(np.mean([np.mean(values) for values in groups.values()]))


def iou(predicted: Mask, truth: Mask) -> float:
    """Return the intersection over union; 1 if both are empty."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


class EmbeddedPhoto:
    """A photograph with the network's features of it, scaled to `_SIDE`."""

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

    def maps(self, box: Box | None = None, mask: Floats | None = None) -> Floats:
        """Return prompt maps of its size, `[3, H, W]`, 0 to 1."""
        height, width = self.truth.shape
        return prompt_maps.draw(height, width, box=box, mask=mask)

    def predict(self, maps: Floats, memory: Memory | None = None) -> Floats:
        """Return the matte for prompt maps, `[H, W]` float32, 0 to 1."""
        features = self._features
        recalled = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            recalled = self._network.compare(features, memory).to(recalled.dtype)
        prompts = torch.from_numpy(maps)[None].to(self._device)
        logits, _ = self._network.decode(features, prompts, recalled)
        return as_floats(logits[0, 0].float().sigmoid().cpu().numpy())

    def memorise(self, matte: Floats) -> Memory:
        """Return the memory of the photograph with a matte, `[H, W]`, 0 to 1."""
        return self._network.memorise(self._features, torch.from_numpy(matte)[None, None].to(self._device))

    def box(self) -> Box:
        """Return the tight box around the subject."""
        x, y, width, height = cv2.boundingRect(self.truth.astype(np.uint8))
        return Box(x, y, x + width, y + height)


def _evaluate_prompts(photo: EmbeddedPhoto) -> dict[str, float]:
    """Return the overlaps without a prompt, with a box, and after the first and third corrective click."""

    def score(maps: Floats) -> float:
        return iou(photo.predict(maps) > 0.5, photo.truth)

    scores = {"automatic": score(photo.maps()), "box": score(photo.maps(photo.box()))}
    maps = photo.maps()
    for label in ("click", "", "clicks"):
        point = prompt_simulation.correction_click(maps[prompt_maps.SO_FAR] > 0.5, photo.truth)
        if point:
            prompt_maps.add_point(maps, point)
        maps[prompt_maps.SO_FAR] = photo.predict(maps)
        if label:
            scores[label] = iou(maps[prompt_maps.SO_FAR] > 0.5, photo.truth)
    return scores


def _edge_error(photo: EmbeddedPhoto) -> float:
    """Return the mean absolute error of alpha in the band of its edges, predicted from a tight box."""
    predicted = photo.predict(photo.maps(photo.box()))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _BAND + 1,) * 2)
    band = cv2.dilate(photo.alpha, disc) - cv2.erode(photo.alpha, disc) > 0.1
    return float(np.abs(predicted - photo.alpha)[band].mean()) if band.any() else 0.0


def _evaluate_propagation(network: Recorte, scene: list[Photo], device: torch.device) -> float:
    """Return the mean overlap on a scene's frames, propagated from a box on the first."""
    previous = EmbeddedPhoto(network, scene[0], device)
    matte = previous.predict(previous.maps(previous.box()))
    memory = previous.memorise(matte)
    scores = [iou(matte > 0.5, previous.truth)]
    for photo in scene[1:]:
        current = EmbeddedPhoto(network, photo, device)
        flow = optical_flow.flow(current.grey, previous.grey)
        matte = current.predict(current.maps(mask=as_floats(optical_flow.warp(matte, flow))), memory)
        scores.append(iou(matte > 0.5, current.truth))
        previous = current
    return float(np.mean(scores))
