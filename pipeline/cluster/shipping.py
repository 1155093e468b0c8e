"""Shipping of jobs through a store: inputs to a node, resume data both ways, and results back.

A job that is shipped has the paths of a folder of its own, in which the node lays out what the job reads.
While it runs, finished segments of its resume data are mirrored into the store, the note of each last, so
that another node, or this machine, continues from them. Those of a piece (see `crew`) stay there until the
node that renders the whole has fetched them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from pipeline.cluster.paths import map_paths
from pipeline.cluster.store import NodeCache, Store, TransferStopped, Tree
from pipeline.errors import RecorteError
from pipeline.files import create_part, remove_part
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.propagation import resume
from pipeline.video.reading.index_cache import has_index, index_path

_MIRROR_SECONDS = 1.0
_TRANSFERS = 16
"""Number of objects that are fetched at a time."""
IDENTITY = "journal.json"
"""The file of resume data that says whose they are."""

_HERE = Path("/job")
"""Folder of a shipped job before a node has given it one."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Halts:
    """Events that stop transfers of a job, between two chunks."""

    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when the job is to stop."""
    killed: threading.Event = field(default_factory=threading.Event)
    """Set when what it has found is not brought back either, but stays in the store."""


class Shared:
    """A job whose files the nodes see under the same paths, as its driver sees it."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def resume_data(self) -> str:
        """Place of the resume data of a job that keeps a matte, as `unpack_pieces` takes it."""
        assert self._job.matte is not None
        return str(resume.resume_folder(self._job.matte))

    def send(self) -> dict[str, Any]:
        """Return the request for a node, as plain data."""
        return {"job": self._job.to_json(Path("/"))}

    def receive(self, results: dict[str, Tree]) -> None:
        """Do nothing: the files are where they belong."""

    def keep(self) -> None:
        """Do nothing: so are the resume data."""

    def discard(self) -> None:
        """Remove the resume data."""
        shutil.rmtree(self.resume_data, ignore_errors=True)


class Shipment:
    """A job's way to a node and back through a store, as its driver sees it."""

    def __init__(self, store: Store, job: Job, halts: Halts | None = None) -> None:
        halts = halts or Halts()
        self._store, self._job = store.until(halts.stopped), job
        self._keeping = store.without_waiting().until(halts.killed)
        self._run: str | None = None
        self._sent = self._received = False

    @property
    def resume_data(self) -> str:
        """As of `Shared`, once the job was sent."""
        assert self._run is not None
        return self._run

    def send(self) -> dict[str, Any]:
        """Put what the job reads into the store, and return the request for a node, as plain data.

        Raises TransferStopped.
        """
        from pipeline.process import prepare_outputs
        from pipeline.video.reading.probe import load_clip

        job, inputs = self._job, dict[str, Tree]()
        clip = load_clip(job.source, job.source_rate)
        job.check(clip)
        written = [job.output] if job.matte is None else [job.output, job.matte]
        prepare_outputs(job, written)
        for path in written:
            remove_part(create_part(path))  # raises what ends the run otherwise when it is done

        def ship(path: Path) -> Path:
            if path in written:
                moved = _HERE / f"written-{written.index(path)}" / path.name
                if not path.exists() or path == job.output:
                    return moved
            else:
                moved = _HERE / f"input-{len(inputs)}" / path.name
            name = moved.relative_to(_HERE).as_posix()
            inputs[name] = self._store.put(path)
            if path == job.source and has_index(path):  # which spares the node a scan of the video
                inputs[f"{name}.index"] = self._store.put(index_path(path))
            return moved

        shipped = map_paths(job, ship).to_json(_HERE)
        if job.matte is not None:
            parts = [matte_key(job), pts_range(job, clip), job.high_bit_depth(clip), str(job.matte)]
            self._run = f"runs/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"
            folder = resume.resume_folder(job.matte)
            if resume.is_of(job, clip) and not _holds(self._store, self._run, folder):
                Mirror(self._store, self._run, folder).update()
        self._sent = True
        return {"job": shipped, "store": self._store.address, "inputs": inputs, "run": self._run}

    def receive(self, results: dict[str, Tree]) -> None:
        """Fetch what the job has written, each file whole before it takes its name.

        Raises TransferStopped.
        """
        matte = self._job.matte
        try:
            if matte is not None and "matte" in results:
                self._store.receive(results["matte"], matte)
                resume.clear(MatteFile.open(matte))
                self._received = True
            self._store.receive(results["output"], self._job.output)
        except TransferStopped:
            _forget(self._keeping, results)
            raise
        for tree in results.values():
            self._store.forget(tree)
        self.discard()

    def discard(self) -> None:
        """Remove the resume data from the store."""
        if self._run is not None:
            remove_run(self._store, self._run)

    def keep(self) -> None:
        """Bring the resume data of a run that did not end back to where the next one looks for it.

        Where the store is away they stay there, and the next run of the same job finds them. Those here stay
        where not all of them were sent.
        """
        if self._run is not None and self._job.matte is not None:
            with suppress(RecorteError, TransferStopped):
                if self._sent and not self._received:
                    restore(self._keeping, self._run, resume.resume_folder(self._job.matte))
                remove_run(self._keeping, self._run)


