"""Files as users have them on their disks: how each was made. Only `make.py` calls this.

`python -m tests.golden.files HOME URL` is a program that is killed while it works: it makes sessions in a
data folder and a database, and prints `done` when all is done but for the run in which it is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import Engine, text

from tests import children, rendered
from tests.golden import internals
from tests.golden.internals import Box, Database, Job, Prompt, stand_in, users
from tests.golden.jobs import DATA
from tests.golden.listings import ROOT, written

FRAMES, RATE, SIDE = 40, 20, 32
FILM_TIMES = [0, 40, 80, 120, 200, 240, 280, 320, 360, 400, 480, 520]
"""Milliseconds."""

SEEN = Box(1.0, 1.0, 30.0, 30.0)
FIGURE = Prompt(box=Box(22.0, 4.0, 78.0, 64.0))
NAME, PASSWORD = "ana", "correct horse battery"
TOKEN = "MNha-QJCokzcPiw4AwfA7qRdVxweWyHewiUMs0lEaEo"
"""The token whose hash is in `signed-in.json`, a file of earlier versions that is not made any more."""
SEGMENT_SECONDS = "0.2"
"""Interval at which a run that is to be killed closes a segment."""


def clip() -> None:
    """Two seconds of pictures that carry their number, in lossless RGB, with a keyframe at every tenth."""
    rendered.write_clip(
        DATA / "clip.mkv",
        stand_in.numbered(FRAMES, SIDE, SIDE),
        rate=Fraction(RATE),
        codec="libx264rgb",
        pix_fmt="rgb24",
        options={"crf": "0", "g": "10", "sc_threshold": "0"},
    )
    internals.keep_index(DATA / "clip.mkv")


def film() -> None:
    """Half a second of a moving figure at uneven times, with sound."""
    frames, _ = rendered.subject_over_background(len(FILM_TIMES), 96, 64)
    rendered.write_clip(
        DATA / "film.mp4",
        frames,
        rate=25,
        pts=FILM_TIMES,
        time_base=Fraction(1, 1000),
        sound=True,
        options={"preset": "veryfast", "crf": "23", "g": "8"},
    )
    internals.keep_index(DATA / "film.mp4")


def weights() -> None:
    """Weights of a user's own; for a job's keys they are bytes."""
    (DATA / "weights.pt").write_bytes(bytes(range(256)))


# A matte


def kept_job(folder: Path) -> Job:
    """One whose matte is kept: of a part of the clip, and by a model that sees what was before."""
    output, matte = folder / "out.zip", folder / "matte.mkv"
    cut = Prompt(0.5, box=SEEN)
    return Job(
        DATA / "clip.mkv", output, "remembering", (cut,), format="png", start=0.5, end=1.5, matte=matte
    )


def matte() -> None:
    """The matte of that job, and what is in it."""
    with tempfile.TemporaryDirectory() as folder, stand_in.registered():
        job = kept_job(Path(folder))
        internals.run(job)
        shutil.copyfile(Path(folder, "matte.mkv"), DATA / "matte.mkv")
    note("matte.json", {"key": internals.matte_key(job), "planes": planes(DATA / "matte.mkv")})


# Killed runs


def killed_job(folder: Path) -> Job:
    """Two objects, each both ways from its box."""
    marks = (Prompt(0.5, box=SEEN), Prompt(1.2, box=SEEN, object=2))
    return Job(
        DATA / "clip.mkv", folder / "out.zip", "dwelling", marks, format="png", matte=folder / "matte.mkv"
    )


def killed_figure_job(folder: Path) -> Job:
    """With the network that is shipped."""
    output, matte = folder / "out.zip", folder / "matte.mkv"
    return Job(DATA / "film.mp4", output, "recorte", (FIGURE,), format="png", matte=matte)


def killed() -> None:
    """Files of a run that was killed on its way, and the mattes of one that was not."""
    with tempfile.TemporaryDirectory() as folder, stand_in.registered():
        job = killed_job(Path(folder))
        kill(job, lambda step: step["done"] >= 55, DATA / "killed")
        internals.run(job)
        assert job.matte is not None
        note("killed.json", {"planes": planes(job.matte), "kept": count(DATA / "killed")})


def killed_figure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        kill(killed_figure_job(Path(folder)), lambda step: step["done"] >= 5, DATA / "killed-recorte", "0")
        note("killed-recorte.json", {"kept": count(DATA / "killed-recorte")})


def kill(
    job: Job, when: Callable[[dict[str, Any]], bool], kept: Path, seconds: str = SEGMENT_SECONDS
) -> None:
    """Run a job by the command line, kill it, and move what it leaves beside its matte to `kept`."""
    marks = job.output.with_name("marks.json")
    marks.write_text(json.dumps([prompt.to_json() for prompt in job.prompts]))
    arguments = ["run", job.source, job.output, "--model", job.model, "--format", job.format]
    arguments += ["--matte", job.matte, "--prompts", marks, "--json"]
    program = [sys.executable, "-m", internals.STAND_IN_PROGRAM, *map(str, arguments)]
    environment = os.environ | {"SEGMENT_SECONDS": seconds}
    with children.running(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if when(json.loads(line)):
                break
        run.send_signal(signal.SIGKILL)
    left = job.output.with_name("matte.mkv.parts")
    thin(left)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(left, kept)
    shutil.rmtree(left)


def thin(left: Path) -> None:
    """Remove what is never read again, for it is large: states but the last, and segments without a note."""
    for stream in left.glob("*/"):
        notes = sorted(stream.glob("segment-*.json"))
        ended = json.loads(notes[-1].read_text())["ended"] if notes else True
        last = None if ended else notes[-1].with_suffix(".state")
        for path in stream.glob("segment-*"):
            if path.with_suffix(".json") not in notes or (path.suffix == ".state" and path != last):
                path.unlink()


def count(folder: Path) -> int:
    """Return the number of mattes in the segments of a killed run."""
    return sum(len(json.loads(path.read_text())["pts"]) for path in folder.glob("*/segment-*.json"))


def planes(matte: Path) -> str:
    """Digest of a matte's planes, one after another."""
    digest = hashlib.sha256()
    for plane in internals.mattes(matte):
        digest.update(plane.tobytes())
    return digest.hexdigest()


