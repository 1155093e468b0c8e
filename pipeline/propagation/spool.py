"""Spool: predictions of one stream on disk, readable in either direction.

A lasting spool can be resumed: a segment is closed every few seconds of work, with the state of the stream
behind its last frame, so that the next run continues there if this one is killed; a run that is stopped
closes its segment and loses nothing. A segment consists of its mattes, the state, and an index. The
index is written last and atomically, with digests of both; without it there is no segment. The first damaged
segment ends the usable ones. States take more room than mattes: those of the last segments are kept, and a
few of older ones, spread evenly, so that a stream whose later prompts change goes on from the middle
(`truncate`). The open segment can be read while it is written (`stored_mattes`): a line a frame is its index.
What a stream with other prompts predicted just the same, but has to compute again to get its state, can be
read as well until it is: it lies beside the segments ("before").

The mattes are planes of bytes, each deflated at the fastest level: a third of FFV1's CPU time for twice the
bytes, which are temporary; and they can be read backwards.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

import numpy as np

from pipeline import stream_state
from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.files import read_json, write_errors, write_json
from pipeline.models import Prediction
from pipeline.stream_state import State

if TYPE_CHECKING:  # FFmpeg is loaded only where frames are read
    from pipeline.video.reading.frames import Frame

CHUNK_SECONDS = 4.0
"""Interval at which a segment is closed: the most work that a killed run or a changed prompt loses."""

_STATES = 2
"""Number of last segments that keep their states, in case the last one is damaged."""

_OLDER_STATES = 6
"""Most of the older segments that keep theirs."""

_SUFFIX = "json"
_OPEN_SUFFIX = "open"
_BEFORE = "before-"


class _SegmentIndex(NamedTuple):
    """Index of a segment: one entry a matte in each list; the names are keys on disk."""

    pts: list[int]
    confidence: list[float]
    told: list[bool]
    bytes: list[int]


class Spool:
    """Predictions of a stream so far; a context manager that leaves finished segments in place.

    Raises RunError where nothing can be written.
    """

    def __init__(self, folder: Path, clip: Clip, *, lasting: bool) -> None:
        """`folder` belongs to this spool and may hold segments of an earlier one of the same stream."""
        with write_errors(folder.name):
            folder.mkdir(exist_ok=True)
        self._folder, self._lasting = folder, lasting
        self._shape = clip.height, clip.width
        self._segments: list[_SegmentIndex] = []
        self.state: State | None = None
        """State behind the last stored frame; None: the stream begins."""
        self.ended = False
        """True if the stream was run to its end."""
        self._file: BinaryIO | None = None
        """Mattes of the open segment, if one is open."""
        self._lines: BinaryIO | None = None
        """Index of the open segment, a line a frame, for who reads it meanwhile."""
        self._index, self._digest = _SegmentIndex([], [], [], []), hashlib.blake2b()
        """Index and digest of the open segment."""
        self._next_state: Callable[[], State] | None = None
        """Returns the state behind the last frame; None: the stream cannot be continued from there."""
        self._began = time.monotonic()
        self._load_segments()

    @property
    def pts(self) -> list[int]:
        """Pts of the frames in finished segments, in the order of the stream."""
        return [pts for index in self._segments for pts in index.pts]

    def record(
        self, pairs: Iterator[tuple[Frame, Prediction]]
    ) -> Generator[tuple[Frame, Prediction], None, None]:
        """Store each prediction of the stream, then yield it. Closing the generator keeps what is stored."""
        resumable = self.state is not None
        try:
            for frame, prediction in pairs:
                self.add(frame.pts, prediction)
                resumable |= prediction.state is not None
                yield frame, prediction
        except GeneratorExit:
            if self._lasting and resumable:
                self._pause(pairs)
            raise
        self.end()

    def _pause(self, pairs: Iterator[tuple[Frame, Prediction]]) -> None:
        """Close the open segment at the next frame behind which the stream can continue.

        That is this one, or for a model that works in batches the last of a batch, which is done already.
        """
        while self._file is not None and self._next_state is None and (pair := next(pairs, None)):
            self.add(pair[0].pts, pair[1])
        if self._file is not None and self._next_state is not None:
            self._close(self._next_state())

    def add(self, pts: int, prediction: Prediction) -> None:
        """Store the latest prediction; to be called before the stream continues."""
        path = self._path(len(self._segments), "mattes")
        data = zlib.compress(np.ascontiguousarray(prediction.matte).data, 1)
        with write_errors(path.name):
            if self._file is None:
                self._file = path.open("wb")
                if self._lasting:
                    self._lines = self._path(len(self._segments), _OPEN_SUFFIX).open("wb", buffering=0)
                self._index, self._digest = _SegmentIndex([], [], [], []), hashlib.blake2b()
            self._file.write(data)
            if self._lines is not None:
                self._file.flush()  # before the line: who reads it finds the matte
                row = [pts, float(prediction.confidence), prediction.prompted, len(data)]
                self._lines.write(f"{json.dumps(row)}\n".encode("ascii"))
        self._digest.update(data)
        self._index.pts.append(pts)
        self._index.confidence.append(float(prediction.confidence))
        self._index.told.append(prediction.prompted)
        self._index.bytes.append(len(data))
        self._next_state = prediction.state
        due = self._lasting and time.monotonic() - self._began >= CHUNK_SECONDS
        if due and prediction.state is not None:
            self._close(prediction.state())

    def end(self) -> None:
        """Mark the stream as ended and close the open segment."""
        self.ended = True
        if self._file is not None:
            self._close(None)
        for path in self._folder.glob(f"{_BEFORE}*"):  # all of it has been computed again
            path.unlink(missing_ok=True)

    def read_forward(self) -> Iterator[tuple[int, Prediction]]:
        """Yield pts and prediction of each frame in finished segments, in the order of the stream."""
        for number in range(len(self._segments)):
            yield from self._read_mattes(number, 1)

    def read_backward(self) -> Iterator[tuple[int, Prediction]]:
        """Do as `read_forward`, the last frame first."""
        for number in reversed(range(len(self._segments))):
            yield from self._read_mattes(number, -1)

    def remove(self) -> None:
        """Remove all segments."""
        self._segments = []
        self._remove_unfinished()
        for path in self._folder.glob(f"{_BEFORE}*"):
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # on a full disk flushing fails, too
                self._close_files()
            self._remove_unfinished()

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"segment-{number:05}.{kind}"

    def _read_mattes(self, number: int, step: int) -> Iterator[tuple[int, Prediction]]:
        index = self._segments[number]
        rows = list(zip(*index, np.cumsum(index.bytes).tolist(), strict=True))
        with self._path(number, "mattes").open("rb") as file:
            for pts, confidence, prompted, size, end in rows[::step]:
                file.seek(end - size)
                plane = np.frombuffer(zlib.decompress(file.read(size)), np.uint8)
                yield pts, Prediction(plane.reshape(self._shape), confidence, prompted)

    def _close(self, behind: State | None) -> None:
        """Finish the open segment; the state `behind` is None only where the stream ended."""
        number = len(self._segments)
        digests = {"mattes": self._digest.hexdigest()}
        with write_errors(self._path(number, "mattes").name):
            self._close_files()
        if behind is not None:
            path = self._path(number, "state")
            with write_errors(path.name):
                stream_state.save(path, behind)
                digests["state"] = _digest(path)
        if self._lasting:
            data = {**self._index._asdict(), "ended": self.ended, "digests": digests}
            with write_errors(self._path(number, _SUFFIX).name):
                write_json(self._path(number, _SUFFIX), data)
            self._path(number, _OPEN_SUFFIX).unlink(missing_ok=True)
            for older in range(number - _STATES + 1):
                if not _keeps_state(older, number):
                    self._path(older, "state").unlink(missing_ok=True)
        self._segments.append(self._index)
        self._file = None
        self._began = time.monotonic()

    def _close_files(self) -> None:
        for file in (self._file, self._lines):
            if file is not None:
                file.close()
        self._lines = None

    def _load_segments(self) -> None:
        """Read the segments of an earlier spool as far as they are usable; remove the rest."""
        ends = False
        for number in count():
            read = self._read_index(number)
            if read is None or ends:
                break
            index, ends = read
            self._segments.append(index)
        self.ended = ends
        while self._segments and not self.ended:
            self.state = self._read_state(len(self._segments) - 1)
            if self.state is not None:
                break
            self._segments.pop()
        self._remove_unfinished()

    def _read_index(self, number: int) -> tuple[_SegmentIndex, bool] | None:
        """Read a segment's index and if the stream ends with it; None where it is missing or damaged."""
        data = read_json(self._path(number, _SUFFIX))
        try:
            index = _SegmentIndex(*(list(data[name]) for name in _SegmentIndex._fields))
            intact = data["digests"]["mattes"] == _digest(self._path(number, "mattes"))
            return (index, bool(data["ended"])) if intact and index.pts else None
        except (LookupError, TypeError, OSError):
            return None

    def _read_state(self, number: int) -> State | None:
        """Read the state behind a segment; None where it is missing or damaged."""
        path = self._path(number, "state")
        data: dict[str, Any] = read_json(self._path(number, _SUFFIX))
        try:
            return stream_state.load(path) if data["digests"]["state"] == _digest(path) else None
        except (LookupError, ValueError, OSError, zipfile.BadZipFile):
            return None

    def _remove_unfinished(self) -> None:
        """Remove files that belong to no finished segment."""
        stems = {self._path(number, _SUFFIX).stem for number in range(len(self._segments))}
        for path in self._folder.iterdir():
            if path.stem.startswith("segment-") and path.stem not in stems:
                path.unlink()


