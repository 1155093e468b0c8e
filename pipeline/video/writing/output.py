"""What a result is written through, whatever its format."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pipeline.arrays import Pixels
from pipeline.formats import Format, Quality
from pipeline.video.audio.audio_mux import Heard
from pipeline.video.hardware import accelerates
from pipeline.video.labels import Labels
from pipeline.video.writing.image_sequence import Sequence
from pipeline.video.writing.pair import Pair
from pipeline.video.writing.timing import Shape
from pipeline.video.writing.writer import Writer


class Output(Protocol):
    """A result on its way: leaving it without an error puts it into place, with one removes it."""

    notes: tuple[str, ...]
    """Sentences on what was done otherwise than asked."""

    def write(self, image: Pixels, pts: int) -> None:
        """Add a picture at `pts` ticks: what `create` says of it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def create_output(
    path: Path,
    form: Format,
    shape: Shape,
    *,
    alpha: bool = False,
    deep: bool = False,
    sound: Heard | None = None,
    quality: Quality = "high",
    hardware: bool = False,
    metadata: dict[str, str] | None = None,
    labels: Labels | None = None,
    options: dict[str, str] | None = None,
) -> Output:
    """The result of a format; `sound` begins to be heard at its second 0, `labels` count from there.

    It is given `[H, W, 3]` RGB or, with alpha and for a pair, `[H, W, 4]` straight RGBA, for a matte
    `[H, W]` grey; uint8 or, with `deep`, uint16 over the whole range.
    """
    if form.content == "matte":
        alpha = False
    notes: tuple[str, ...] = ()
    if hardware:
        form, notes = _accelerated(form, shape.width, shape.height, deep)
    made: Writer | Sequence | Pair
    if form.codec == "png":
        made = Sequence(path, form, shape, alpha=alpha, deep=deep, quality=quality)
    elif form.content == "pair":
        made = Pair(
            path,
            form,
            shape,
            sound=sound,
            quality=quality,
            metadata=metadata,
            labels=labels,
            options=options,
        )
    else:
        made = Writer(
            path,
            form,
            shape,
            alpha=alpha,
            deep=deep,
            sound=sound,
            quality=quality,
            metadata=metadata,
            labels=labels,
            options=options,
        )
    made.notes += notes
    return made


def _accelerated(form: Format, width: int, height: int, deep: bool) -> tuple[Format, tuple[str, ...]]:
    """The format as a graphics card makes it, or as it is and a sentence why."""
    if form.hardware is None:
        return form, (f"There is no encoder for {form.label} on graphics cards; the processor did it.",)
    if accelerates(form, *form.size(width, height), deep=deep):
        return form.accelerated, ()
    return form, ("No graphics card here could encode this; the processor did it.",)
