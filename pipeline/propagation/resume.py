"""Resume data: the predictions of an unfinished run, in a folder beside its matte file.

A run that ended early leaves them, and the next run of the same matte continues from them; so does the cut
that is computed ahead of a run (`pipeline.ahead`). When the prompts change, the streams that do not depend on
the change are kept, and of the others what lies before it; each stream's folder records what it depends on.
Pieces of a run that several machines share have resume data of their own, in a folder within: raw predictions
(`propagation.raw`), which the run reads, or some of its streams, which the run takes over. A finished matte
removes the folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.clip import Clip
from pipeline.errors import RunError
from pipeline.files import bytes_on_disk, read_json, try_lock, write_errors, write_json
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range, stream_key
from pipeline.propagation import raw, spool
from pipeline.propagation.plan import PlanInputs, list_streams

if TYPE_CHECKING:
    from pipeline.matte import MatteFile

_VERSION = 1
"""Raised when streams are planned or stored differently, so that older data is not used."""

_IDENTITY_FILE = "journal.json"
_PLAN = "plan.json"
_STREAM = "stream.json"
_PIECES = "pieces"
_SUFFIX = ".parts"
_STREAM_PIECES = f"{_PIECES}/*-*-*{_SUFFIX}"
"""Pieces of streams, which have the name of one; those of raw predictions have a frame's pts."""


def can_resume(job: Job, clip: Clip) -> bool:
    """Return True if an earlier run of this job left data to continue from, or pieces of it."""
    if job.matte is None or not resume_folder(job.matte).is_dir():
        return False
    return (is_of(job, clip) and _has_streams(resume_folder(job.matte))) or bool(find_pieces(job, clip))


def find_pieces(job: Job, clip: Clip) -> list[Path]:
    """Return the folders of resume data of the pieces that an earlier run of a job has left."""
    if job.matte is None or not pieces_folder(job.matte).is_dir():
        return []
    wanted = _identity(job, clip)
    if raw.is_raw(job):
        wanted = _identity(raw.make_piece(job, clip, 0, None, pieces_folder(job.matte)), clip)
        del wanted["span"]
    return [
        folder
        for folder in sorted(pieces_folder(job.matte).glob(f"*{_SUFFIX}"))
        if wanted.items() <= read_json(folder / _IDENTITY_FILE).items() and _has_streams(folder)
    ]


def is_of(job: Job, clip: Clip) -> bool:
    """Return True if the resume data beside the job's matte are those of this very job."""
    if job.matte is None:
        return False
    return read_json(resume_folder(job.matte) / _IDENTITY_FILE) == _identity(job, clip)


def read_plan_inputs(job: Job, clip: Clip) -> PlanInputs | None:
    """Return what an earlier run of this job has planned with; None if there was none."""
    if job.matte is None or not is_of(job, clip):
        return None
    inputs = PlanInputs.from_json(read_json(resume_folder(job.matte) / _PLAN))
    return inputs and inputs.with_masks(job.active_prompts)


def read_earlier_inputs(job: Job) -> PlanInputs | None:
    """Return what an earlier run has planned with, whose prompts and range may differ; None if none did."""
    data = {} if job.matte is None else read_json(resume_folder(job.matte) / _PLAN)
    return PlanInputs.from_json(data) if data.get("streams") == stream_key(job) else None


class KeptStream(NamedTuple):
    """Stored stream of other prompts, of which the next run keeps a part."""

    folder: Path
    keeps: Callable[[int], bool]
    """Tells if the prediction of the frame of a pts stays."""


class KeptStreams(NamedTuple):
    """Streams that the next run of a job takes over from the data of another."""

    folder: Path
    title: dict[str, Any]
    streams: dict[str, KeptStream]
    """By the names that the run gives their folders."""

    def are_there(self) -> bool:
        """Return True unless a run has changed the data since."""
        return read_json(self.folder / _IDENTITY_FILE) == self.title


def find_kept(job: Job, clip: Clip, inputs: PlanInputs) -> KeptStreams | None:
    """Return which streams the next run of a job, with these inputs, will continue; None if there is no data.

    Nothing is changed: `open_folder` takes them over.
    """
    if job.matte is None:
        return None
    folder = resume_folder(job.matte)
    title = read_json(folder / _IDENTITY_FILE)
    if not title:
        return None
    wanted = _stream_records(job, clip, inputs)
    try:
        stored = _read_records(folder)
    except OSError:  # removed just now
        return None
    return KeptStreams(
        folder,
        title,
        {
            name: KeptStream(path, _keeper(stored[path], wanted[name]))
            for name, path in _match(stored, wanted).items()
        },
    )