class StoredMatte(NamedTuple):
    """Place of one stored matte on disk."""

    path: Path
    offset: int
    bytes: int
    confidence: float

    def read(self, clip: Clip) -> Matte:
        """Read the matte; raises OSError or zlib.error where a run has replaced it meanwhile."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            plane = np.frombuffer(zlib.decompress(file.read(self.bytes)), np.uint8)
        return plane.reshape(clip.height, clip.width)


def stored_mattes(folder: Path) -> dict[int, StoredMatte]:
    """Return the mattes in a lasting spool's folder by pts, those of the open segment included.

    Reads beside a process that writes there, and checks no digests.
    """
    stored: dict[int, StoredMatte] = {}
    for segment in _read_segments(folder):
        stored = segment | stored  # in a segment before beside them
    return stored


def find_stored_matte(folder: Path, pts: int) -> StoredMatte | None:
    """Return that of one frame, as `stored_mattes` has it; None where it is not there."""
    return next((segment[pts] for segment in _read_segments(folder) if pts in segment), None)


def truncate(folder: Path, keeps: Callable[[int], bool], *, ended: bool) -> None:
    """Remove segments of a lasting spool, from the first that has a frame whose pts `keeps` refuses.

    Unless `ended`, the stream that goes on from it is longer, so a segment that ended it goes, too. What
    remains can be continued, if need be from an older segment that has a state. Frames in the segments that
    go which `keeps` accepts can still be read.
    """
    paths = sorted(folder.glob(f"segment-*.{_SUFFIX}"))
    kept = 0
    for path in paths:
        data = read_json(path)
        if not data.get("pts") or not all(map(keeps, data["pts"])) or (data.get("ended") and not ended):
            break
        kept += 1
    _put_beside(folder, keeps, {path.stem for path in paths[:kept]})
    for path in reversed(paths[kept:]):  # the last first: at any moment what is there is a beginning
        path.unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.stem.startswith("segment-") and not path.with_suffix(f".{_SUFFIX}").exists():
            path.unlink(missing_ok=True)


def _put_beside(folder: Path, keeps: Callable[[int], bool], finished: set[str]) -> None:
    """Copy the mattes that `keeps` accepts beside the segments, but for those of the `finished` ones."""
    older = sorted(folder.glob(f"{_BEFORE}*"))
    rows = {
        pts: stored
        for pts, stored in stored_mattes(folder).items()
        if keeps(pts) and stored.path.stem not in finished
    }
    if rows:
        number = 1 + max((int(path.stem.removeprefix(_BEFORE)) for path in older), default=-1)
        path = folder / f"{_BEFORE}{number:05}.mattes"  # a new name: who reads the old one finds nothing else
        lines = []
        with path.open("wb") as file:
            for pts, stored in rows.items():
                with stored.path.open("rb") as source:
                    source.seek(stored.offset)
                    file.write(source.read(stored.bytes))
                lines.append(json.dumps([pts, stored.confidence, True, stored.bytes]))
        path.with_suffix(f".{_OPEN_SUFFIX}").write_text("".join(f"{line}\n" for line in lines), "ascii")
    for path in older:
        path.unlink(missing_ok=True)


def _keeps_state(number: int, last: int) -> bool:
    """Return True if an older segment keeps its state once number `last` is finished."""
    stride = 1
    while last // stride > _OLDER_STATES:
        stride *= 2
    return number % stride == 0 or number > last - _STATES


@lru_cache(maxsize=4096)
def _read_finished(path: Path, _mtime_ns: int) -> dict[int, StoredMatte]:
    data = read_json(path)
    rows = zip(*(data[name] for name in _SegmentIndex._fields), strict=True)
    return _places(path, rows)


def _read_segments(folder: Path) -> Iterator[dict[int, StoredMatte]]:
    names: list[str] = []
    with suppress(OSError):  # removed just now
        found = [path.name for path in folder.iterdir()]
        names = sorted(name for name in found if name.startswith("segment-"))
        names += sorted(name for name in found if name.startswith(_BEFORE))
    for name in names:
        with suppress(OSError, LookupError, ValueError, TypeError):  # replaced just now, or damaged
            if name.endswith(f".{_SUFFIX}"):
                yield _finished(folder / name)
            elif name.endswith(f".{_OPEN_SUFFIX}"):
                yield _unfinished(folder / name)


def _finished(path: Path) -> dict[int, StoredMatte]:
    return _read_finished(path, path.stat().st_mtime_ns)


def _unfinished(path: Path) -> dict[int, StoredMatte]:
    lines = path.read_bytes().split(b"\n")[:-1]  # the last line may not be complete
    return _places(path, map(json.loads, lines))


def _places(path: Path, rows: Iterable[tuple[int, float, bool, int]]) -> dict[int, StoredMatte]:
    places, offset = {}, 0
    for pts, confidence, _, size in rows:
        places[pts] = StoredMatte(path.with_suffix(".mattes"), offset, size, confidence)
        offset += size
    return places


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
