"""Creation of the writer for a result's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pipeline.arrays import DeviceImage, Pixels
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.audio.audio_mux import AudioRange
from pipeline.video.hardware import has_hardware_encoder
from pipeline.video.labels import Labels
from pipeline.video.writing.image_sequence import ImageSequenceWriter
from pipeline.video.writing.stacked import StackedWriter
from pipeline.video.writing.still import StillWriter
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.videos import PAIR, VideosWriter
from pipeline.video.writing.writer import Writer


class Output(Protocol):
    """A result being written: on success it is moved into place, after an error removed."""

    notes: tuple[Message, ...]
    """Deviations from the request."""

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add a frame, as described in `create_output`, at `pts` ticks; it may be on a device."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def create_output(
    path: Path,
    form: Format,
    shape: StreamSpec,
    *,
    alpha: bool = False,
    high_bit_depth: bool = False,
    sound: AudioRange | None = None,
    quality: Quality = "high",
    hardware: bool = False,
    metadata: dict[str, str] | None = None,
    labels: Labels | None = None,
    options: dict[str, str] | None = None,
    objects: Sequence[str] = ("1",),
) -> Output:
    """Create the writer of a format; `sound` and the times of `labels` start at the result's second 0.

    Its frames are `[H, W, 3]` RGB or, with alpha and where foreground and matte are apart, `[H, W, 4]`
    straight RGBA, for a matte or a mask `[H, W]` grey, and `[H, W, N]` for the mattes of the `objects` of
    these names, which are also layers behind the colours; uint8 or, with `high_bit_depth`, uint16 over the
    whole range.
    """
    if form.content in ("matte", "objects", "mask", "overlay", "process", "plate"):
        alpha = False
    notes: tuple[Message, ...] = ()
    if hardware:
        form, notes = _choose_encoder(form, shape.width, shape.height, high_bit_depth)
    encoding: Any = {"quality": quality, "metadata": metadata, "labels": labels, "options": options}
    made: Writer | ImageSequenceWriter | VideosWriter | StackedWriter | StillWriter
    if form.still:
        made = StillWriter(path, form, alpha=alpha, high_bit_depth=high_bit_depth, quality=quality)
    elif form.sequence:
        made = ImageSequenceWriter(
            path,
            form,
            shape,
            alpha=alpha,
            high_bit_depth=high_bit_depth,
            quality=quality,
            layers=objects if form.content == "layers" else (),
        )
    elif form.content in ("pair", "objects"):
        names = PAIR if form.content == "pair" else [f"{name}.mkv" for name in objects]
        made = VideosWriter(path, form, shape, names, sound=sound, **encoding)
    elif form.content == "stacked":
        made = StackedWriter(path, form, shape, sound=sound, **encoding)
    else:
        made = Writer(path, form, shape, alpha=alpha, high_bit_depth=high_bit_depth, sound=sound, **encoding)
    made.notes += notes
    return made


def _choose_encoder(
    form: Format, width: int, height: int, high_bit_depth: bool
) -> tuple[Format, tuple[Message, ...]]:
    """Return the format with its GPU encoder, or unchanged with a note that says why."""
    if form.hardware is None:
        return form, (Message("notes.no_gpu_encoder", {"label": form.label}),)
    if has_hardware_encoder(form, *form.encoded_size(width, height), high_bit_depth=high_bit_depth):
        return form.accelerated, ()
    return form, (Message("notes.no_gpu"),)
