"""Files that yesterday's program wrote are read by today's, and gone on with."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from tests.golden import files, internals
from tests.golden.internals import Box, Database, Job, Prompt, users
from tests.golden.jobs import DATA
from tests.golden.test_listings import golden
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture(autouse=True)
def data_stays_as_it_is() -> Iterator[None]:
    before = {path: path.stat().st_mtime_ns for path in DATA.rglob("*")}
    yield
    assert {path: path.stat().st_mtime_ns for path in DATA.rglob("*")} == before


# Indexes


@pytest.mark.parametrize("name", ["clip.mkv", "film.mp4"])
def test_an_index_file_is_written_as_before(name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copyfile(DATA / name, tmp_path / name))
    internals.keep_index(copy)
    kept = (DATA / f"{name}.index").read_text()
    assert json.loads((tmp_path / f"{name}.index").read_text()) == json.loads(kept)


@pytest.mark.parametrize("name", ["clip.mkv", "film.mp4"])
def test_an_older_index_file_is_read_without_a_scan(name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copyfile(DATA / name, tmp_path / name))
    data = json.loads((DATA / f"{name}.index").read_text())
    data["pts"][-1] += 1  # which no scan would find
    (tmp_path / f"{name}.index").write_text(json.dumps(data))
    assert internals.frame_times(copy) == data["pts"]
    assert internals.frame_times(DATA / name)[:-1] == data["pts"][:-1]


# A matte


def kept_matte(folder: Path) -> Job:
    shutil.copyfile(DATA / "matte.mkv", folder / "matte.mkv")
    return files.kept_job(folder)


def test_the_tags_of_an_older_matte_are_read() -> None:
    with av.open(str(DATA / "matte.mkv")) as container:
        tags = {k: v for k, v in container.metadata.items() if k.startswith("RECORTE_")}
    key = golden("matte")["key"]
    assert tags == {"RECORTE_KEY": key, "RECORTE_START": "500", "RECORTE_PAST": "1500"}
    assert internals.matte_of(DATA / "matte.mkv") == (key, 500, 1500)


def test_a_matte_is_computed_as_before(tmp_path: Path) -> None:
    job = files.kept_job(tmp_path)
    internals.run(job)
    assert internals.matte_key(job) == golden("matte")["key"]
    assert files.planes(tmp_path / "matte.mkv") == golden("matte")["planes"]
    with av.open(str(tmp_path / "matte.mkv")) as made, av.open(str(DATA / "matte.mkv")) as before:
        tags = made.metadata.keys() | before.metadata.keys()
        assert {name: made.metadata[name] for name in tags if name.startswith("RECORTE_")} == {
            name: before.metadata[name] for name in tags if name.startswith("RECORTE_")
        }


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.5), (0.75, 1.25)])
def test_an_older_matte_is_reused_without_a_model(start: float, end: float, tmp_path: Path) -> None:
    job = replace(kept_matte(tmp_path), start=start, end=end)
    with internals.no_model_loads():
        assert internals.run(job) == {"render"}
    assert job.output.is_file()
    assert (tmp_path / "matte.mkv").read_bytes() == (DATA / "matte.mkv").read_bytes()
    assert files.planes(tmp_path / "matte.mkv") == golden("matte")["planes"]


def test_an_older_matte_is_not_reused_beyond_its_range(tmp_path: Path) -> None:
    job = replace(kept_matte(tmp_path), end=1.6)
    with internals.counted(job.model) as model:
        assert internals.run(job) == {"matte"}
    assert model.frames == 22


# Killed runs


def left(name: str, job: Job) -> Job:
    """The job with what its killed run has left beside its matte."""
    shutil.copytree(DATA / name, job.output.with_name("matte.mkv.parts"))
    return job


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def test_an_older_killed_run_is_resumed(tmp_path: Path) -> None:
    whole = files.killed_job(folder(tmp_path, "whole"))
    with internals.counted(whole.model) as model:
        internals.run(whole)
    assert model.frames == 82 and not any(model.states)
    job = left("killed", files.killed_job(folder(tmp_path, "rest")))
    with internals.counted(job.model) as model:
        internals.run(job)
    known = golden("killed")
    assert model.frames == 82 - known["kept"]
    assert any(state is not None for state in model.states)
    assert files.planes(tmp_path / "rest" / "matte.mkv") == known["planes"]
    assert job.output.read_bytes() == whole.output.read_bytes()
    assert sorted(path.name for path in (tmp_path / "rest").iterdir()) == ["matte.mkv", "out.zip"]


def test_an_older_killed_run_of_the_shipped_network_is_resumed(tmp_path: Path) -> None:
    whole = files.killed_figure_job(folder(tmp_path, "whole"))
    with internals.counted(whole.model) as model:
        internals.run(whole)
        assert (model.frames, model.states) == (12, [None])
    job = left("killed-recorte", files.killed_figure_job(folder(tmp_path, "rest")))
    with internals.counted(job.model) as model:
        internals.run(job)
    kept = golden("killed-recorte")["kept"]
    assert model.frames == 12 - kept and [state is not None for state in model.states] == [True]
    # Another processor's numbers differ in their last bits.
    planes = [
        np.stack(list(internals.mattes(tmp_path / name / "matte.mkv"))).astype(int)
        for name in ("whole", "rest")
    ]
    assert np.abs(planes[0] - planes[1]).mean() < 2


# A data folder


@pytest.fixture
def home(tmp_path: Path, own: Database) -> Path:
    """The data folder of a server that was killed, with its rows in a database."""
    with own.begin() as tx:
        for table, rows in golden("rows").items():
            for row in rows:
                columns = ", ".join(row)
                tx.execute(
                    text(
                        f"INSERT INTO {table} ({columns}) SELECT {columns} "
                        f"FROM json_populate_record(NULL::{table}, CAST(:row AS json))"
                    ),
                    {"row": json.dumps(row)},
                )
    return Path(shutil.copytree(DATA / "home", tmp_path / "home"))


@pytest.fixture
def service(home: Path, own: Database) -> Iterator[Any]:
    """The application as it comes up on that folder."""
    with internals.service(home, own) as service:
        service.recover()
        service.requeue()
        yield service


def row(name: str) -> dict[str, Any]:
    (row,) = (each for each in golden("rows")["sessions"] if each["name"] == name)
    return dict(row)


def test_older_accounts_can_sign_in(home: Path, own: Database) -> None:
    (ana,) = golden("rows")["users"]
    with own.begin() as tx:
        user = users.authenticate(tx, name=files.NAME, password=files.PASSWORD)
        assert user is not None and (str(user.id), user.admin) == (ana["id"], True)
        assert users.authenticate(tx, name=files.NAME, password="another") is None
        licence = {"model": "rmbg", "licence_url": "https://example.org/licence"}
        assert users.has_acknowledged(tx, id=user.id, **licence)


def test_older_login_sessions_go_on(home: Path, own: Database) -> None:
    """`signed-in.json` was written by version 0.1.0, which kept login sessions in it for thirty days."""
    (ana,) = golden("rows")["users"]
    file = Path(shutil.copyfile(DATA / "signed-in.json", home / "signed-in.json"))
    (kept,) = golden("signed-in").values()
    internals.take_over_login_file(home, own, kept["until"] - 1000)
    assert not file.exists()
    found = internals.find_login(own, files.TOKEN)
    assert (str(found.id), found.name, found.admin) == (ana["id"], "ana", True)
    assert internals.find_login(own, files.TOKEN[:-1]) is None


def test_an_older_session_is_read_unchanged(service: Any, home: Path) -> None:
    before, (made,) = row("Film.mp4"), golden("rows")["results"]
    assert [session.row.name for session in service.list_sessions()] == ["Clip.mkv"]
    theirs = service.for_owner(internals.identifier(before["owner_id"]))
    assert [session.id for session in theirs.list_sessions()] == [before["id"]]
    session = theirs.open(before["id"])
    assert (session.row.name, session.row.state, session.row.starred) == ("Film.mp4", "done", True)
    assert session.clip.to_json() == before["clip"] and session.clip.path.is_file()
    assert session.job.to_json(session.folder) == before["job"]
    assert session.job.prompts == (Prompt(box=Box(22, 4, 78, 64)),)
    assert not session.outdated and session.review_times == []
    path, mime, name = theirs.result(session.id, made["id"])
    assert (mime, name) == ("video/mp4", "Film-recorte.mp4")
    kept = DATA / "home" / path.relative_to(home)
    assert path.read_bytes() == kept.read_bytes()
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        each.name for each in kept.parent.iterdir()
    )


def test_a_new_session_has_the_same_file_names(service: Any, tmp_path: Path) -> None:
    back = tmp_path / "back.png"
    Image.fromarray(files.checks()).save(back)
    id = service.create(Path(shutil.copyfile(DATA / "film.mp4", tmp_path / "upload.mp4")), "Film.mp4")
    service.choices.choose_model(id, "grabcut")
    service.choices.save_marks(id, [files.FIGURE.to_json()])
    service.choices.choose_picture(id, back, "back.png", "fit")
    service.run(id)
    until(lambda: service.queue_position(id) is None and not service.open(id).running)
    before = DATA / "home" / "sessions" / row("Film.mp4")["id"]
    assert names(service.open(id).folder) == names(before)


def names(folder: Path) -> list[str]:
    """The files' names, with zeros for what is drawn by chance."""
    return sorted(re.sub("-[0-9a-f]{8}", "-00000000", path.name) for path in folder.iterdir())