@contextmanager
def open_folder(
    job: Job,
    matte: Path,
    clip: Clip,
    inputs: PlanInputs | None = None,
    pieces: Sequence[Path] = (),
    streams: Collection[str] | None = None,
    *,
    lasting: bool = False,
) -> Iterator[Path]:
    """Open and lock the folder for the streams of a run, keeping the data of an earlier run of the same.

    With `inputs`, predictions of another run are kept as well, as far as this one's plan would make the same,
    and the streams of pieces are taken over: of those in the folder, and of the folders `pieces`. `streams`
    are the names of those that the run has; None: all of the plan. A folder without predictions ends with the
    block, unless it is `lasting`, for another run to plan with these inputs. Raises RunError where nothing
    can be written, or another run is writing there now.
    """
    folder, title = resume_folder(matte), _identity(job, clip)
    with write_errors(matte.name):
        folder.mkdir(exist_ok=True)
    with _locked(folder, matte.name):
        try:
            with write_errors(matte.name):
                records = _stream_records(job, clip, inputs)
                if read_json(folder / _IDENTITY_FILE) != title:
                    _adapt(folder, records)
                    write_json(folder / _IDENTITY_FILE, title)
                if inputs is not None:
                    own = [] if raw.is_raw(job) else sorted(folder.glob(_STREAM_PIECES))
                    _take_over(folder, records, dict.fromkeys([*own, *pieces]))
                    for piece in own:
                        _remove(piece)
                    _record_plan(folder, job, inputs, records, streams)
            yield folder
        finally:
            if not lasting and not _has_segments(folder):
                _remove(folder)


@contextmanager
def open_pieces(matte: Path) -> Iterator[Path]:
    """Create the folder of the pieces of a run, and remove it at the end; where the run fails it is kept.

    Raises RunError where nothing can be written.
    """
    folder = pieces_folder(matte)
    with write_errors(matte.name):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        if not _has_segments(resume_folder(matte)):
            _remove(resume_folder(matte))


def clear(matte_file: MatteFile) -> None:
    """Remove the resume data that a finished matte file covers."""
    folder = resume_folder(matte_file.path)
    title = read_json(folder / _IDENTITY_FILE)
    if title.get("matte") == matte_file.key and matte_file.covers(*title["span"]):
        _remove(folder)


def stored_frames(folder: Path) -> tuple[int, bool]:
    """Return the number of frames in a stream's finished segments, and True if these are all of it."""
    found = [read_json(path) for path in sorted(folder.glob("segment-*.json"))]
    return sum(len(index.get("pts", ())) for index in found), any(index.get("ended") for index in found)


def stored_bytes(matte: Path | None) -> int:
    """Return the bytes of resume data that a matte has; the next run uses or removes them."""
    if matte is None:
        return 0
    return bytes_on_disk(resume_folder(matte))


def resume_folder(matte: Path) -> Path:
    """Return the folder of the resume data of the matte file at `matte`."""
    return matte.with_name(f"{matte.name}{_SUFFIX}")


def pieces_folder(matte: Path) -> Path:
    """Return the folder of the pieces of a run of the matte file at `matte`."""
    return resume_folder(matte) / _PIECES


def _identity(job: Job, clip: Clip) -> dict[str, Any]:
    """Return the data that two runs must agree in for one to continue from the other."""
    return {
        "version": _VERSION,
        "matte": matte_key(job),
        "span": list(pts_range(job, clip)),
        # A model is given slightly different frames where they are decoded with more than 8 bits.
        "deep": job.high_bit_depth(clip),
    }


def _has_segments(folder: Path) -> bool:
    """Return True if there is a finished spool segment, or one of a piece."""
    return _has_streams(folder) or any(folder.glob(f"{_PIECES}/*/*/segment-*.json"))


