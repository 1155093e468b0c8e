"""The program offers what it offered: keys, commands, addresses, elements, models, formats, tables."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.golden import internals, jobs, listings
from tests.golden.internals import Database, Job
from tests.golden.jobs import DATA


def golden(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", jobs.fixed())
def test_the_json_and_keys_of_jobs_are_unchanged(name: str) -> None:
    assert jobs.listed()[name] == golden("jobs")[name]


@pytest.mark.parametrize("name", jobs.fixed())
def test_a_job_is_read_from_its_json(name: str) -> None:
    kept = golden("jobs")[name]
    job = Job.from_json(kept["json"], DATA)
    assert job == jobs.fixed()[name]
    assert (internals.matte_key(job), internals.result_key(job, DATA)) == (kept["matte"], kept["result"])


def test_every_stored_job_is_checked() -> None:
    assert jobs.fixed().keys() == golden("jobs").keys()
    different = {one["matte"] for one in golden("jobs").values()}
    assert len(different) > 5 and len({one["result"] for one in golden("jobs").values()}) == len(
        golden("jobs")
    )


@pytest.mark.parametrize("name", ["cards", "formats", "probe", "settings"])
def test_the_lists_are_unchanged(name: str) -> None:
    assert listings.STANDALONE[name]() == golden(name)


@pytest.mark.parametrize("command", listings.HELPED)
def test_the_help_of_commands_is_unchanged(command: str) -> None:
    assert listings.helped(command) == golden("help")[command]


def test_the_tables_are_unchanged(own: Database) -> None:
    assert listings.tables(own.engine) == golden("tables")


def test_addresses_and_element_ids_are_unchanged(own: Database, tmp_path: Path) -> None:
    url = own.engine.url.render_as_string(hide_password=False)
    served, before = listings.served(tmp_path / "home", url), golden("served")
    assert served["routes"] == before["routes"]
    assert served["elements"] == before["elements"]


# Exit statuses


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, ("probe", DATA / "clip.mkv")),
        (0, ("models",)),
        (0, ("preview", DATA / "clip.mkv", "{out}/a.png", "--model", "grabcut", "--box", "4,5,27,30")),
        (0, ("run", DATA / "clip.mkv", "{out}/a.mp4", "--model", "grabcut", "--box", "4,5,27,30")),
        (2, ()),
        (2, ("nothing",)),
        (2, ("probe", DATA / "cards.json")),
        (2, ("probe", DATA / "missing.mp4")),
        (2, ("probe", "--unknown", DATA / "clip.mkv")),
        (2, ("probe",)),
        (2, ("run", DATA / "clip.mkv", "{out}/a.mp4", "--model", "none")),
        (2, ("run", DATA / "clip.mkv", "{out}/a.mp4", "--model", "grabcut", "--box", "1,2,3")),
        (2, ("run", DATA / "clip.mkv", "{out}/a.mp4", "--rate", "quick")),
        (2, ("run", DATA / "clip.mkv", "{out}/a.unknown")),
        (2, ("run", DATA / "clip.mkv", "{out}/none/a.mp4", "--model", "grabcut", "--box", "4,5,27,30")),
        (2, ("render", DATA / "clip.mkv", DATA / "missing.mkv", "{out}/a.mp4")),
        (2, ("download", "none")),
    ],
    ids=lambda value: " ".join(map(str, value)).replace(f"{DATA}/", "") if isinstance(value, tuple) else None,
)
def test_exit_statuses_of_the_pipeline(
    status: int, arguments: tuple[str | Path, ...], tmp_path: Path
) -> None:
    given = [str(argument).replace("{out}", str(tmp_path)) for argument in arguments]
    done = listings.call(*listings.PIPELINE, *given)
    assert done.returncode == status, done.stderr
    assert bool(done.stderr) == (status != 0) and "Traceback" not in done.stderr
    assert bool(done.stdout) == (status == 0)


def test_errors_other_than_bad_input_have_status_1(tmp_path: Path) -> None:
    folder = tmp_path / "m.mkv.parts"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as another run holds it that makes the same matte
        cut = ("--model", "grabcut", "--box", "4,5,27,30", "--matte", str(tmp_path / "m.mkv"))
        done = listings.call(*listings.PIPELINE, "run", DATA / "clip.mkv", tmp_path / "a.mp4", *cut)
    finally:
        os.close(handle)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("m.mkv: another run ") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("nothing",), {}),
        (("--unknown",), {}),
        (("user",), {}),
        (("user", "add"), {}),
        (("doctor",), {"RECORTE_PORT": "many"}),
        (("user", "list"), {"RECORTE_HOME": "/dev/null/home"}),
    ],
    ids=["command", "option", "no command", "no name", "setting", "folder"],
)
def test_refused_arguments_of_the_application_have_status_2(
    arguments: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    done = listings.call(*listings.APP, *arguments, **{"RECORTE_HOME": str(tmp_path), **environment})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr and "Traceback" not in done.stderr


def test_listing_users_has_status_0(own: Database, tmp_path: Path) -> None:
    url = own.engine.url.render_as_string(hide_password=False)
    done = listings.call(*listings.APP, "user", "list", RECORTE_HOME=str(tmp_path), DATABASE_URL=url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "There are no users.\n", "")
