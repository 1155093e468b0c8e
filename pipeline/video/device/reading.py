"""Frames on a device: decoded there or on the host, and converted to RGB there.

What the arithmetic on devices does not know (alpha, other sizes than the coded one, rare pixel formats)
is converted on the host and uploaded.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import av
import torch
from torch.utils.dlpack import from_dlpack

from pipeline import devices
from pipeline.tensors import colour, streams, transfer
from pipeline.tensors.colour import Yuv
from pipeline.video.colour import to_rgb
from pipeline.video.colour.to_rgb import RgbConverter
from pipeline.video.colour.tonemap import ToneMap, make_table
from pipeline.video.reading.frames import DeviceFrame, Frame, convert_frame
from pipeline.video.reading.source import Source, download


class _Layout(NamedTuple):
    """Arrangement of samples in the planes of a pixel format."""

    across: int
    """Pixels that a chroma sample stands for, across and down."""
    down: int
    shift: int = 0


_LAYOUTS = {
    "nv12": _Layout(2, 2),
    "p010le": _Layout(2, 2, 6),
    **{f"yuv420p{depth}": _Layout(2, 2) for depth in ("", "10le", "12le")},
    **{f"yuv422p{depth}": _Layout(2, 1) for depth in ("", "10le", "12le")},
    **{f"yuv444p{depth}": _Layout(1, 1) for depth in ("", "10le", "12le")},
    "yuvj420p": _Layout(2, 2),
    "yuvj422p": _Layout(2, 1),
    "yuvj444p": _Layout(1, 1),
}


class DeviceConverter:
    """Converter of one video's decoded frames to frames on a device."""

    def __init__(self, source: Source, device: torch.device, high_bit_depth: bool) -> None:
        self._source = source
        self._device = device
        self._high_bit_depth = high_bit_depth
        self._converter = RgbConverter()
        """For what it finds out about the video's colours."""
        self._siting: tuple[float, float] | None = None
        self._table: tuple[ToneMap, torch.Tensor] | None = None
        """The last tone map, and its table on the device."""

    def __call__(self, frame: av.VideoFrame, pts: int) -> Frame:
        """Convert a frame of the source; it may be reused by the decoder afterwards.

        Where the device's memory is too small, the frame stays on the host.
        """
        coding = self._coding(frame)
        made = devices.within_memory(
            partial(self._upload, frame, pts)
            if coding is None
            else partial(self._convert, frame, pts, coding)
        )
        return self._convert_on_host(frame, pts) if made is None else made

    def _coding(self, frame: av.VideoFrame) -> Yuv | None:
        """Return the coding of the frame's samples; None: it is not converted on devices."""
        form = frame.sw_format or frame.format
        layout = _LAYOUTS.get(form.name)
        size = frame.width, frame.height
        if (
            layout is None
            or size != self._source.size
            or size[0] % layout.across
            or size[1] % layout.down
            or any(plane.line_size < 0 for plane in frame.planes)  # upside down in memory
        ):
            return None
        if self._siting is None:
            self._siting = to_rgb.measure_chroma_siting(frame)
        bits = max(component.bits for component in form.components)
        matrix, full = to_rgb.choose_matrix(frame), to_rgb.is_full_range(frame)
        return Yuv(matrix, full, bits, layout.shift, self._siting)

    def _convert(self, frame: av.VideoFrame, pts: int, coding: Yuv) -> DeviceFrame:
        with torch.inference_mode():
            streams.wait_for_decoder(self._device)
            planes = [transfer.move(from_dlpack(plane), self._device) for plane in frame.planes]
            chroma = planes[1].permute(2, 0, 1) if len(planes) == 2 else torch.stack(planes[1:3])
            dtype = torch.uint16 if self._high_bit_depth else torch.uint8
            if to_rgb.is_foreign(frame):
                tone_map = self._converter.choose_tonemap(frame, to_rgb.white_level(frame, coding.bits))
                signal = colour.to_signal(planes[0], chroma, coding)
                image = colour.apply_table(signal, self._load_table(tone_map), tone_map.max_input, dtype)
            else:
                image = colour.to_rgb(planes[0], chroma, coding, dtype)
            image = colour.turn(image, self._source.display_matrix(frame))
        streams.finish(self._device)  # until then, the decoder must not write into the planes
        return DeviceFrame(pts, image)

    def _load_table(self, tone_map: ToneMap) -> torch.Tensor:
        if self._table is None or self._table[0] != tone_map:
            self._table = tone_map, transfer.upload(make_table(tone_map), self._device)
        return self._table[1]

    def _upload(self, frame: av.VideoFrame, pts: int) -> DeviceFrame:
        """Convert a frame on the host, and upload it."""
        made = self._convert_on_host(frame, pts)
        image = made.image if made.image16 is None else made.image16
        return DeviceFrame(pts, transfer.upload_image(image, self._device), made.alpha)

    def _convert_on_host(self, frame: av.VideoFrame, pts: int) -> Frame:
        return convert_frame(self._source, download(frame), pts, "rgb24", self._high_bit_depth)
