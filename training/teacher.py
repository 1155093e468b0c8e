"""Soft mattes from a trained IS-Net, as targets: python -m training.teacher DATA ISNET.onnx [--clips FOLDER]

Each photograph of DATA with a hard mask and no alpha is given one, alphas/KIND_NAME.png: the mask where it is
certain, and near its edge what the teacher found, where that agrees with the mask around. Of each video of
FOLDER frames are put into DATA as photos/clip_NAME_NUMBER.jpg, with what the teacher found as their alpha.
What is there already is left alone, so the command can be stopped and given again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from pipeline import devices
from pipeline.arrays import Floats, Image, Mask, Matte, as_floats
from pipeline.errors import RecorteError, WeightsError
from pipeline.networks.isnet import Isnet
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip

_SIDE = 640
"""Pixels of the teacher's grid for photographs of 400 pixels and fewer; it was trained at 1024."""

_CLIP_SIDE = 768
_FRAMES, _APART = 24, 0.4
"""Of a video so many frames at most, and so many seconds at most between two."""
_LONG_SIDE = 384

_DOUBT = 0.06
"""The share of what the teacher finds in a frame of a video in doubt, at most; else it is left out."""

_BAND = 0.02
"""The breadth of the band beside a mask's edge that is not certain, as a share of the subject's size."""

_AGREED = 0.15
"""Largest mean difference between teacher and mask beside the band with which it is asked inside the band."""


def load(path: Path) -> Isnet:
    """IS-Net with the weights of an ONNX file whose normalisations are folded into its convolutions.

    Raises WeightsError for another file.
    """
    try:
        graph = onnx.load(path).graph
        values = {tensor.name: tensor for tensor in graph.initializer}
        values |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
        casts = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Cast"}
        found = {
            node.name: [numpy_helper.to_array(values[casts.get(name, name)]) for name in node.input[1:3]]
            for node in graph.node
            if node.op_type == "Conv"
        }
        network = Isnet()
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                weight, bias = found[f"/{name.replace('.', '/')}/Conv"]
                module.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
            elif hasattr(module, "bn_s1"):
                module.bn_s1 = nn.Identity()
    except Exception as error:  # a file that is no ONNX fails wherever its reader stumbles
        raise WeightsError(
            f"{path.name} is no IS-Net with folded normalisations. Name its ONNX file."
        ) from error
    return network.eval().to(memory_format=torch.channels_last)


def matte(network: nn.Module, picture: Image, side: int, device: torch.device) -> Matte:
    """The alpha of a picture (`[H, W, 3]`, RGB), found on a grid of `side` pixels both ways."""
    grid = torch.tensor(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1)[None].float()
    grid = functional.interpolate(grid, (side, side), mode="bilinear", antialias=True) / 255 - 0.5
    with torch.inference_mode(), devices.autocast(device):
        logits = network(grid.contiguous(memory_format=torch.channels_last))
    found = logits[0, 0].float().sigmoid().cpu().numpy()
    height, width = picture.shape[:2]
    return np.asarray(
        np.rint(255 * cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA)), np.uint8
    )


def doubt(found: Matte) -> float:
    """The share of a matte that is broadly neither inside nor outside, 0 to 1; 1 where there is nothing.

    A soft edge is no doubt: what counts is wider than that.
    """
    inside = np.count_nonzero(found > 25)
    between = ((found > 25) & (found < 230)).astype(np.uint8)
    size = max(3, round(0.012 * max(found.shape)))
    wide = cv2.morphologyEx(between, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    return np.count_nonzero(wide) / inside if inside else 1.0


def softened(mask: Matte, found: Matte) -> Matte:
    """The mask, and beside its edge what the teacher found where that agrees with the mask around."""
    inside = mask > 127
    size = float(np.count_nonzero(inside)) ** 0.5
    band = max(2.0, _BAND * size)
    away = _distance(inside)
    uncertain = away <= band
    truth, taught = as_floats(inside), as_floats(found / 255)
    near = (int(6 * band) | 1,) * 2
    certain = as_floats(~uncertain)
    apart = cv2.blur(np.abs(truth - taught) * certain, near) / (cv2.blur(certain, near) + 1e-3)
    trusted = uncertain & (apart < _AGREED)
    return np.asarray(np.rint(255 * np.where(trusted, taught, truth)), np.uint8)


def _distance(inside: Mask) -> Floats:
    """The distance of each pixel to the mask's edge, in pixels."""
    within, beside = (cv2.distanceTransform(p.astype(np.uint8), cv2.DIST_L2, 3) for p in (inside, ~inside))
    return as_floats(np.maximum(within, beside))


def teach_photos(network: nn.Module, data: Path, kinds: Sequence[str], device: torch.device) -> None:
    """Give each photograph of these kinds that has a mask and no alpha one."""
    for kind in kinds:
        for path in sorted(data.glob(f"masks/{kind}_*.png")):
            target = data / "alphas" / path.name
            if target.exists():
                continue
            picture = cv2.imread(str(data / "photos" / f"{path.stem}.jpg"), cv2.IMREAD_COLOR)
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is not None and mask is not None:
                found = matte(network, np.asarray(picture[..., ::-1], np.uint8), _SIDE, device)
                _write(target, softened(np.asarray(mask, np.uint8), found))


def teach_clip(network: nn.Module, path: Path, data: Path, device: torch.device) -> None:
    """Put frames of a video into `data`, with the teacher's mattes."""
    clip = probe_clip(path)
    apart = min(_APART, clip.duration / _FRAMES)
    name, due, number = path.stem.replace("_", "-"), 0.0, 0
    for frame in read_frames(path):
        if frame.pts * clip.time_base < due or number == _FRAMES:
            continue
        due, number = float(frame.pts * clip.time_base) + apart, number + 1
        target = data / "alphas" / f"clip_{name}_{number:03}.png"
        if target.exists():
            continue
        found = matte(network, frame.image, _CLIP_SIDE, device)
        if doubt(found) > _DOUBT:
            continue
        height, width = frame.image.shape[:2]
        scale = _LONG_SIDE / max(height, width)
        size = round(width * scale), round(height * scale)
        small, alpha = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (frame.image, found)
        )
        _write(data / "photos" / f"{target.stem}.jpg", np.asarray(small[..., ::-1], np.uint8))
        _write(target, np.asarray(alpha, np.uint8))


def _write(path: Path, bgr: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), bgr)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--clips", type=Path, help="a folder with videos")
    parser.add_argument("--kinds", default="ccp,ecssd,cat,horse,cow", help="of the photographs")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(argv)
    try:
        device = devices.pick(options.device)
        network = load(options.weights).to(device)
        for path in sorted(options.clips.glob("*.m[pk][4v]")) if options.clips else ():
            teach_clip(network, path, options.data, device)
        teach_photos(network, options.data, options.kinds.split(","), device)
    except RecorteError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
