"""Conversion of frames on a device to frames in an encoder's pixel format, on the device."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import av
import torch
from av.video.frame import CudaContext
from av.video.reformatter import ColorRange, Colorspace

from pipeline import devices
from pipeline.arrays import DeviceImage
from pipeline.errors import RunError
from pipeline.tensors import colour, streams, transfer
from pipeline.tensors.colour import Yuv


class _Planes(NamedTuple):
    """Planes of a pixel format: limited-range BT.709, as `FrameConverter` makes them."""

    coding: Yuv
    side: int = 2
    """Pixels that a chroma sample stands for, across and down."""
    packed: bool = False
    """The chroma is one plane of pairs."""
    alpha: bool = False


_PLANES = {
    "yuv420p": _Planes(Yuv(1, False, 8)),
    "nv12": _Planes(Yuv(1, False, 8), packed=True),
    "yuv420p10le": _Planes(Yuv(1, False, 10)),
    "p010le": _Planes(Yuv(1, False, 10, 6), packed=True),
    "yuv444p10le": _Planes(Yuv(1, False, 10), 1),
    "yuva420p": _Planes(Yuv(1, False, 8), alpha=True),
    "yuva444p10le": _Planes(Yuv(1, False, 10), 1, alpha=True),
}

_ON_CARD = {"yuv420p": "nv12", "nv12": "nv12", "p010le": "p010le"}
"""Pixel formats in which an encoder takes frames that stay on its card, by those in which it takes others."""


def converts(pixels: str, image: DeviceImage) -> bool:
    """Return True if images on a device like this one can be converted to a pixel format."""
    return pixels in _PLANES and len(image) == (4 if _PLANES[pixels].alpha else 3)


def stays_on_card(pixels: str, device: torch.device) -> bool:
    """Return True if an encoder of the device's card could take frames from its memory."""
    return device.type == "cuda" and pixels in _ON_CARD


class DeviceFrameConverter:
    """Converter of frames on a device to frames of one pixel format, tagged as BT.709."""

    def __init__(self, pixels: str, on_card: bool = False) -> None:
        """Frames come on the host; with `on_card` in the memory of their CUDA device."""
        self._pixels = _ON_CARD[pixels] if on_card else pixels
        self._on_card = on_card
        self._context: CudaContext | None = None
        self._stream: streams.OwnStream | None = None

    def __call__(self, image: DeviceImage) -> av.VideoFrame | None:
        """Convert `[3, H, W]` RGB or, to a format with alpha, `[4, H, W]` straight RGBA; uint8 or uint16.

        Height and width are even where chroma is subsampled.

        None: the device's memory is too small, and the frame can be converted on the host instead. Raises
        RunError where it cannot, because the encoder takes frames of its card.
        """
        if self._stream is None:
            self._stream = streams.OwnStream(image.device)
        with self._stream:
            made = devices.within_memory(partial(self._convert, image))
        if made is None and self._on_card:
            raise RunError("devices.no_memory")
        return made

    def _convert(self, image: DeviceImage) -> av.VideoFrame:
        form = _PLANES[self._pixels]
        kind = torch.uint8 if form.coding.bits == 8 else torch.uint16
        with torch.inference_mode():
            luma, chroma = colour.from_rgb(image[:3], form.coding, form.side, form.side, kind)
            planes = [luma, chroma.permute(1, 2, 0).contiguous()] if form.packed else [luma, *chroma]
            if form.alpha:
                share = ((1 << form.coding.bits) - 1) / torch.iinfo(image.dtype).max
                planes.append((image[3].float() * share).round().to(kind))
        if self._on_card:
            made = self._wrap(planes)
        else:
            on_host = tuple(torch.from_numpy(transfer.download(plane)) for plane in planes)
            height, width = luma.shape
            made = av.VideoFrame.from_dlpack(on_host, format=self._pixels, width=width, height=height)
        made.colorspace, made.color_range = Colorspace.ITU709, ColorRange.MPEG
        made.color_trc = made.color_primaries = 1  # BT.709
        return made

    def _wrap(self, planes: list[torch.Tensor]) -> av.VideoFrame:
        """Wrap planes of a CUDA device as a frame that its encoder takes without a copy."""
        height, width = planes[0].shape
        device = planes[0].device
        if self._context is None:
            self._context = CudaContext(device.index or 0)
        streams.finish(device)  # the encoder does not wait for torch's work
        return av.VideoFrame.from_dlpack(
            tuple(planes),
            format=self._pixels,
            width=width,
            height=height,
            device_id=device.index or 0,
            cuda_context=self._context,
        )
