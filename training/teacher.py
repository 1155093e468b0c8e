"""Soft mattes from a trained IS-Net, as targets: python -m training.teacher DATA ISNET.onnx [--clips FOLDER]

Each photograph of DATA with a hard mask and no alpha gets one, alphas/KIND_NAME.png: the mask where it is
certain, and near its edge the teacher's prediction where that agrees with the mask around. Frames of each
video of FOLDER are added to DATA as photos/clip_NAME_NUMBER.jpg, with the teacher's prediction as alpha.
Existing files are kept, so the command can be stopped and repeated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from pipeline import devices
from pipeline.arrays import Floats, Image, Mask, Matte, as_floats
from pipeline.errors import RecorteError, WeightsError
from pipeline.models.isnet import load_into
from pipeline.networks.isnet import Isnet
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip

_SIDE = 640
"""Side in pixels of the teacher's input for photographs of up to 400 pixels; it was trained at 1024."""

_CLIP_SIDE = 768
_MAX_FRAMES, _MAX_INTERVAL = 24, 0.4
"""Most frames taken from a video, and most seconds between two of them."""
_LONG_SIDE = 384

_MAX_UNCERTAIN = 0.06
"""Largest uncertain share of a teacher's matte with which a video frame is used."""

_BAND = 0.02
"""Width of the uncertain band beside a mask's edge, as a share of the subject's size."""

_MAX_DISAGREEMENT = 0.15
"""Largest mean difference of teacher and mask outside the band with which the teacher is used inside it."""


def load(path: Path) -> Isnet:
    """Load IS-Net from its ONNX file or checkpoint. Raises WeightsError for any other file."""
    network = Isnet()
    try:
        load_into(network, path)
    except WeightsError as error:
        raise WeightsError("training.no_isnet", file=path.name) from error
    return network.eval().to(memory_format=torch.channels_last)


def predict_matte(network: nn.Module, picture: Image, side: int, device: torch.device) -> Matte:
    """Predict the matte of a picture (`[H, W, 3]` RGB), resized to a square of `side` pixels."""
    grid = torch.tensor(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1)[None].float()
    grid = functional.interpolate(grid, (side, side), mode="bilinear", antialias=True) / 255 - 0.5
    with torch.inference_mode(), devices.autocast(device):
        logits = network(grid.contiguous(memory_format=torch.channels_last))
    alpha = logits[0, 0].float().sigmoid().cpu().numpy()
    height, width = picture.shape[:2]
    return np.asarray(
        np.rint(255 * cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)), np.uint8
    )


def uncertain_share(matte: Matte) -> float:
    """Return the share of a matte that is neither inside nor outside, 0 to 1; 1 for an empty matte.

    Only areas wider than a soft edge count.
    """
    inside = np.count_nonzero(matte > 25)
    between = ((matte > 25) & (matte < 230)).astype(np.uint8)
    size = max(3, round(0.012 * max(matte.shape)))
    broad = cv2.morphologyEx(between, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    return np.count_nonzero(broad) / inside if inside else 1.0


def soften_mask(mask: Matte, matte: Matte) -> Matte:
    """Return the mask, with the teacher's matte beside its edge where both agree around it.

    `mask` and `matte` are `[H, W]` uint8.
    """
    inside = mask > 127
    size = float(np.count_nonzero(inside)) ** 0.5
    band = max(2.0, _BAND * size)
    distance = _distance_to_edge(inside)
    uncertain = distance <= band
    truth, predicted = as_floats(inside), as_floats(matte / 255)
    neighbourhood = (int(6 * band) | 1,) * 2
    certain = as_floats(~uncertain)
    disagreement = cv2.blur(np.abs(truth - predicted) * certain, neighbourhood) / (
        cv2.blur(certain, neighbourhood) + 1e-3
    )
    trusted = uncertain & (disagreement < _MAX_DISAGREEMENT)
    return np.asarray(np.rint(255 * np.where(trusted, predicted, truth)), np.uint8)


def _distance_to_edge(inside: Mask) -> Floats:
    """Return the distance of each pixel to the mask's edge, in pixels."""
    within, beside = (cv2.distanceTransform(p.astype(np.uint8), cv2.DIST_L2, 3) for p in (inside, ~inside))
    return as_floats(np.maximum(within, beside))


def label_photos(network: nn.Module, data: Path, kinds: Sequence[str], device: torch.device) -> None:
    """Write an alpha for each photograph of these kinds that has a mask and no alpha."""
    for kind in kinds:
        for path in sorted(data.glob(f"masks/{kind}_*.png")):
            target = data / "alphas" / path.name
            if target.exists():
                continue
            picture = cv2.imread(str(data / "photos" / f"{path.stem}.jpg"), cv2.IMREAD_COLOR)
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is not None and mask is not None:
                alpha = predict_matte(network, np.asarray(picture[..., ::-1], np.uint8), _SIDE, device)
                _write(target, soften_mask(np.asarray(mask, np.uint8), alpha))


def label_clip(network: nn.Module, path: Path, data: Path, device: torch.device) -> None:
    """Add frames of a video to `data`, with the teacher's mattes."""
    clip = probe_clip(path)
    interval = min(_MAX_INTERVAL, clip.duration / _MAX_FRAMES)
    name, next_time, number = path.stem.replace("_", "-"), 0.0, 0
    for frame in read_frames(path):
        if frame.pts * clip.time_base < next_time or number == _MAX_FRAMES:
            continue
        next_time, number = float(frame.pts * clip.time_base) + interval, number + 1
        target = data / "alphas" / f"clip_{name}_{number:03}.png"
        if target.exists():
            continue
        matte = predict_matte(network, frame.image, _CLIP_SIDE, device)
        if uncertain_share(matte) > _MAX_UNCERTAIN:
            continue
        height, width = frame.image.shape[:2]
        scale = _LONG_SIDE / max(height, width)
        size = round(width * scale), round(height * scale)
        small, alpha = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (frame.image, matte)
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
            label_clip(network, path, options.data, device)
        label_photos(network, options.data, options.kinds.split(","), device)
    except RecorteError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
