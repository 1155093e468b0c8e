"""The tagged clips of the colour tests, converted on a device as on the host."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorPrimaries

from pipeline.devices import FrameDevice
from pipeline.video.device.reading import DeviceConverter
from pipeline.video.reading.frames import DeviceFrame, Frame, convert_frame, read_frames
from pipeline.video.reading.source import Source
from tests.pipeline.video.colour.test_colour import (
    HDR,
    MATRICES,
    PATCHES,
    TO_2020,
    TO_P3,
    decoded_curve,
    encoded_curve,
    hdr,
    patches,
)

CPU = FrameDevice(torch.device("cpu"), None)


@pytest.fixture(autouse=True)
def converts_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a frame is converted on the host and uploaded."""
    monkeypatch.delattr(DeviceConverter, "_convert_on_host")


def check_same(host: Frame, device: Frame) -> None:
    """Within a level of 8 bits, and within 2^-14 of the range in 16."""
    assert isinstance(device, DeviceFrame)
    assert np.abs(host.image.astype(int) - device.image).max() <= 1
    assert (host.image16 is None) == (device.image16 is None)
    if host.image16 is not None and device.image16 is not None:
        assert np.abs(host.image16.astype(int) - device.image16).max() <= 4


def check_clip(path: Path) -> None:
    for deep in (False, True):
        (host,) = read_frames(path, high_bit_depth=deep)
        (device,) = read_frames(path, high_bit_depth=deep, device=CPU)
        check_same(host, device)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
def test_sdr(tmp_path: Path, matrix: str, full: bool) -> None:
    check_clip(patches(tmp_path / "patches.mkv", PATCHES / 255, "yuv420p10le", matrix, full))


@pytest.mark.parametrize(
    ("primaries", "matrix"), [(ColorPrimaries.BT2020, TO_2020), (ColorPrimaries.SMPTE432, TO_P3)]
)
def test_wide_gamut(tmp_path: Path, primaries: int, matrix: np.ndarray) -> None:
    wide = encoded_curve(decoded_curve(PATCHES / 255) @ matrix.T)
    tags = {"color_primaries": primaries, "color_trc": 1}
    check_clip(patches(tmp_path / "wide.mkv", wide, "yuv420p10le", "bt2020nc", False, **tags))


@pytest.mark.parametrize("transfer", HDR)
@pytest.mark.parametrize("full", [False, True])
def test_hdr(tmp_path: Path, transfer: str, full: bool) -> None:
    ramp = np.repeat(np.geomspace(0.5, 1000, 60)[:, None], 3, axis=1)
    nits = np.concatenate((decoded_curve(PATCHES / 255) * 203, ramp))
    check_clip(hdr(tmp_path / "hdr.mkv", nits, transfer, full))


@pytest.mark.parametrize("kind", ["sdr", *HDR])
def test_p010_as_cards_decode_it(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "clip.mkv"
    if kind == "sdr":
        patches(path, PATCHES / 255, "yuv420p10le", "bt709", False)
    else:
        hdr(path, decoded_curve(PATCHES / 255) * 203, kind)
    with Source(path) as source:
        frame = source.decode_first()
        assert frame is not None
        packed = av.VideoFrame(frame.width, frame.height, "p010le")
        luma, blue, red = (
            np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] << 6
            for plane in frame.planes
        )
        chroma = np.stack((blue, red), 2).reshape(len(blue), -1)
        for plane, samples in zip(packed.planes, (luma, chroma), strict=True):
            lines = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            lines[:, : samples.shape[1]] = samples
            plane.update(lines.tobytes())
        for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(packed, name, getattr(frame, name))
        for deep in (False, True):
            host = convert_frame(source, frame, 0, "rgb24", deep)
            check_same(host, DeviceConverter(source, CPU.torch, deep)(packed, 0))
