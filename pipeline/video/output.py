"""What a result is written through, whatever its format."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.formats import Format, Quality
from pipeline.video.sound import Heard
from pipeline.video.writing import Writer

Image = NDArray[np.uint8] | NDArray[np.uint16]


class Output(Protocol):
    """A result on its way: leaving it without an error puts it into place, with one removes it."""

    notes: tuple[str, ...]
    """Sentences on what was done otherwise than asked."""

    def write(self, image: Image, pts: int) -> None:
        """Add a picture at `pts` ticks: what `create` says of it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def create(
    path: Path,
    form: Format,
    *,
    width: int,
    height: int,
    time_base: Fraction,
    rate: Fraction,
    start: int = 0,
    alpha: bool = False,
    deep: bool = False,
    sound: Heard | None = None,
    quality: Quality = "high",
    hardware: bool = False,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Output:
    """The result of a format. `start` is the pts of the first frame: second 0, where `sound` begins.

    It is given `[H, W, 3]` RGB or, with alpha and for a pair, `[H, W, 4]` straight RGBA, for a matte
    `[H, W]` grey; uint8 or, with `deep`, uint16 over the whole range.
    """
    return Writer(
        path,
        form,
        width=width,
        height=height,
        time_base=time_base,
        rate=rate,
        start=start,
        alpha=alpha,
        sound=sound,
        metadata=metadata,
        options=options,
    )
