"""Foreground and matte as two videos in a zip archive."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.arrays import DeviceImage, Pixels
from pipeline.files import scratch_folder, write_errors
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.audio.audio_mux import AudioRange
from pipeline.video.labels import Labels
from pipeline.video.writing.archive import ZipArchive
from pipeline.video.writing.encoder_frames import to_host
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer


class PairWriter:
    """Writer of RGBA frames as two videos with the same times; the foreground has the audio."""

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: StreamSpec,
        *,
        sound: AudioRange | None = None,
        quality: Quality = "high",
        metadata: dict[str, str] | None = None,
        labels: Labels | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.notes: tuple[Message, ...] = ()
        each = replace(form, suffix=".mp4", container="mp4")

        def writer(name: str, sound: AudioRange | None) -> Writer:
            return Writer(
                Path(folder, name),
                each,
                shape,
                sound=sound,
                quality=quality,
                metadata=metadata,
                labels=labels,
                options=options,
            )

        with ExitStack() as stack:
            self._zip = ZipArchive(path)
            stack.callback(self._zip.discard)
            folder = stack.enter_context(scratch_folder(path))
            self._writers = ExitStack()
            stack.push(self._writers)
            self._foreground = self._writers.enter_context(writer("foreground.mp4", sound))
            self._matte = self._writers.enter_context(writer("matte.mp4", None))
            self.notes += self._foreground.notes
            self._stack = stack.pop_all()

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 4]` RGBA (straight alpha) at `pts` ticks."""
        image = to_host(image)
        self._foreground.write(image[..., :3], pts)
        self._matte.write(image[..., 3], pts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self._writers.__exit__(kind, error, trace)
            if kind is not None:
                return
            with write_errors(self.path.name):
                for writer in (self._foreground, self._matte):
                    self._zip.copy(writer.path)
                self._zip.close()
                self._zip.commit()
