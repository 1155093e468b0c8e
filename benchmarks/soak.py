"""Short runs for an hour: python -m benchmarks.soak CLIP [--minutes 60] [--seconds 1] [--model recorte]

The server's parts as app.py composes them, on a data folder and database of their own. Repeatedly, an upload
becomes a session, frames are rendered, it is run, and it is deleted. The resources of the server and its
worker are printed after each tenth of the time and, last, as a ratio of the last tenth to the second:
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

from benchmarks.memory import run_ffmpeg
from db.engine import Database
from db.ledger import Ledger
from pipeline import formats
from pipeline.job import Job
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from ui.sessions.rendering.executors import PictureWorkerExecutor
from ui.sessions.rendering.frames import create_inference_service
from ui.sessions.service import SessionService

SAMPLE = Path(__file__).resolve().parent.parent / "assets" / "sample.mp4"
_TENTHS = 10
_MIB = 2**20


def run_cycle(service: SessionService, clip: Path, folder: Path, form: str, model: str) -> None:
    """Take one session from its upload to its deletion."""
    upload = Path(shutil.copyfile(clip, folder / "upload.mp4"))
    id = service.create(upload, clip.name)
    service.choices.choose_model(id, model)
    service.choices.choose_format(id, form)
    session = service.open(id)
    service.frames.filmstrip(session)
    service.frames.render_frame(session, session.clip.frames // 2, "cutout")
    service.run(id)
    while service.open(id).running:
        time.sleep(0.05)
    finished = service.open(id)
    if not finished.row.results:
        raise SystemExit(f"a run ended as {finished.row.state}: {finished.row.error}")
    service.delete(id)


def file_size(path: Path) -> int:
    """Return a file's size; 0 if the database has removed it meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def measure_usage(worker: Worker, database: Database, home: Path) -> dict[str, float]:
    server = psutil.Process()
    worker_process = psutil.Process(worker.pid)
    with database.begin() as tx:
        connections = tx.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL"))
    files = [path for path in home.rglob("*") if path.is_file()]
    session_files = [path for path in files if path.is_relative_to(home / "sessions")]
    return {
        "server MiB": server.memory_info().rss / _MIB,
        "worker MiB": worker_process.memory_info().rss / _MIB,
        "server files": server.num_fds(),
        "worker files": worker_process.num_fds(),
        "server threads": server.num_threads(),
        "worker threads": worker_process.num_threads(),
        "processes": len(server.children(recursive=True)),
        "connections": connections or 0,
        "session files": len(session_files),
        "folder MiB": sum(map(file_size, files)) / _MIB,
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
        run_ffmpeg("-t", str(options.seconds), "-i", options.clip, "-vf", "scale=-2:360", clip)
        with (
            Database.open(None, home / "database") as database,
            closing(Ledger(database)) as ledger,
            Worker(create_inference_service) as worker,
            closing(Runner(ledger, [PictureWorkerExecutor("auto", worker)])) as runner,
        ):
            service = SessionService(home, database, runner, SAMPLE, worker)
            forms = itertools.cycle(options.formats)
            samples: list[dict[str, float]] = []
            runs, started = 0, time.monotonic()
            for tenth in range(1, _TENTHS + 1):
                while time.monotonic() - started < tenth * options.minutes * 60 / _TENTHS:
                    run_cycle(service, clip, folder, next(forms), options.model)
                    runs += 1
                samples.append(measure_usage(worker, database, home))
                if tenth == 1:
                    print("  runs  " + "  ".join(samples[0]))
                print(
                    f"{runs:6}  " + "  ".join(f"{v:{len(k)}.0f}" for k, v in samples[-1].items()), flush=True
                )
            ratios = (f"{samples[-1][k] / max(samples[1][k], 1):{len(k)}.2f}" for k in samples[1])
            print(" ratio  " + "  ".join(ratios))


if __name__ == "__main__":
    main()