# A data folder


def home() -> None:
    """A data folder of a server that was killed, and the rows of its database.

    One session is done, of a user with a password; of another, whose user is the local one, a run was under
    way.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, kept = Path(folder, "home"), DATA / "home"
        with Database.open(None, Path(folder, "database")) as database:
            url = database.engine.url.render_as_string(hide_password=False)
            program = [sys.executable, "-m", "tests.golden.files", str(home), url]
            environment = os.environ | {"SEGMENT_SECONDS": SEGMENT_SECONDS}
            with children.running(
                program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
            ) as run:
                assert run.stdout is not None
                assert run.stdout.readline() == "done\n"
                while len(list(home.glob("sessions/*/matte.mkv.parts/*/*.json"))) < 4:
                    time.sleep(0.01)
                run.send_signal(signal.SIGKILL)
                run.wait()
            note("rows.json", rows(database.engine))
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(home, kept, ignore=shutil.ignore_patterns("*.part", "uploads"))
        for left in kept.glob("sessions/*/*.parts"):
            thin(left)


def session_work(folder: Path, url: str) -> None:
    internals.close_segments_often(float(os.environ["SEGMENT_SECONDS"]))
    back = folder / "uploads" / "back.png"
    back.parent.mkdir(parents=True)
    with stand_in.registered(), Database.open(url, folder) as database:
        with database.begin() as tx:
            ana = users.add(tx, name=NAME, password=PASSWORD, admin=True)
            users.acknowledge(tx, id=ana.id, model="rmbg", licence_url="https://example.org/licence")
        with internals.service(folder, database) as local:
            theirs = local.for_owner(ana.id)
            upload = shutil.copyfile(DATA / "film.mp4", folder / "uploads" / "film.mp4")
            id = theirs.create(upload, "Film.mp4")
            theirs.choices.choose_model(id, "grabcut")
            theirs.choices.save_marks(id, [FIGURE.to_json()], [{"number": 1, "name": "figure", "on": True}])
            Image.fromarray(checks()).save(back)
            theirs.choices.choose_picture(id, back, "back.png", "fit")
            theirs.star(id, True)
            theirs.run(id)
            while theirs.open(id).running or theirs.queue_position(id) is not None:
                time.sleep(0.05)
            upload = shutil.copyfile(DATA / "clip.mkv", folder / "uploads" / "clip.mkv")
            id = local.create(upload, "Clip.mkv")
            local.choices.choose_model(id, "dwelling")
            local.choices.save_marks(id, [{"time": 0.5, "box": [1, 1, 30, 30]}])
            local.choices.choose_format(id, "png")
            local.run(id)
            print("done", flush=True)
            time.sleep(60)  # it is killed


def checks() -> np.ndarray:
    """A checked picture `[H, W, 3]`, uint8."""
    y, x = np.mgrid[:24, :48] // 8 % 2
    return ((x ^ y)[..., None] * np.array([200, 120, 40])).astype(np.uint8)


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tables, in an order in which they can be put in."""
    with engine.connect() as connection:
        return {
            table: [
                row
                for (row,) in connection.execute(
                    text(f"SELECT row_to_json(t) FROM {table} t ORDER BY 1::text")
                )
            ]
            for table in TABLES
        }


TABLES: Sequence[str] = ("users", "acknowledgements", "sessions", "results")


def note(name: str, value: object) -> None:
    (DATA / name).write_text(written(value), encoding="utf-8")


MADE: dict[str, Callable[[], None]] = {
    "clip.mkv": clip,
    "film.mp4": film,
    "weights.pt": weights,
    "matte.mkv": matte,
    "killed": killed,
    "killed-recorte": killed_figure,
    "home": home,
}

if __name__ == "__main__":
    session_work(Path(sys.argv[1]), sys.argv[2])
