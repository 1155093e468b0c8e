"""Image sequence with a table of frame times, in a zip archive or a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from pipeline.arrays import DeviceImage, Pixels
from pipeline.files import write_errors
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.writing.archive import TIMES_TABLE, Archive, FolderArchive, ZipArchive
from pipeline.video.writing.encoder_frames import mean_alpha, to_host
from pipeline.video.writing.exr import ExrEncoder
from pipeline.video.writing.png import PngEncoder
from pipeline.video.writing.timing import StreamSpec, Timeline
from pipeline.video.writing.verify import Content, verify_content

_HEAD = ("picture", "seconds", "lasts")
_TICK = Fraction(1, 10**6)


class PictureEncoder(Protocol):
    """Encoder of frames as one file each, in their order."""

    @property
    def depth(self) -> int:
        """Bits per sample."""

    def encode(self, image: Pixels, pts: int) -> Iterable[bytes | memoryview]:
        """Take a frame; return the files that are done."""

    def flush(self) -> Iterable[bytes | memoryview]:
        """Return the files that are not returned yet."""

    def close(self) -> None:
        """Give up the frames that are still being encoded."""

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a written file: `[H, W]` or `[H, W, C]`, alpha last; raises RunError if that fails."""


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
        layers: Sequence[str] = (),
    ) -> None:
        """Open the archive; `layers` are the objects whose mattes are behind the colours of EXR pictures."""
        self.path = path
        self.notes: tuple[Message, ...] = ()
        self._form = form
        self._size = shape.width, shape.height
        self._timeline = Timeline(shape)
        self._alpha = alpha
        self._mean_alpha: float | None = None
        pixels = form.choose_pixel_format(alpha=alpha, high_bit_depth=high_bit_depth)
        self._encoder: PictureEncoder = (
            ExrEncoder(shape.rate, layers, form.straight)
            if form.codec == "exr"
            else PngEncoder(shape, pixels, form.codec_options(quality))
        )
        self._written = 0
        self._archive: Archive = (ZipArchive if path.suffix.lower() == form.suffix else FolderArchive)(path)

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 3]` RGB or `[H, W, 4]` RGBA (straight alpha), and layers, at `pts` ticks."""
        image = to_host(image)
        if self._alpha and not len(self._timeline):
            self._mean_alpha = mean_alpha(image)
        with write_errors(self.path.name):
            self._add(self._encoder.encode(image, self._timeline.add(pts)))

    def _add(self, files: Iterable[bytes | memoryview]) -> None:
        for data in files:
            self._archive.add(self._name(self._written), data)
            self._written += 1

    def _name(self, number: int) -> str:
        return f"{number:06}.{self._form.codec}"

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
                with write_errors(self.path.name):
                    self._add(self._encoder.flush())
                    self._archive.add(TIMES_TABLE, self._format_table().encode("ascii"))
                    self._archive.close()
                    if len(self._timeline):
                        verify_content(self.path.name, self._expected_content(), self._read_content())
                    self._archive.commit()
        finally:
            self._encoder.close()
            self._archive.discard()

    def _expected_content(self) -> Content:
        return Content(
            codec=self._form.codec,
            size=self._size,
            depth=self._encoder.depth,
            times=self._timeline.start_times,
            duration=self._timeline.end,
            mean_alpha=self._mean_alpha,
        )

    def _format_table(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_HEAD)
        timeline = self._timeline
        times = [*timeline.start_times, timeline.end] if len(timeline) else []
        for number, (begin, end) in enumerate(pairwise(times)):
            table.writerow((self._name(number), f"{float(begin):.6f}", f"{float(end - begin):.6f}"))
        return text.getvalue()

    def _read_content(self) -> Content:
        """Read back the sequence; only its first image is decoded."""
        archive = self._archive
        rows = list(csv.DictReader(io.StringIO(archive.read(TIMES_TABLE).decode("ascii"))))
        there = set(archive.names())
        listed = [row for row in rows if row["picture"] in there]
        image = self._encoder.decode(archive.read(self._name(0)))
        alpha = image.ndim == 3 and image.shape[2] == 4
        return Content(
            codec=self._form.codec,
            size=(image.shape[1], image.shape[0]),
            depth=min(8 * image.itemsize, self._encoder.depth),
            times=[Fraction(row["seconds"]) for row in listed],
            duration=sum((Fraction(rows[-1][key]) for key in ("seconds", "lasts")), Fraction(0)),
            mean_alpha=mean_alpha(image) if alpha else None,
            tick=_TICK,
        )
