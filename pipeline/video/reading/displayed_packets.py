"""Packets that bring no picture of their own to the screen: hidden frames, second fields, empty ones."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.video.reading import mpeg4
from pipeline.video.reading.source import Source, codec_name, time_base


class DisplayedPackets:
    """Tells of a stream's packets, in their order, whether each brings a picture."""

    def __init__(self, source: Source) -> None:
        self._codec = codec_name(source.stream)
        # FFmpeg's parser gives the time that one field takes to each of two packets. Where another
        # container says how long a packet lasts, that tells nothing of fields.
        rate = source.stream.codec_context.framerate
        parsed = self._codec == "h264" and source.parsed
        self._field = round(1 / rate / time_base(source.stream) / 2) if parsed and rate else None
        self._half = False
        """Whether the picture before waits for its other field."""
        self._due: int | None = None
        """When that field comes, where the picture before has a time."""
        self._mpeg4 = mpeg4.VopCounter(source.stream.codec_context.extradata)
        self.packed = False
        """True if a packet brought two pictures, as from DivX: the container's times then say nothing."""
        self._owed = 0
        """Pictures that came in a packet beside another, which an empty one is to follow for each."""

    def is_displayed(self, packet: Packet[VideoStream], pts: int | None) -> bool:
        match self._codec:
            case "vp8":
                return bool(memoryview(packet)[0] & 0x10)  # show_frame: RFC 6386, 9.1
            case "vp9":
                return _is_displayed_vp9(memoryview(packet))
            case "mpeg4":
                return self._is_displayed_mpeg4(memoryview(packet))
            case "h264" if self._field is not None:
                return self._is_first_field(pts, packet.duration or 0)
        return True

    def _is_displayed_mpeg4(self, data: memoryview) -> bool:
        """Return True if an MPEG-4 packet brings a picture, or makes room for one that came before."""
        found = self._mpeg4.count(bytes(data))
        self.packed |= found > 1
        brings = found + self._owed > 0
        self._owed = max(0, self._owed + found - 1)
        return brings

    def _is_first_field(self, pts: int | None, duration: int) -> bool:
        field = self._field is not None and abs(duration - self._field) <= 1
        timely = pts is None or self._due is None or abs(pts - self._due) <= 1
        second = field and self._half and timely
        self._half = field and not second
        self._due = None if pts is None else pts + duration
        return not second


def _is_displayed_vp9(data: memoryview) -> bool:
    """Whether the frame is shown: VP9 Bitstream & Decoding Process Specification, 6.2."""
    if data[-1] & 0xE0 == 0xC0:  # a superframe (Annex B) has a shown frame behind its hidden ones
        return True
    # frame_marker (2 bits), profile (2), in profile 3 a reserved bit, show_existing_frame, frame_type,
    # show_frame
    bits = data[0] << 1 if data[0] & 0x30 == 0x30 else data[0]
    return bool(bits & 0x08 or bits & 0x02)
