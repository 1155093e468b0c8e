"""What one stream finds, put by on the disk as it comes, and read back in either direction.

A spool that lasts is there for another run, too: a segment is closed every few seconds of work, with the
state of the stream behind its last frame, so that a run that was killed is gone on with where the last one
ends; one that is stopped closes its segment, and loses nothing. A segment is complete by itself: its mattes,
the state, and a note of what they are. The note is put into place last, and whole, with the digests of both:
without it there is no segment. The first one that is damaged ends what can be used.

The mattes are planes of bytes, each deflated at the fastest level: a third of what FFV1 takes of the
processor, for twice the bytes, which are not kept for long; and they are as easily read backwards.
"""

from __future__ import annotations

import hashlib
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from pipeline.clip import Clip
from pipeline.files import read_json, write_errors, write_json
from pipeline.models import Prediction
from pipeline.propagation import stream_state
from pipeline.propagation.stream_state import State
from pipeline.video.reading.frames import Frame

CHUNK_SECONDS = 15.0
"""Of work that are lost at most when a run is killed: how often a segment is closed."""

_STATES = 2
"""So many of the last segments keep their states: where the last one is damaged, the one before serves."""


class _Noted(NamedTuple):
    """What there is to know of a segment's mattes, in lists of one for each."""

    pts: list[int]
    confidence: list[float]
    told: list[bool]
    bytes: list[int]


