"""Planes to RGB and back on tensors, beside swscale's conversion."""

from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange
from numpy.typing import NDArray
from torch.utils.dlpack import from_dlpack

from pipeline.arrays import Image
from pipeline.tensors import colour, transfer
from pipeline.tensors.colour import Yuv
from pipeline.video.colour.to_rgb import RgbConverter
from pipeline.video.device.writing import DeviceFrameConverter
from pipeline.video.writing.encoder_frames import FrameConverter

CPU = torch.device("cpu")


def picture() -> Image:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = cv2.resize(small, (320, 200), interpolation=cv2.INTER_CUBIC)
    image[50:120, 40:160] = rng.integers(0, 256, (70, 120, 3))
    return np.asarray(image, np.uint8)


def planes(frame: av.VideoFrame) -> tuple[torch.Tensor, torch.Tensor]:
    luma, *chroma = (from_dlpack(plane) for plane in frame.planes)
    return luma, chroma[0].permute(2, 0, 1) if len(chroma) == 1 else torch.stack(chroma)


@pytest.mark.parametrize(("matrix", "tag"), [(1, 1), (4, 4), (5, 5), (6, 6), (7, 7), (9, 9)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("pixels", "bits", "shift"),
    [
        ("yuv420p", 8, 0),
        ("nv12", 8, 0),
        ("yuv422p", 8, 0),
        ("yuv444p", 8, 0),
        ("yuv420p10le", 10, 0),
        ("p010le", 10, 6),
        ("yuv422p10le", 10, 0),
        ("yuv444p12le", 12, 0),
    ],
)
def test_planes_become_the_rgb_of_the_host(
    matrix: int, tag: int, full: bool, pixels: str, bits: int, shift: int
) -> None:
    frame = av.VideoFrame.from_ndarray(picture(), "rgb24").reformat(format=pixels)
    frame.colorspace, frame.color_range = tag, ColorRange.JPEG if full else ColorRange.MPEG
    frame.color_trc = frame.color_primaries = 1
    coding = Yuv(matrix, full, bits, shift)
    for kind in (torch.uint8, torch.uint16):
        host = RgbConverter().to_rgb(frame, frame.width, frame.height, kind == torch.uint16)
        device = transfer.download_image(colour.to_rgb(*planes(frame), coding, kind))
        apart = np.abs(host.astype(int) - device)
        assert apart.max() <= (1 if kind == torch.uint8 else 16)
        assert apart.mean() < (0.02 if kind == torch.uint8 else 1)
        if kind == torch.uint16:  # 2^-14 but in noise, where chroma changes from end to end at each sample
            assert (apart > 4).mean() < 0.01


@pytest.mark.parametrize("pixels", ["yuv420p", "nv12", "yuv420p10le", "p010le", "yuv444p10le"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_rgb_becomes_the_planes_of_the_host(pixels: str, kind: Any) -> None:
    image = picture() if kind == np.uint8 else picture().astype(np.uint16) * np.uint16(257)
    host = FrameConverter(pixels)(image)
    device = DeviceFrameConverter(pixels)(transfer.upload_image(image, CPU))
    assert device is not None
    assert device.format.name == pixels and (device.width, device.height) == (host.width, host.height)
    for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
        assert getattr(device, name) == getattr(host, name)
    unit = 64 if pixels == "p010le" else 1
    for ours, theirs in zip(planes(device), planes(host), strict=True):
        apart = (ours.float() - theirs.float()).abs() / unit
        assert apart.max() <= 1
        assert apart.mean() < 0.3


@pytest.mark.parametrize("pixels", ["yuva420p", "yuva444p10le"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_rgba_becomes_the_planes_of_the_host(pixels: str, kind: Any) -> None:
    image = np.dstack((picture(), picture()[..., ::-1].mean(2).astype(np.uint8)))
    image[:40, :, 3], image[40:60, :, 3] = 0, 255
    image = image if kind == np.uint8 else image.astype(np.uint16) * np.uint16(257)
    host, device = FrameConverter(pixels)(image), DeviceFrameConverter(pixels)(put(image))
    assert device is not None and len(device.planes) == 4
    for ours, theirs in zip(map(from_dlpack, device.planes), map(from_dlpack, host.planes), strict=True):
        assert (ours.float() - theirs.float()).abs().max() <= (1 if pixels == "yuva420p" else 2)
    alpha = from_dlpack(device.planes[3])
    assert not alpha[:40].any() and (alpha[40:60] == (255 if pixels == "yuva420p" else 1023)).all()


def put(image: NDArray[Any]) -> torch.Tensor:
    return transfer.upload_image(image, CPU)


def test_a_converted_frame_is_not_tied_to_the_image() -> None:
    image = transfer.upload_image(picture(), CPU)
    frame = DeviceFrameConverter("yuv420p")(image)
    assert frame is not None
    before = [bytes(plane) for plane in frame.planes]
    image.zero_()
    assert [bytes(plane) for plane in frame.planes] == before


@pytest.mark.parametrize(
    "matrix", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)]
)
def test_frames_are_turned_as_on_the_host(matrix: tuple[int, int, int, int]) -> None:
    from pipeline.video.reading.source import _apply_matrix

    image = picture()
    turned = colour.turn(transfer.upload_image(image, CPU), matrix)
    assert (transfer.download_image(turned) == _apply_matrix(image, matrix)).all()
