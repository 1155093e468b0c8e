"""Prevailing frame size of a stream; keyframes are decoded only where the size may change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline.video.reading.source import DAMAGED, Source, codec_name

_Size = tuple[int, int]

# NAL unit type of the sequence parameter set (ITU-T H.264, 7.4.1; H.265, 7.4.2.2).
_SET_TYPES = {"h264": 7, "hevc": 33}
_START_CODE = re.compile(rb"\x00\x00\x01")


class FrameSizes:
    """Record of a stream's frame sizes and how long each lasts."""

    def __init__(self, source: Source) -> None:
        context = source.stream.codec_context
        self._stream = source.stream
        self._codec = codec_name(source.stream)
        self._size: _Size = (context.width, context.height)
        self._times: Counter[_Size] = Counter({self._size: 0})
        """Ticks that each size lasted, by decoding times, which may restart within the file."""
        self._before: int | None = None
        self._last_header: bytes | None = None

    def add(self, packet: Packet[VideoStream], time: int | None) -> None:
        """Record a packet and its decoding time in ticks; only keyframes can change the size."""
        if time is not None:
            if self._before is not None and time > self._before:
                self._times[self._size] += time - self._before
            self._before = time
        if not packet.is_keyframe:
            return
        header = self._size_header(packet)
        if not header or header == self._last_header:
            return
        if self._last_header is not None:
            size = self._decode_size(packet)
            if size is not None:
                self._size = size
        self._last_header = header

    def most_common(self) -> _Size:
        """Return the (width, height) that lasted longest; the first of equals."""
        return self._times.most_common(1)[0][0]

    def _size_header(self, packet: Packet[VideoStream]) -> bytes:
        """Return the bytes of a keyframe that hold its size; empty if there are none."""
        if packet.has_sidedata("new_extradata"):
            return bytes(packet.get_sidedata("new_extradata"))
        match self._codec:
            case "vp8":  # two fields of 14 bits behind the start code: RFC 6386, 9.1
                return bytes(memoryview(packet)[6:10])
            case "vp9":
                return _vp9_size_header(bytes(memoryview(packet)[:24]))
            case "h264" | "hevc":
                return b"".join(
                    _parameter_sets(bytes(packet), self._codec, self._stream.codec_context.extradata)
                )
            case "av1":
                return _av1_sequence_header(bytes(memoryview(packet)[:256]))
            case "mpeg2video":
                data = bytes(memoryview(packet)[:256])
                at = data.find(b"\0\0\1\xb3")
                return data[at : at + 8] if at >= 0 else b""
            case "mjpeg":
                data = bytes(packet)
                frame = re.search(rb"\xff[\xc0-\xc2].{3}(.{4})", data, re.DOTALL)
                return frame[1] if frame else b""
        return b""

    def _decode_size(self, packet: Packet[VideoStream]) -> _Size | None:
        """Decode a keyframe and return its size; None if it cannot be decoded."""
        context = self._stream.codec_context
        decoder = CodecContext.create(context.codec.name, "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata, decoder.options = context.extradata, dict(context.options)
        decoder.thread_count = 1
        with suppress(*DAMAGED):
            frames = [*decoder.decode(packet), *decoder.decode(None)]
            if frames:
                return frames[0].width, frames[0].height
        return None


def _parameter_sets(data: bytes, codec: str, extradata: bytes | None) -> Iterator[bytes]:
    """Yield the sequence parameter sets in a packet of H.264 or HEVC."""
    for unit in _nal_units(data, extradata):
        kind = unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F
        if kind == _SET_TYPES[codec]:
            yield unit


def _nal_units(data: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """Yield the NAL units of a packet: length-prefixed (avcC, hvcC) or with start codes (Annex B)."""
    if extradata and extradata[0] == 1:
        at = 0
        while at + 4 < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            if length:
                yield data[at + 4 : at + 4 + length]
            at += 4 + length
        return
    starts = [match.end() for match in _START_CODE.finditer(data)]
    for begin, after in pairwise([*starts, len(data) + 3]):
        unit = data[begin : after - 3].rstrip(b"\0")
        if unit:
            yield unit


def _vp9_size_header(data: bytes) -> bytes:
    """Return profile and size of a VP9 keyframe: VP9 Bitstream & Decoding Process Specification, 6.2."""
    bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
    profile = int(bits[2]) + 2 * int(bits[3])
    at = 4 + (profile == 3)
    if bits[at : at + 2] != "00":  # shows an old frame, or is no keyframe
        return b""
    at += 4 + 24  # show_existing_frame, frame_type, show_frame, error_resilient_mode; frame_sync_code
    at += profile >= 2  # ten_or_twelve_bit
    rgb = bits[at : at + 3] == "111"
    at += 3 + (not rgb)  # color_space, color_range
    if profile in (1, 3):
        at += 1 if rgb else 3
    return f"{profile} {bits[at : at + 32]}".encode()


def _av1_sequence_header(data: bytes) -> bytes:
    """Return the sequence header of an AV1 keyframe: AV1 Bitstream & Decoding Process Specification, 5.3."""
    at = 0
    while at + 1 < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        if not sized:
            return b""
        length = shift = 0
        while at < len(data):
            length |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 0x80:
                break
        if kind == 1:  # OBU_SEQUENCE_HEADER
            return data[at : at + length]
        at += length
    return b""