def _has_streams(folder: Path) -> bool:
    """Return True if there is a finished spool segment of the run itself."""
    return any(folder.glob("*/segment-*.json"))


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Lock a folder of resume data of the matte `name` for the block, or as long as this process lives."""
    with write_errors(name):
        lock = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(lock):
            raise RunError("writing.matte_locked", name=name)
        yield
    finally:
        os.close(lock)


# ---------------------------------------------------------------------- data of other prompts


def _stream_records(job: Job, clip: Clip, inputs: PlanInputs | None) -> dict[str, dict[str, Any]]:
    """Return for each stream of the plan, by the name of its folder, what it depends on, as JSON holds it."""
    if inputs is None:
        return {}
    key, deep = stream_key(job), job.high_bit_depth(clip)
    return {
        stream.name: {
            "version": _VERSION,
            "streams": key,
            "deep": deep,
            "direction": stream.direction,
            "initial": stream.segment.initial_pts,
            "until": stream.segment.end_pts if stream.direction == "forward" else stream.segment.begin_pts,
            "prompts": [
                [pts, prompt.identify()]
                for pts, prompt in stream.segment.stream_prompts(stream.direction).items()
            ],
        }
        for stream in list_streams(inputs.plan(clip, pts_range(job, clip)))
    }


def _record_plan(
    folder: Path,
    job: Job,
    inputs: PlanInputs,
    records: dict[str, dict[str, Any]],
    streams: Collection[str] | None,
) -> None:
    write_json(folder / _PLAN, inputs.to_json() | {"streams": stream_key(job)})
    for name, record in records.items():
        if streams is None or name in streams:
            (folder / name).mkdir(exist_ok=True)
            if read_json(folder / name / _STREAM) != record:
                write_json(folder / name / _STREAM, record)


def _adapt(folder: Path, wanted: dict[str, dict[str, Any]]) -> None:
    """Keep what the stored streams have in common with the wanted ones, and remove the rest."""
    # The identity file first: without it, the remains of a crash are not used.
    (folder / _IDENTITY_FILE).unlink(missing_ok=True)
    stored = _read_records(folder)
    reused = _match(stored, wanted)
    for path in folder.iterdir():
        if path in reused.values() or path.name == _PIECES:  # those tell themselves what they are of
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, path in reused.items():
        _truncate(path, stored[path], wanted[name])
        write_json(path / _STREAM, wanted[name])
    moved = {name: path.rename(path.with_name(f"{path.name}.moved")) for name, path in reused.items()}
    for name, path in moved.items():
        path.rename(folder / name)


def _take_over(folder: Path, wanted: dict[str, dict[str, Any]], pieces: Iterable[Path]) -> None:
    """Move streams of pieces to where the plan has them, as far as they agree; what is longer there stays."""
    for piece in filter(Path.is_dir, pieces):  # where nothing could be decoded there is none
        with _locked(piece, folder.name.removesuffix(_SUFFIX)):
            stored = _read_records(piece)
            for name, path in _match(stored, wanted).items():
                _truncate(path, stored[path], wanted[name])
                if stored_frames(path) > stored_frames(folder / name):
                    shutil.rmtree(folder / name, ignore_errors=True)
                    shutil.move(path, folder / name)
                    write_json(folder / name / _STREAM, wanted[name])


def _read_records(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return what each stored stream depends on, by its folder."""
    found = (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != _PIECES)
    return {path: read_json(path / _STREAM) for path in found}


def _match(stored: dict[Path, dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> dict[str, Path]:
    """Return for each wanted stream the folder of the stored one that it continues, if there is one."""
    reused: dict[str, Path] = {}
    for name, record in wanted.items():
        matching = [
            path for path, old in stored.items() if _agree(old, record) and path not in reused.values()
        ]
        if matching:
            reused[name] = max(matching, key=lambda path: _agreeing_prompts(stored[path], record))
    return reused


def _agree(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return True if the same model starts both streams from the same frame with the same prompts there."""
    return (
        all(old.get(key) == new[key] for key in ("version", "streams", "deep", "direction", "initial"))
        and _first_change(old, new) != new["initial"]
    )


def _agreeing_prompts(old: dict[str, Any], new: dict[str, Any]) -> int:
    return sum(prompt in old["prompts"] for prompt in new["prompts"])


def _truncate(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Remove the predictions of an old stream that the new one would not make."""
    sign = 1 if new["direction"] == "forward" else -1
    longer = sign * new["until"] > sign * old["until"]
    spool.truncate(folder, _keeper(old, new), ended=_first_change(old, new) is None and not longer)


def _keeper(old: dict[str, Any], new: dict[str, Any]) -> Callable[[int], bool]:
    """Return a function that tells if an old stream's prediction of the frame of a pts is the new one's."""
    change, sign = _first_change(old, new), 1 if new["direction"] == "forward" else -1
    return lambda pts: change is None or sign * pts < sign * change


def _first_change(old: dict[str, Any], new: dict[str, Any]) -> int | None:
    """Return the pts of the first frame in a stream's order whose prompts differ; None: they are the same."""
    before: dict[int, Any] = dict(old["prompts"])
    after: dict[int, Any] = dict(new["prompts"])
    changed = [pts for pts in before.keys() | after.keys() if before.get(pts) != after.get(pts)]
    if not changed:
        return None
    return min(changed) if new["direction"] == "forward" else max(changed)


def _remove(folder: Path) -> None:
    (folder / _IDENTITY_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
