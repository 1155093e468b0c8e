"""Batches: many videos by one command, each in a process of its own.

What became of each is a line of `manifest.jsonl` in the folder of the results. A batch that is asked for
again does what is missing, has failed or has changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipeline.command_line.batch_plan import BatchJob
from pipeline.errors import InputError
from pipeline.files import bytes_on_disk

MANIFEST = "manifest.jsonl"

_WATCH_SECONDS = 2.0
"""Time between two looks into the watched folders; a file that has not changed in between is complete."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one job: a line of the manifest."""

    input: str
    output: str
    state: Literal["done", "failed"]
    fingerprint: str
    """Of what decides the result; see `BatchJob.fingerprint`."""
    frames: int
    seconds: float
    """Time that it took."""
    bytes: int
    """Size of the result: of all files, where it is a folder."""
    error: str | None
    at: str
    """Time of its end: ISO 8601, UTC."""


class Batch:
    """Runs jobs, `workers` at a time, and keeps the manifest."""

    def __init__(self, folder: Path, workers: int, *, json_lines: bool, cluster: Sequence[str] = ()) -> None:
        """`cluster`: options of each `run` on a Ray cluster."""
        self._manifest, self._workers, self._json = folder / MANIFEST, workers, json_lines
        self._cluster = cluster
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._shares: dict[BatchJob, float] = {}
        """Share of each running job that is done, 0 to 1."""
        self._ended = self._total = 0
        self.outcomes: list[Outcome] = []
        """Of the jobs that this batch has run."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("command.batch_folder", name=str(folder), reason=str(error.strerror)) from error
        self._known = read_manifest(self._manifest)

    def is_done(self, job: BatchJob) -> bool:
        """Return True if the job's result is there, made from the same files with the same options."""
        known = self._known.get(str(job.output))
        return (
            known is not None
            and known.state == "done"
            and known.fingerprint == job.fingerprint
            and bytes_on_disk(job.output) == known.bytes
        )

    def run(self, jobs: Sequence[BatchJob]) -> None:
        """Run the jobs that are not done, to their ends. An interrupt ends their processes."""
        pending = [job for job in jobs if not self.is_done(job)]
        self._total, self._ended = len(pending), 0
        if len(jobs) > len(pending):
            self._say(f"{len(jobs) - len(pending)} of {len(jobs)} are done already.")
        with ThreadPoolExecutor(self._workers) as pool:
            futures: list[Future[None]] = [pool.submit(self._run_job, job) for job in pending]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise

    def failed(self) -> list[Outcome]:
        """Return what became of the jobs that failed."""
        return [outcome for outcome in self.outcomes if outcome.state == "failed"]

    def watch(self, jobs: Sequence[BatchJob], before: dict[BatchJob, str]) -> dict[BatchJob, str]:
        """Run the jobs whose files are as at the look `before`; return the fingerprints of this look."""
        now = {job: job.fingerprint for job in jobs}
        tried = {outcome.fingerprint for outcome in self.outcomes}
        ready = [job for job in jobs if before.get(job) == now[job] and now[job] not in tried]
        self.run([job for job in ready if not self.is_done(job)])
        return now

    def _run_job(self, job: BatchJob) -> None:
        fingerprint, began = job.fingerprint, time.monotonic()
        job.output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pipeline", "run", *job.arguments, *self._cluster, "--json", "--"]
        with self._lock:
            if self._stopped:
                return
            child = subprocess.Popen(
                [*command, str(job.source), str(job.output)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            self._children.add(child)
        said: list[str] = []
        errors = threading.Thread(target=lambda: said.extend(_errors(child)))
        errors.start()
        frames = self._follow(job, child.stdout or ())
        errors.join()
        status = child.wait()
        with self._lock:
            self._children.discard(child)
            self._shares.pop(job, None)
            if self._stopped:
                return
        self._note(
            Outcome(
                input=str(job.source),
                output=str(job.output),
                state="failed" if status else "done",
                fingerprint=fingerprint,
                frames=frames,
                seconds=round(time.monotonic() - began, 3),
                bytes=0 if status else bytes_on_disk(job.output),
                error=(said[-1] if said else f"It ended with status {status}.") if status else None,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )

    def _follow(self, job: BatchJob, lines: Iterable[str]) -> int:
        """Show the progress that a run prints; return its number of frames."""
        frames = 0
        for text in lines:
            told = json.loads(text)
            frames = told.get("frames", frames)
            if self._json:
                self._print(json.dumps({"input": str(job.source)} | told))
            elif told.get("total") and sys.stderr.isatty():
                with self._lock:
                    self._shares[job] = told["done"] / told["total"]
                    share = (self._ended + sum(self._shares.values())) / max(1, self._total)
                    frame = f"{job.source.name}: {told['done']} of {told['total']} frames"
                    print(f"\r{share:4.0%} of all · {frame}   ", end="", file=sys.stderr, flush=True)
        return frames

    def _note(self, outcome: Outcome) -> None:
        """Add a line to the manifest, and tell of it."""
        with self._lock:
            self.outcomes.append(outcome)
            self._known[outcome.output] = outcome
            self._ended += 1
            with self._manifest.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
            count = f"[{self._ended}/{self._total}]"
        if self._json:
            self._print(json.dumps(asdict(outcome)))
        elif outcome.error is not None:
            self._say(f"{count} {outcome.input}: {outcome.error}")
        else:
            took = f"{outcome.frames} frames in {outcome.seconds:.1f} s"
            self._say(f"{count} {outcome.input} → {outcome.output}: {took}")

    def _say(self, text: str) -> None:
        if not self._json:
            self._print(("\r\033[K" if sys.stderr.isatty() else "") + text)

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def _stop(self) -> None:
        """End the processes; each keeps what it can continue from."""
        with self._lock:
            self._stopped = True
            children = [*self._children]
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def read_manifest(path: Path) -> dict[str, Outcome]:
    """Return the last line of each output; what is no line of a manifest is left out, such as half a line."""
    known: dict[str, Outcome] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return known
    except OSError as error:
        raise InputError("command.batch_folder", name=str(path), reason=str(error.strerror)) from error
    for line in lines:
        try:
            outcome = Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue
        known[outcome.output] = outcome
    return known


def format_table(outcomes: Sequence[Outcome]) -> str:
    """Return one row for each job: its state, frames, time and files."""
    rows = [
        (
            outcome.state,
            str(outcome.frames),
            f"{outcome.seconds:.1f} s",
            outcome.input,
            outcome.error or outcome.output,
        )
        for outcome in outcomes
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(4)] if rows else []
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


def watch_pause() -> None:
    """Wait until the watched folders are looked into again."""
    time.sleep(_WATCH_SECONDS)


def _errors(child: subprocess.Popen[str]) -> list[str]:
    """Return the lines of a process's errors that are not empty."""
    return [line.strip() for line in child.stderr or () if line.strip()]
