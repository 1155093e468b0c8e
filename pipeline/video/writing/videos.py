"""Several videos with the same times in a zip archive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.arrays import DeviceImage, Pixels
from pipeline.files import scratch_folder, write_errors
from pipeline.formats import Format
from pipeline.languages.messages import Message
from pipeline.video.audio.audio_mux import AudioRange
from pipeline.video.writing.archive import ZipArchive
from pipeline.video.writing.encoder_frames import to_host
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer

PAIR = ("foreground.mp4", "matte.mp4")
"""File names of a pair."""

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}


class VideosWriter:
    """Writer of frames of several planes as one video each; the first has the audio.

    Of a pair the planes are colours and alpha, else the mattes of objects.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: StreamSpec,
        names: Sequence[str],
        *,
        sound: AudioRange | None = None,
        **options: Any,
    ) -> None:
        """Open a video for each of `names`, in the container of its suffix; `options` are `Writer`'s."""
        self.path = path
        self.notes: tuple[Message, ...] = ()
        self._pair = form.content == "pair"
        self._writers: list[Writer] = []
        with ExitStack() as stack:
            self._zip = ZipArchive(path)
            stack.callback(self._zip.discard)
            folder = stack.enter_context(scratch_folder(path))
            self._open = ExitStack()
            stack.push(self._open)
            for name in names:
                suffix = Path(name).suffix
                each = replace(form, suffix=suffix, container=_CONTAINERS[suffix])
                heard = None if self._writers else sound
                writer = Writer(Path(folder, name), each, shape, sound=heard, **options)
                self._writers.append(self._open.enter_context(writer))
            self.notes += self._writers[0].notes
            self._stack = stack.pop_all()

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 4]` RGBA (straight alpha) of a pair, or `[H, W, N]` mattes, at `pts` ticks."""
        image = to_host(image)
        planes = (
            [image[..., :3], image[..., 3]]
            if self._pair
            else [image[..., number] for number in range(image.shape[2])]
        )
        for writer, plane in zip(self._writers, planes, strict=True):
            writer.write(plane, pts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self._open.__exit__(kind, error, trace)
            if kind is not None:
                return
            with write_errors(self.path.name):
                for writer in self._writers:
                    self._zip.copy(writer.path)
                self._zip.close()
                self._zip.commit()