def keep_all(whole: Shared | Shipment, pieces: Sequence[Shared | Shipment]) -> None:
    """Bring the resume data of a job and of its pieces back."""
    whole.keep()  # first: it replaces the folder that those of the pieces are in
    _at_once(pieces, lambda piece: piece.keep())


class Unpacked(NamedTuple):
    """A shipped job, laid out on a node."""

    job: Job
    mirror: Mirror | None
    """Of its resume data, if it keeps a matte."""


@contextmanager
def unpack(request: dict[str, Any], cache: NodeCache, stop: threading.Event) -> Iterator[Unpacked]:
    """Lay out a shipped job in a folder of its own, for the block, and mirror its resume data.

    A job of the same inputs is laid out at the same paths by the same process, so that what is remembered of
    files by their paths holds. Raises TransferStopped once `stop` is set; the mirror goes on to its end.
    """
    lasting = Store(request["store"], opened=True)
    store = lasting.until(stop)
    inputs = json.dumps(request["inputs"], sort_keys=True)
    folder = cache.scratch() / hashlib.sha256(inputs.encode()).hexdigest()[:16]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in ("written-0", "written-1"):
            (folder / name).mkdir(parents=True)
        for name, tree in request["inputs"].items():
            cache.place(store, tree, folder / name)
        job = Job.from_json(request["job"], folder)
        if job.matte is None:
            yield Unpacked(job, None)
            return
        parts = resume.resume_folder(job.matte)
        sent = restore(store, request["run"], parts)
        yield Unpacked(job, stack.enter_context(Mirror(lasting, request["run"], parts, sent)))


@contextmanager
def unpack_pieces(request: dict[str, Any], cache: NodeCache, stop: threading.Event) -> Iterator[list[Path]]:
    """Fetch the resume data of a shipped job's pieces, for the block; yield their folders.

    Raises TransferStopped once `stop` is set.
    """
    store, runs = Store(request["store"], opened=True).until(stop), list[str](request.get("pieces", []))
    with tempfile.TemporaryDirectory(dir=cache.scratch()) as name:
        folders = [Path(name, str(number)) for number in range(len(runs))]
        for run, folder in zip(runs, folders, strict=True):
            restore(store, run, folder)
        yield folders


def shared_pieces(request: dict[str, Any]) -> list[Path]:
    """Return the folders of resume data of the pieces of a job whose files this node sees."""
    return [Path(place) for place in request.get("pieces", [])]


def put_results(request: dict[str, Any], job: Job, stop: threading.Event) -> dict[str, Tree]:
    """Put what a job has written into the store; a matte file that it was given and left is not a result.

    Raises TransferStopped once `stop` is set, and leaves no result there then.
    """
    store = Store(request["store"], opened=True)
    sending, results = store.until(stop), dict[str, Tree]()
    try:
        results["output"] = sending.put(job.output)
        if job.matte is not None:
            given = {tree["."][0] for name, tree in request["inputs"].items() if name.startswith("written-")}
            tree = sending.put(job.matte)
            if tree["."][0] not in given:
                results["matte"] = tree
    except TransferStopped:
        _forget(store.without_waiting(), results)
        raise
    return results


