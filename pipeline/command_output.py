"""Output of the command line: progress, summaries and facts, as text or as JSON lines."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline import models
from pipeline.clip import Clip, Remark
from pipeline.job import Progress
from pipeline.jobs import speeds
from pipeline.languages.messages import Message, render_for_command_line
from pipeline.weights.download import DownloadProgress
from pipeline.weights.spec import format_size

_REMARKS: dict[Remark, Message] = {
    "hdr": Message("remarks.hdr"),
    "interlaced": Message("remarks.interlaced"),
    "alpha": Message("remarks.alpha"),
}


def print_error(message: Message) -> None:
    """Print an error's sentence on standard error, in the language of the environment."""
    print(render_for_command_line(message), file=sys.stderr)


def print_note(message: Message) -> None:
    """Print on standard error what is worth knowing, in the language of the environment."""
    print(render_for_command_line(message), file=sys.stderr)


def print_remarks(clip: Clip) -> None:
    """Print on standard error what is unusual about a clip, in the language of the environment."""
    remarks = _REMARKS | {
        "mended": Message("remarks.mended", {"count": clip.mended}),
        "missing": Message("remarks.missing", {"count": clip.missing}),
    }
    for remark in clip.remarks:
        print(render_for_command_line(remarks[remark]), file=sys.stderr)


def print_facts(data: dict[str, Any], text: str, *, json_lines: bool) -> None:
    """Print `data` as a JSON line, or else `text`."""
    print(json.dumps(data) if json_lines else text)


def show_progress(steps: Generator[Progress, None, None], output: Path, *, json_lines: bool) -> None:
    """Run a job to its end, showing its progress, and print a summary; `output` is the file it writes."""
    began = time.monotonic()
    last: Progress | None = None
    with closing(steps):
        for last in steps:
            if json_lines:
                data = last.to_json()
                del data["checks"], data["notes"]  # the summary has them
                data.pop("messages", None)
                print(json.dumps(data), flush=True)
            elif sys.stderr.isatty():
                print(f"\r{_progress_line(last)}", end="", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    frames = last.frames if last else 0
    if json_lines:
        summary = {
            "frames": frames,
            "seconds": round(seconds, 3),
            "frames_per_second": round(frames / seconds, 2),
            "peak_memory_bytes": _peak_memory(),
            "output": str(output),
            "check": list(last.checks) if last else [],
            "notes": [str(note) for note in last.notes] if last else [],
        }
        print(json.dumps(summary))
        return
    if sys.stderr.isatty():
        print(file=sys.stderr)
    count = "1 frame" if frames == 1 else f"{frames} frames"
    rate = "" if frames == 1 else f" ({frames / seconds:.1f} a second)"
    print(f"{output}: {count} in {seconds:.1f} s{rate}.")
    for note in last.notes if last else ():
        print(note)
    if last and last.checks:
        times = ", ".join(f"{at:.2f} s" for at in last.checks)
        print(f"Look at {times}: the cut may have slipped there.")


def show_download(steps: Generator[DownloadProgress, None, None], *, json_lines: bool) -> None:
    """Run a download to its end, showing its progress."""
    shown = False
    with closing(steps):
        for step in steps:
            if json_lines:
                print(json.dumps(step.to_json()), flush=True)
            elif sys.stderr.isatty():
                shown = True
                done, total = format_size(step.done), format_size(step.total)
                line = f"{_bar(step.done, step.total)} {done} of {total} · {step.file}   "
                print(f"\r{line}", end="", file=sys.stderr, flush=True)
        if shown:
            print(file=sys.stderr)


def _progress_line(progress: Progress) -> str:
    left = "" if progress.left is None else f" · {progress.left:.0f} s left"
    bar = _bar(progress.done, progress.total)
    return f"{bar} {progress.done} of {progress.total} frames · {progress.rate:.1f}/s{left}   "


def _bar(done: int, total: int, width: int = 30) -> str:
    filled = round(width * min(1, done / max(1, total)))
    return "█" * filled + "░" * (width - filled)


def _peak_memory() -> int:
    """Return the peak memory of this process, in bytes.

    On Linux, getrusage also counts the parent process; /proc does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def show_models(*, json_lines: bool) -> None:
    """Print all models, what they take, and how fast they have been on this machine."""
    for card in models.cards().values():
        present, accepted = card.present, card.acknowledged
        measured = speeds.measured_speeds(card.key) or []
        size = card.weights.bytes if card.weights else 0
        facts = {
            "present": present,
            "bytes": size,
            "acknowledged": accepted,
            "speeds": [speed._asdict() for speed in measured],
        }
        licence = f"{card.licence}, {card.licence_url}"
        if card.restriction:
            licence += f"\n{'':18}{card.restriction} ({'' if accepted else 'not yet '}acknowledged)"
        kinds = (("points", card.points), ("box", card.box), ("none", card.automatic))
        rows = {
            "weights": "ready" if present else f"not here ({format_size(size)})",
            "marks": " or ".join(kind for kind, takes in kinds if takes),
            "licence": licence,
            "speed": "; ".join(map(speeds.label, measured)) or "not yet run here",
        }
        lines = [f"{card.key:17} {card.label}: {card.purpose}"]
        lines += [f"{'':6}{name:11} {value}" for name, value in rows.items()]
        print_facts(card.to_json() | facts, "\n".join(lines), json_lines=json_lines)
