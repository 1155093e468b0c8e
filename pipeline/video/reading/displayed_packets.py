"""Packets that display a frame of their own: no hidden frames, second fields or empty packets."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.video.reading import mpeg4
from pipeline.video.reading.source import Source, codec_name, time_base


class DisplayedPackets:
    """Classifier of a stream's packets, in order: does a packet display a frame?"""

    def __init__(self, source: Source) -> None:
        self._codec = codec_name(source.stream)
        # FFmpeg's parser gives each packet of a field pair the duration of one field. Durations from a
        # container are not those of fields.
        rate = source.stream.codec_context.framerate
        parsed = self._codec == "h264" and source.parsed
        self._field = round(1 / rate / time_base(source.stream) / 2) if parsed and rate else None
        self._half = False
        """True if the last displayed packet waits for its second field."""
        self._due: int | None = None
        """The pts expected for that field, if the packet before has a time."""
        self._mpeg4 = mpeg4.VopCounter(source.stream.codec_context.extradata)
        self.packed = False
        """True if a packet held two frames (DivX packed bitstream): the container's times are useless."""
        self._owed = 0
        """Number of frames packed into earlier packets, for each of which an empty packet follows."""

    def is_displayed(self, packet: Packet[VideoStream], pts: int | None) -> bool:
        """Return True if the packet displays a frame; call once for each packet in order."""
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
        """Return True if an MPEG-4 packet codes a frame, or stands for one packed into an earlier packet."""
        count = self._mpeg4.count(bytes(data))
        self.packed |= count > 1
        displayed = count + self._owed > 0
        self._owed = max(0, self._owed + count - 1)
        return displayed

    def _is_first_field(self, pts: int | None, duration: int) -> bool:
        field = self._field is not None and abs(duration - self._field) <= 1
        timely = pts is None or self._due is None or abs(pts - self._due) <= 1
        second = field and self._half and timely
        self._half = field and not second
        self._due = None if pts is None else pts + duration
        return not second


def _is_displayed_vp9(data: memoryview) -> bool:
    """Return True if the frame is shown: VP9 Bitstream & Decoding Process Specification, 6.2."""
    if data[-1] & 0xE0 == 0xC0:  # a superframe (Annex B) has a shown frame behind its hidden ones
        return True
    # frame_marker (2 bits), profile (2), in profile 3 a reserved bit, show_existing_frame, frame_type,
    # show_frame
    bits = data[0] << 1 if data[0] & 0x30 == 0x30 else data[0]
    return bool(bits & 0x08 or bits & 0x02)