def _forget(store: Store, results: dict[str, Tree]) -> None:
    """Remove the results of a job that was stopped, unless the store is away."""
    with suppress(RecorteError, TransferStopped):
        for tree in results.values():
            store.forget(tree)


class Mirror:
    """Copies finished segments of resume data into the store; in a `with` block by a thread of its own."""

    def __init__(self, store: Store, run: str, folder: Path, sent: dict[str, int] | None = None) -> None:
        """`sent` has the time of change, in ns, of each file that is there, by its path in `folder`."""
        self._store, self._run, self._folder = store, run, folder
        self._sent = {} if sent is None else sent
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._updating = threading.Lock()

    def update(self) -> None:
        """Send what is new: of each segment its files first and its note last. Thread-safe."""
        with self._updating:
            self._update()

    def _update(self) -> None:
        # In this order: what takes the place of segments that were given up is sent after they are removed.
        segments = sorted(self._folder.glob("*/segment-*.json"))
        identity = self._folder / IDENTITY
        if not identity.is_file():
            return
        if self._sent.get(IDENTITY) != identity.stat().st_mtime_ns:
            remove_run(self._store, self._run)
            self._sent.clear()
        for given_up in (".json", ".state"):  # the notes first; states also of segments that stay
            gone = [name for name in self._sent if name.endswith(given_up)]
            gone = [name for name in gone if not (self._folder / name).exists()]
            if not identity.is_file():  # all are being removed, by a run that has its matte
                return
            self._store.remove(f"{self._run}/{name}" for name in sorted(gone, reverse=True))
            for name in gone:
                del self._sent[name]
        for note in sorted(self._folder.glob("*/stream.json")) + sorted(self._folder.glob("*.json")):
            self._send(note)
        for index in segments:
            with suppress(FileNotFoundError):  # an older state that is no longer needed
                if self._sent.get(self._name(index)) != index.stat().st_mtime_ns:
                    self._send(index.with_suffix(".mattes"))
                    if index.with_suffix(".state").exists():
                        self._send(index.with_suffix(".state"))
                    self._send(index)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._folder.is_dir():
            self.update()

    def _work(self) -> None:
        while not self._ended.wait(_MIRROR_SECONDS):
            with suppress(RecorteError, OSError):  # the run goes on without it, and the end tries again
                self.update()

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _send(self, path: Path) -> None:
        name, time = self._name(path), path.stat().st_mtime_ns
        if self._sent.get(name) != time:
            self._store.upload(path, f"{self._run}/{name}")
            self._sent[name] = time


def restore(store: Store, run: str, folder: Path) -> dict[str, int]:
    """Fetch the resume data of a run in place of what is there; return the times of change of its files.

    Nothing is changed where the store has none.
    """
    keys = store.list(run)
    if keys:
        shutil.rmtree(folder, ignore_errors=True)
    times = {}

    def fetch(key: str) -> None:
        name = PurePosixPath(key).relative_to(run).as_posix()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        store.download(key, folder / name)
        times[name] = (folder / name).stat().st_mtime_ns

    # What the notes are of first, and last the note that says whose all of it is.
    for _, some in groupby(sorted(keys, key=_rank), _rank):
        _at_once(list(some), fetch)
    return times


def remove_run(store: Store, run: str) -> None:
    """Remove the resume data of a run, notes first."""
    keys = sorted(store.list(run), key=_rank, reverse=True)
    for _, some in groupby(keys, _rank):
        store.remove(some)
    store.remove_parts(run)


def _rank(key: str) -> int:
    """Return the place of an object of resume data in the order in which they are written."""
    return key.endswith(".json") + key.endswith(IDENTITY)


def _holds(store: Store, run: str, folder: Path) -> bool:
    """Return True if the store has all notes of a folder of resume data.

    What it has was continued from them: a run's that ended with its driver.
    """
    held = store.list(run)
    return all(
        held.get(f"{run}/{note.relative_to(folder).as_posix()}") == note.stat().st_size
        for note in (*folder.glob("*.json"), *folder.glob("*/*.json"))
    )


def _at_once(items: Sequence[Item], call: Callable[[Item], None]) -> None:
    """Call a function with each item, some at a time. Raises what it raises."""
    if items:
        with ThreadPoolExecutor(min(_TRANSFERS, len(items)), "store") as pool:
            for _ in pool.map(call, items):
                pass
