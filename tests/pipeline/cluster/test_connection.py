"""Clusters that cannot be joined, and the command line on one that is started for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.connection import join_cluster
from pipeline.cluster.crossing import error_from_json, error_to_json, find_versions
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.errors import InputError, RunError, WorkerLost
from pipeline.job import Job
from pipeline.languages.messages import Message
from pipeline.prompts import Box, Prompt

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_without_ray_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"requirements-cluster\.txt"):
        join_cluster("local")


@pytest.mark.parametrize("address", ["nonsense", "ray://host", "http://host:1", "host:99999", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="no address of a Ray cluster"):
        join_cluster(address)


def test_an_address_where_nothing_answers_ends_the_command(clip_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    output = tmp_path / "out.mp4"
    output.write_text("before")
    done = run("run", clip_path, output, "--model", "grabcut", "--ray", f"127.0.0.1:{port}", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"No Ray cluster answers at 127.0.0.1:{port}.")
    assert output.read_text() == "before"


def test_the_command_line_runs_on_a_cluster_of_its_own(clip_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    results = [tmp_path / name for name in ("there.mp4", "here.mp4")]
    options = ("--model", "grabcut", "--box", "90,40,230,170", "--end", "0.3", "--json")
    for output, place in zip(results, (["--ray", "local"], []), strict=True):
        done = run("run", clip_path, output, *options, *place)
        assert (done.returncode, done.stderr) == (0, "")
        assert '"frames_per_second"' in done.stdout.splitlines()[-1]
    assert results[0].read_bytes() == results[1].read_bytes()


def test_a_cluster_of_this_machine_outlives_its_first_job(clip_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with open_driver("local") as driver:
        for number in range(2):
            output = tmp_path / f"{number}.mp4"
            job = Job(clip_path, output, "grabcut", (Prompt(0.0, box=Box(90, 40, 230, 170)),), end=0.2)
            for _ in RayExecutor(driver, 0).run(job):
                pass
            assert output.exists()


@pytest.mark.parametrize(
    "error",
    [
        InputError("video.not_a_file", name="a.mp4"),
        RunError("writing.disk_full", name="b.mp4"),
        WorkerLost("runs.lost", how=Message("runs.signal", {"number": 9})),
    ],
)
def test_errors_survive_as_plain_data(error: Any) -> None:
    back = error_from_json(error_to_json(error))
    assert type(back) is type(error) and str(back) == str(error)


def test_memory_that_runs_out_is_told_and_other_errors_keep_their_trace() -> None:
    assert isinstance(error_from_json(error_to_json(MemoryError())), RunError)
    back = error_from_json(error_to_json(KeyError("x")))
    assert type(back) is RuntimeError and "KeyError" in back.__notes__[0]


def test_versions_are_those_of_what_is_installed() -> None:
    pytest.importorskip("ray")
    assert find_versions().keys() == {"Recorte", "Python", "torch", "ray"}
