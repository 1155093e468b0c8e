"""Image sequence with a table of frame times, in a zip archive or a folder."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
from av.codec.context import CodecContext

from pipeline.arrays import DeviceImage, Pixels
from pipeline.files import write_errors
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.writing.archive import TIMES_TABLE, Archive, FolderArchive, ZipArchive
from pipeline.video.writing.encoder_frames import FrameConverter, bit_depth, mean_alpha, to_host
from pipeline.video.writing.timing import StreamSpec, Timeline
from pipeline.video.writing.verify import Content, decode_image, verify_content

_HEAD = ("picture", "seconds", "lasts")
_TICK = Fraction(1, 10**6)
_THREADS = 4


class ImageSequenceWriter:
    """Writer of each frame as an image, into a zip if `path` has its suffix, else into a folder.

    A context manager like `Writer`: an existing result stays until the new one is complete and verified.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: StreamSpec,
        *,
        alpha: bool = False,
        high_bit_depth: bool = False,
        quality: Quality = "high",
    ) -> None:
        self.path = path
        self.notes: tuple[Message, ...] = ()
        self._form = form
        self._pixels = form.choose_pixel_format(alpha=alpha, high_bit_depth=high_bit_depth)
        self._timeline = Timeline(shape)
        self._alpha = alpha
        self._mean_alpha: float | None = None
        self._convert = FrameConverter(self._pixels)
        self._encoder = cast(Any, CodecContext.create(form.codec, "w"))
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = (
            shape.width,
            shape.height,
            self._pixels,
        )
        self._encoder.time_base = shape.time_base
        self._encoder.options = dict(form.codec_options(quality))
        self._encoder.thread_type, self._encoder.thread_count = "FRAME", _THREADS
        self._written = 0
        self._archive: Archive = (ZipArchive if path.suffix.lower() == form.suffix else FolderArchive)(path)

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 3]` RGB or `[H, W, 4]` RGBA (straight alpha) at `pts` ticks."""
        image = to_host(image)
        if self._alpha and not len(self._timeline):
            self._mean_alpha = mean_alpha(image)
        frame = self._convert(image)
        frame.pts, frame.time_base = self._timeline.add(pts), self._timeline.tick
        self._encode(frame)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        with write_errors(self.path.name):
            for packet in self._encoder.encode(frame):
                self._archive.add(_name(self._written), memoryview(packet))
                self._written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._encode(None)
                with write_errors(self.path.name):
                    self._archive.add(TIMES_TABLE, _format_table(self._timeline).encode("ascii"))
                    self._archive.close()
                    if len(self._timeline):
                        verify_content(self.path.name, self._expected_content(), _read_content(self._archive))
                    self._archive.commit()
        finally:
            self._archive.discard()

    def _expected_content(self) -> Content:
        return Content(
            codec=self._form.codec,
            size=(self._encoder.width, self._encoder.height),
            depth=bit_depth(self._pixels),
            times=self._timeline.start_times,
            duration=self._timeline.end,
            mean_alpha=self._mean_alpha,
        )


def _name(number: int) -> str:
    return f"{number:06}.png"


def _format_table(timeline: Timeline) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    times = [*timeline.start_times, timeline.end] if len(timeline) else []
    for number, (begin, end) in enumerate(pairwise(times)):
        table.writerow((_name(number), f"{float(begin):.6f}", f"{float(end - begin):.6f}"))
    return text.getvalue()


def _read_content(archive: Archive) -> Content:
    """Read back a sequence; only its first image is decoded."""
    rows = list(csv.DictReader(io.StringIO(archive.read(TIMES_TABLE).decode("ascii"))))
    there = set(archive.names())
    listed = [row for row in rows if row["picture"] in there]
    image = decode_image(archive.read(_name(0)))
    alpha = image.ndim == 3 and image.shape[2] == 4
    return Content(
        codec="png",
        size=(image.shape[1], image.shape[0]),
        depth=8 * image.itemsize,
        times=[Fraction(row["seconds"]) for row in listed],
        duration=sum((Fraction(rows[-1][key]) for key in ("seconds", "lasts")), Fraction(0)),
        mean_alpha=mean_alpha(image) if alpha else None,
        tick=_TICK,
    )