def test_an_interrupted_deletion_is_undone(home: Path, own: Database) -> None:
    id = row("Clip.mkv")["id"]
    folder = home / "sessions" / id
    folder.rename(folder.with_name(f".deleted-{id}"))
    with internals.service(home, own) as service:
        service.recover()
        assert service.open(id).folder == folder and folder.is_dir()


@pytest.mark.parametrize("background", [None, "blur:12", "transparent"])
def test_a_session_is_rendered_again_without_a_model(
    service: Any, home: Path, background: str | None
) -> None:
    before = row("Film.mp4")
    theirs = service.for_owner(internals.identifier(before["owner_id"]))
    id = before["id"]
    if background is not None:
        theirs.choices.choose_background(id, background)
        assert theirs.open(id).outdated
    with internals.no_model_loads():
        theirs.run(id)
        until(lambda: theirs.queue_position(id) is None and not theirs.open(id).running)
    session = theirs.open(id)
    assert (session.row.state, session.row.error) == ("done", None)
    newest, oldest = session.row.results
    assert str(oldest.id) == golden("rows")["results"][0]["id"]
    assert (newest.frames == 12 and newest.background == background) or background is None
    if background is None:  # the same look has the same key
        assert newest.key == oldest.key
    assert not session.outdated
    matte = session.folder.relative_to(home) / "matte.mkv"
    assert (home / matte).read_bytes() == (DATA / "home" / matte).read_bytes()


def test_a_run_killed_with_its_server_is_resumed(service: Any, home: Path) -> None:
    before = row("Clip.mkv")
    assert before["state"] == "running"
    session = service.open(before["id"])
    assert session.row.state == "interrupted" and session.can_resume
    assert session.job.to_json(session.folder) == before["job"]
    kept = files.count(DATA / "home" / session.folder.relative_to(home) / "matte.mkv.parts")
    with internals.counted("dwelling") as model:
        service.run(session.id)
        until(lambda: service.queue_position(session.id) is None and not service.open(session.id).running)
    session = service.open(session.id)
    assert (session.row.state, session.row.error) == ("done", None)
    assert kept > 0 and model.frames == 41 - kept
    assert [result.frames for result in session.row.results] == [40]
    assert not list(session.folder.glob("*.parts"))
