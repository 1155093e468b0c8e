"""Opening of pictures as a video: FFmpeg reads a container that holds their numbers, Pillow decodes them."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import av
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.video.pictures.matroska import Block, write_matroska
from pipeline.video.pictures.numbered import Pictures, find_pictures
from pipeline.video.pictures.still import decode_still

RATE = 25
"""Pictures a second where nothing says how many there are, as FFmpeg assumes."""

_MICROSECOND = 1000
"""Nanoseconds."""


class OpenedPictures:
    """Pictures as a container of one video stream, with the decoder of its packets."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.file: BinaryIO = io.BytesIO()
        """Matroska whose packets hold the numbers of the pictures."""
        ticks, tick = _ticks(pictures)
        blocks = (
            Block(begin, end - begin, True, number.to_bytes(4, "big"))
            for number, (begin, end) in enumerate(pairwise(ticks))
        )
        write_matroska(self.file, pictures.size, blocks, tick)
        self.file.seek(0)

    @classmethod
    def open(cls, path: Path, name: str) -> OpenedPictures | None:
        """Open the pictures at a path; None for anything else. Arguments and errors as of `find_pictures`."""
        pictures = find_pictures(path, name)
        return None if pictures is None else cls(pictures)


def _ticks(pictures: Pictures) -> tuple[list[int], int]:
    """Return the begin of each picture and the end of the last, in ticks, and a tick's nanoseconds."""
    if pictures.times is None:
        return list(range(len(pictures.names) + 1)), 10**9 // RATE
    begin = pictures.times[0][0]
    ends = [*(start for start, _ in pictures.times), sum(pictures.times[-1], Fraction(0))]
    return [round((end - begin) * 10**6) for end in ends], _MICROSECOND


class PictureDecoder:
    """Decoder of an `OpenedPictures`' packets, with the interface of FFmpeg's decoders."""

    skip_frame = "DEFAULT"
    """Not used: no picture refers to another."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self.width, self.height = pictures.size

    def decode(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        """Decode a packet's picture; raises VideoError where it is damaged or of another size."""
        if not packet.size:
            return []
        number = int.from_bytes(bytes(packet), "big")
        data, picture = self._pictures.read(number)
        with self._pictures.errors(number):
            frame = decode_still(data, picture)
        self._pictures.check_size(number, (frame.width, frame.height))
        frame.pts, frame.dts, frame.time_base, frame.duration = (
            packet.pts,
            packet.dts,
            packet.time_base,
            packet.duration or 0,
        )
        return [frame]

    def flush_buffers(self) -> None:
        """Do nothing: no picture is held back."""