class Spool:
    """What a stream found so far; a context manager, which leaves the finished segments.

    Raises RunError where nothing can be written.
    """

    def __init__(self, folder: Path, clip: Clip, *, lasting: bool) -> None:
        """`folder` is its own, and may hold what an earlier one left; the stream is one of `clip`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lasting = folder, lasting
        self._shape = clip.height, clip.width
        self._segments: list[_Noted] = []
        self.state: State | None = None
        """That behind the last frame, as it was found here; None: the stream begins."""
        self.ended = False
        """Whether the stream was run to its end."""
        self._file: BinaryIO | None = None
        """The mattes of the segment that is open, if one is."""
        self._noted, self._digest = _Noted([], [], [], []), hashlib.blake2b()
        """What they are, and what was written so far."""
        self._behind: Callable[[], State] | None = None
        """Gives the state behind the last frame; None: the stream cannot go on just there."""
        self._began = time.monotonic()
        self._find()

    @property
    def pts(self) -> list[int]:
        """Of the frames whose mattes are in the finished segments, in the order of the stream."""
        return [pts for noted in self._segments for pts in noted.pts]

    def record(
        self, pairs: Iterator[tuple[Frame, Prediction]]
    ) -> Generator[tuple[Frame, Prediction], None, None]:
        """Yield the pairs of the stream to its end, each put by before. Closed, it keeps what was found."""
        resumable = self.state is not None
        try:
            for frame, found in pairs:
                self.add(frame.pts, found)
                resumable |= found.state is not None
                yield frame, found
        except GeneratorExit:
            if self._lasting and resumable:
                self._pause(pairs)
            raise
        self.end()

    def _pause(self, pairs: Iterator[tuple[Frame, Prediction]]) -> None:
        """Close the open segment, at the next frame behind which the stream can go on.

        That is this one, or for a model that works in batches the last of a batch, which is done already.
        """
        while self._file is not None and self._behind is None and (pair := next(pairs, None)):
            self.add(pair[0].pts, pair[1])
        if self._file is not None and self._behind is not None:
            self._close(self._behind())

    def add(self, pts: int, found: Prediction) -> None:
        """Put by what the stream found last; to be called before it goes on."""
        path = self._path(len(self._segments), "mattes")
        data = zlib.compress(np.ascontiguousarray(found.matte).data, 1)
        with write_errors(path.name):
            if self._file is None:
                self._file = path.open("wb")
                self._noted, self._digest = _Noted([], [], [], []), hashlib.blake2b()
            self._file.write(data)
        self._digest.update(data)
        self._noted.pts.append(pts)
        self._noted.confidence.append(float(found.confidence))
        self._noted.told.append(found.prompted)
        self._noted.bytes.append(len(data))
        self._behind = found.state
        due = self._lasting and time.monotonic() - self._began >= CHUNK_SECONDS
        if due and found.state is not None:
            self._close(found.state())

    def end(self) -> None:
        """The stream has no further frames."""
        self.ended = True
        if self._file is not None:
            self._close(None)

    def read_forward(self) -> Iterator[tuple[int, Prediction]]:
        """What is in the finished segments, by the pts of the frames, in the order of the stream."""
        for number in range(len(self._segments)):
            yield from self._mattes(number, 1)

    def read_backward(self) -> Iterator[tuple[int, Prediction]]:
        """As `found`, the last first."""
        for number in reversed(range(len(self._segments))):
            yield from self._mattes(number, -1)

    def remove(self) -> None:
        """Nobody needs it any more."""
        self._segments = []
        self._tidy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk refuses what is still to be written, too
                self._file.close()
            self._tidy()

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"segment-{number:05}.{kind}"

    def _mattes(self, number: int, step: int) -> Iterator[tuple[int, Prediction]]:
        noted = self._segments[number]
        rows = list(zip(*noted, np.cumsum(noted.bytes).tolist(), strict=True))
        with self._path(number, "mattes").open("rb") as file:
            for pts, confidence, told, size, end in rows[::step]:
                file.seek(end - size)
                plane = np.frombuffer(zlib.decompress(file.read(size)), np.uint8)
                yield pts, Prediction(plane.reshape(self._shape), confidence, told)

    def _close(self, behind: State | None) -> None:
        """Make the open segment a finished one; `behind` is None only where the stream ended."""
        number = len(self._segments)
        digests = {"mattes": self._digest.hexdigest()}
        with write_errors(self._path(number, "mattes").name):
            if self._file is not None:
                self._file.close()
        if behind is not None:
            path = self._path(number, "state")
            with write_errors(path.name):
                stream_state.save(path, behind)
                digests["state"] = _digest(path)
        if self._lasting:
            data = {**self._noted._asdict(), "ended": self.ended, "digests": digests}
            with write_errors(self._path(number, "json").name):
                write_json(self._path(number, "json"), data)
            self._path(number - _STATES, "state").unlink(missing_ok=True)
        self._segments.append(self._noted)
        self._file = None
        self._began = time.monotonic()

    def _find(self) -> None:
        """Take up what was left here, as far as it is whole and can be gone on from; remove the rest."""
        ends = False
        for number in count():
            read = self._read(number)
            if read is None or ends:
                break
            noted, ends = read
            self._segments.append(noted)
        self.ended = ends
        while self._segments and not self.ended:
            self.state = self._state(len(self._segments) - 1)
            if self.state is not None:
                break
            self._segments.pop()
        self._tidy()

    def _read(self, number: int) -> tuple[_Noted, bool] | None:
        """A finished segment, and whether the stream ends with it; None: there is none, or it is damaged."""
        data = read_json(self._path(number, "json"))
        try:
            noted = _Noted(*(list(data[name]) for name in _Noted._fields))
            whole = data["digests"]["mattes"] == _digest(self._path(number, "mattes"))
            return (noted, bool(data["ended"])) if whole and noted.pts else None
        except (LookupError, TypeError, OSError):
            return None

    def _state(self, number: int) -> State | None:
        """The state behind a segment; None where it is not kept, or damaged."""
        path = self._path(number, "state")
        data: dict[str, Any] = read_json(self._path(number, "json"))
        try:
            return stream_state.load(path) if data["digests"]["state"] == _digest(path) else None
        except (LookupError, ValueError, OSError, zipfile.BadZipFile):
            return None

    def _tidy(self) -> None:
        """Remove what belongs to no finished segment."""
        kept = {self._path(number, "json").stem for number in range(len(self._segments))}
        for path in self._folder.iterdir():
            if path.stem not in kept:
                path.unlink()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
