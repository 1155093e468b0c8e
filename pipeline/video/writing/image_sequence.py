"""Single pictures with a table of their times, in a zip or a folder."""

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

from pipeline.arrays import Pixels
from pipeline.files import write_errors
from pipeline.formats import Format, Quality
from pipeline.video.writing.archive import TABLE, Folder, Store, Zip
from pipeline.video.writing.encoder_frames import Converter, coverage, depth
from pipeline.video.writing.timing import Schedule, Shape
from pipeline.video.writing.verify import Content, check, decoded

_HEAD = ("picture", "seconds", "lasts")
_TICK = Fraction(1, 10**6)
_THREADS = 4


class Sequence:
    """Writes each frame as a picture, into a zip where `path` says so, else into a folder.

    A context manager as `Writer`: what was there stays until all is written and was checked.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: Shape,
        *,
        alpha: bool = False,
        deep: bool = False,
        quality: Quality = "high",
    ) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._form = form
        self._pixels = form.pixels(alpha=alpha, deep=deep)
        self._schedule = Schedule(shape)
        self._alpha = alpha
        self._coverage: float | None = None
        self._convert = Converter(self._pixels)
        self._encoder = cast(Any, CodecContext.create(form.codec, "w"))
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = (
            shape.width,
            shape.height,
            self._pixels,
        )
        self._encoder.time_base = shape.time_base
        self._encoder.options = dict(form.asked(quality))
        self._encoder.thread_type, self._encoder.thread_count = "FRAME", _THREADS
        self._written = 0
        self._store: Store = (Zip if path.suffix.lower() == form.suffix else Folder)(path)

    def write(self, image: Pixels, pts: int) -> None:
        """Add `[H, W, 3]` RGB or `[H, W, 4]` RGBA (straight alpha) at `pts` ticks."""
        if self._alpha and not len(self._schedule):
            self._coverage = coverage(image)
        frame = self._convert(image)
        frame.pts, frame.time_base = self._schedule.add(pts), self._schedule.tick
        self._encode(frame)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        with write_errors(self.path.name):
            for packet in self._encoder.encode(frame):
                self._store.add(_name(self._written), memoryview(packet))
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
                    self._store.add(TABLE, _table(self._schedule).encode("ascii"))
                    self._store.close()
                    if len(self._schedule):
                        check(self.path.name, self._promised(), _content(self._store))
                    self._store.keep()
        finally:
            self._store.drop()

    def _promised(self) -> Content:
        return Content(
            codec=self._form.codec,
            size=(self._encoder.width, self._encoder.height),
            depth=depth(self._pixels),
            times=self._schedule.seconds,
            lasts=self._schedule.end,
            coverage=self._coverage,
        )


def _name(number: int) -> str:
    return f"{number:06}.png"


def _table(schedule: Schedule) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    times = [*schedule.seconds, schedule.end] if len(schedule) else []
    for number, (begin, end) in enumerate(pairwise(times)):
        table.writerow((_name(number), f"{float(begin):.6f}", f"{float(end - begin):.6f}"))
    return text.getvalue()


def _content(store: Store) -> Content:
    """What is in a sequence; only its first picture is decoded."""
    rows = list(csv.DictReader(io.StringIO(store.read(TABLE).decode("ascii"))))
    there = set(store.names())
    listed = [row for row in rows if row["picture"] in there]
    image = decoded(store.read(_name(0)))
    alpha = image.ndim == 3 and image.shape[2] == 4
    return Content(
        codec="png",
        size=(image.shape[1], image.shape[0]),
        depth=8 * image.itemsize,
        times=[Fraction(row["seconds"]) for row in listed],
        lasts=sum((Fraction(rows[-1][key]) for key in ("seconds", "lasts")), Fraction(0)),
        coverage=coverage(image) if alpha else None,
        tick=_TICK,
    )
