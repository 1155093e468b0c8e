"""Short runs for an hour: python -m benchmarks.soak CLIP [--minutes 60] [--seconds 1] [--model recorte]

The server's parts as app.py puts them together, on a data folder and database of their own. Over and over an
upload becomes a session, is marked and looked at, is made into a video, and is deleted. What the server and
its worker hold is told after each tenth of the time and, last, as a ratio of the last tenth to the second:
resident memory, open files, threads and child processes, the database's connections, and the bytes and files
of the data folder. The first tenth warms up. None of them may rise with the number of runs.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
from sqlalchemy import text

from benchmarks.memory import ffmpeg
from db.engine import Database
from db.ledger import Ledger
from pipeline import formats
from pipeline.job import Job
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from ui.sessions.rendering.frames import create_inference_service
from ui.sessions.rendering.protocol import InferenceClient
from ui.sessions.service import SessionService

SAMPLE = Path(__file__).resolve().parent.parent / "assets" / "sample.mp4"
_TENTHS = 10
_MIB = 2**20


def cycle(actions: SessionService, clip: Path, folder: Path, form: str, model: str) -> None:
    """One session from its upload to its deletion."""
    upload = Path(shutil.copyfile(clip, folder / "upload.mp4"))
    id = actions.create(upload, clip.name)
    actions.choices.choose_model(id, model)
    actions.choices.choose_format(id, form)
    found = actions.open(id)
    actions.frames.filmstrip(found)
    actions.frames.render_frame(found, found.clip.frames // 2, "cutout")
    actions.run(id)
    while actions.open(id).running:
        time.sleep(0.05)
    done = actions.open(id)
    if not done.row.results:
        raise SystemExit(f"a run ended as {done.row.state}: {done.row.error}")
    actions.delete(id)


def size(path: Path) -> int:
    """0 for what the database has removed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def held(worker: Worker, database: Database, home: Path) -> dict[str, float]:
    here = psutil.Process()
    there = psutil.Process(worker.pid)
    with database.begin() as tx:
        connections = tx.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL"))
    files = [path for path in home.rglob("*") if path.is_file()]
    kept = [path for path in files if path.is_relative_to(home / "sessions")]
    return {
        "server MiB": here.memory_info().rss / _MIB,
        "worker MiB": there.memory_info().rss / _MIB,
        "server files": here.num_fds(),
        "worker files": there.num_fds(),
        "server threads": here.num_threads(),
        "worker threads": there.num_threads(),
        "processes": len(here.children(recursive=True)),
        "connections": connections or 0,
        "session files": len(kept),
        "folder MiB": sum(map(size, files)) / _MIB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=1, help="of the clip that each run is about")
    parser.add_argument("--model", default=Job.model)
    parser.add_argument("--formats", nargs="+", default=["mp4", "webm", "gif"], choices=list(formats.FORMATS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name), Path(name) / "home"
        home.mkdir()
        clip = folder / "clip.mp4"
        ffmpeg("-t", str(options.seconds), "-i", options.clip, "-vf", "scale=-2:360", clip)
        with (
            Database.open(None, home / "database") as database,
            closing(Ledger(database)) as ledger,
            Worker(create_inference_service) as worker,
            closing(Runner(ledger, InferenceClient(worker).process, kill=worker.kill)) as runner,
        ):
            actions = SessionService(home, database, runner, SAMPLE, worker)
            forms = itertools.cycle(options.formats)
            told: list[dict[str, float]] = []
            runs, began = 0, time.monotonic()
            for tenth in range(1, _TENTHS + 1):
                while time.monotonic() - began < tenth * options.minutes * 60 / _TENTHS:
                    cycle(actions, clip, folder, next(forms), options.model)
                    runs += 1
                told.append(held(worker, database, home))
                if tenth == 1:
                    print("  runs  " + "  ".join(told[0]))
                print(f"{runs:6}  " + "  ".join(f"{v:{len(k)}.0f}" for k, v in told[-1].items()), flush=True)
            ratios = (f"{told[-1][k] / max(told[1][k], 1):{len(k)}.2f}" for k in told[1])
            print(" ratio  " + "  ".join(ratios))


if __name__ == "__main__":
    main()
