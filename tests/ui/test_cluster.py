"""The server with a Ray cluster of several nodes: what is lost on the way, and what is not.

KILLS in the environment is how often each thing is killed, at random moments; AWAY for how many seconds the
store is.
"""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest

from pipeline.errors import InputError
from pipeline.job import Job, Progress
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from pipeline.languages.messages import Message
from pipeline.process import process
from pipeline.prompts import Point, Prompt
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import OtherDriver, StandInDriver
from tests.ui import hosted
from tests.ui.conftest import Server
from tests.waiting import until
from ui.client import Recorte
from ui.page.sections.result import _progress_status
from ui.server import doctor
from ui.sessions.cluster import executors as module
from ui.sessions.cluster.executors import open_cluster

KILLS = int(os.environ.get("KILLS", "1"))
AWAY = float(os.environ.get("AWAY", "10"))
CLIP = Path(__file__).resolve().parents[2] / "assets" / "sample.mp4"
END = 1.0
MARK = {"time": 0.4, "points": [{"x": 160.0, "y": 90.0, "keep": True}]}

pytest.importorskip("ray")


class Nodes:
    """A Ray cluster with a head that runs no job, and a node that runs one at a time."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, at the address that it had before."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray's own modules
            from ray.cluster_utils import Cluster

            head = NODE | {"num_cpus": 0}
            head |= {"gcs_server_port": self.port} if self.port else {}
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.port = int(self.address.rpartition(":")[2])
        self._added: list[Any] = []
        self.add()

    def add(self) -> None:
        self._added.append(self._cluster.add_node(**NODE))

    def kill_newest(self) -> None:
        """Kill a node with all that runs there."""
        self._cluster.remove_node(self._added.pop(), allow_graceful=False)

    def kill(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "3")  # until a lost head is given up
        nodes = Nodes()
        yield nodes
        nodes.kill()


class Place:
    """The server that gives runs to a cluster, through a store."""

    def __init__(self, folder: Path, address: str) -> None:
        self.store = folder / "store"
        self.store.mkdir()
        self.server = Server(
            folder / "home",
            program=("-m", "tests.ui.stand_in_app"),
            RECORTE_RAY=address,
            RECORTE_STORE=f"file://{self.store}",
        )
        self.start()

    def start(self) -> None:
        self.server.start()
        self._client = Recorte(self.server.url)

    def create(self) -> str:
        """Create a session whose run takes a second or two; the model's work is put by bit by bit."""
        id: str = self._client.create(CLIP)["id"]
        self._client.request("PATCH", f"/sessions/{id}", json={"model": "dwelling", "end": END})
        self._client.request("PUT", f"/sessions/{id}/prompts", json={"prompts": [MARK], "objects": []})
        return id

    def run(self, session: str) -> str:
        id: str = self._client.start(session)["id"]
        return id

    def read(self, run: str) -> dict[str, Any]:
        told: dict[str, Any] = self._client.request("GET", f"/runs/{run}")
        return told

    def cancel(self, run: str) -> None:
        self._client.request("DELETE", f"/runs/{run}")

    def frames(self, run: str) -> int:
        """Return how many frames are done; -1 when the run has ended."""
        told = self.read(run)
        if told["state"] not in ("queued", "running"):
            return -1
        return told["progress"]["done"] if told["progress"] and told["progress"]["total"] else 0

    def has_done(self, run: str, frames: int) -> bool:
        return not 0 <= self.frames(run) < frames

    def has_ended(self, run: str) -> bool:
        return self.frames(run) < 0

    def finish(self, session: str, run: str) -> str:
        """Wait until a run is done, and continue it where it is interrupted; return the run that is done."""
        while True:
            until(partial(self.has_ended, run))
            told = self.read(run)
            if told["state"] == "done":
                return run
            assert told["state"] in ("interrupted", "cancelled"), told
            run = self.run(session)

    def result(self, run: str, to: Path) -> bytes:
        (result,) = self.read(run)["results"]
        for _ in self._client.download(result["id"], to):
            pass
        return to.read_bytes()

    def metrics(self) -> str:
        return httpx.get(f"{self.server.url}/metrics").text

    def close(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._client.close()
        self.server.stop(how)


def workers() -> list[psutil.Process]:
    """Return the processes of actors, of whatever driver."""
    found = psutil.process_iter(["name", "cmdline"])
    return [one for one in found if "ray::StandInNode" in " ".join(one.info["cmdline"] or ())]


@pytest.fixture(scope="module")
def place(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("cluster"), nodes.address)
    yield place
    place.close()
    assert not place.server.failed(), place.server.said()
    until(lambda: not workers())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The result of this machine."""
    from tests.pipeline import stand_in

    folder = tmp_path_factory.mktemp("expected")
    with stand_in.registered():
        for _ in process(make_job(folder, "here")):
            pass
    return (folder / "here.mp4").read_bytes()


def make_job(folder: Path, name: str) -> Job:
    mark = Prompt(0.4, (Point(160.0, 90.0),))
    output, matte = folder / f"{name}.mp4", folder / f"{name}.mkv"
    return Job(CLIP, output, model="dwelling", prompts=(mark,), matte=matte, end=END)


class Sink:
    """Takes down what becomes of each job."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: dict[str, str] = {}

    def started(self, key: str) -> None:
        self.begun.append(key)

    def progressed(self, key: str, progress: Progress) -> None: ...
    def checked(self, key: str, checks: object) -> None: ...

    def finished(self, key: str, result: object) -> None:
        self.ended[key] = "finished"

    def failed(self, key: str, message: Message) -> None:
        self.ended[key] = str(message)

    interrupted = failed

    def cancelled(self, key: str) -> None:
        self.ended[key] = "cancelled"


@pytest.mark.usefixtures("stand_ins")
def test_two_users_take_turns_and_a_node_that_joins_is_used(
    nodes: Nodes, expected: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.2)
    sink = Sink()
    with (
        Worker(hosted.create_inference_service) as pictures,
        open_cluster(nodes.address, None, None, pictures, factory=StandInDriver) as cluster,
        closing(Runner(sink, cluster.list())) as runner,
        cluster.follow(runner.use),
    ):
        for key in ("a1", "a2", "a3", "a4", "b1"):
            runner.submit(key, make_job(tmp_path, key), user=key[0])
        until(lambda: len(sink.begun) == 2)
        assert sink.begun == ["a1", "b1"] and len(runner.executors()) == 1
        nodes.add()
        until(lambda: any(state.name == "ray:1" and state.node for state in runner.executors()))
        assert [state.name for state in runner.executors()] == ["ray:0", "ray:1"]
        until(lambda: len(sink.ended) == 5)
        assert set(sink.ended.values()) == {"finished"} and sink.begun == ["a1", "b1", "a2", "a3", "a4"]
        nodes.kill_newest()
        until(lambda: len(runner.executors()) == 1)
    assert all((tmp_path / f"{key}.mp4").read_bytes() == expected for key in sink.ended)
    until(lambda: not workers())


def test_a_node_of_another_version_is_found_at_the_start(nodes: Nodes) -> None:
    pictures = Worker(hosted.create_inference_service)
    with (
        pytest.raises(InputError, match=r"has torch 1\.0 and this machine"),
        open_cluster(nodes.address, None, None, pictures, factory=OtherDriver),
    ):
        pass


def test_doctor_lists_the_nodes(nodes: Nodes, tmp_path: Path) -> None:
    address, store, *others = map(str, doctor._cluster(nodes.address, f"file://{tmp_path}"))
    assert address.endswith("has 2 nodes, and room for 1 jobs at a time.") and str(tmp_path) in store
    assert sum("runs no jobs" in line for line in others) == 1
    (node,) = (line for line in others if "1 cores" in line)
    assert node.startswith("ok") and "Recorte " in node and "torch " in node and "ray " in node
    (away,) = doctor._cluster("127.0.0.1:1", None)
    assert away.stops and "No Ray cluster answers" in away.sentence
    (bad,) = doctor._cluster(nodes.address, "file:///is/not/there")
    assert bad.stops and "cannot be used" in bad.sentence


def test_the_page_says_what_a_run_waits_for() -> None:
    session: Any = SimpleNamespace(id="a")

    def said(progress: Progress | None, language: str = "en") -> str:
        service: Any = SimpleNamespace(progress=lambda _: progress)
        return _progress_status(session, service, language)

    waiting = Progress("render", 0, 0, 0.0, None, notes=(Message("cluster.waiting_node"),))
    assert "Waiting for a free node of the Ray cluster." in said(waiting)
    assert "nodo libre" in said(waiting, "es") and "<progress" not in said(waiting)
    assert said(None) == said(Progress("render", 0, 0, 0.0, None)) and "Starting" in said(None)
    assert "3 of 24 frames" in said(Progress("matte", 3, 24, 1.0, None))


def test_a_run_of_the_server_is_that_of_this_machine(place: Place, expected: bytes, tmp_path: Path) -> None:
    session = place.create()
    run = place.run(session)
    node = f'recorte_cluster_jobs{{node="{os.uname().nodename}",state="running"}} 1.0'
    until(lambda: node in place.metrics())
    assert place.result(place.finish(session, run), tmp_path / "there.mp4") == expected


def end_worker(place: Place, nodes: Nodes, run: str) -> None:
    for worker in workers():
        worker.kill()


def end_node(place: Place, nodes: Nodes, run: str) -> None:
    nodes.kill_newest()
    nodes.add()


def end_server(place: Place, nodes: Nodes, run: str) -> None:
    place.close(signal.SIGKILL)
    until(lambda: not workers())
    place.start()
    assert place.read(run)["state"] == "interrupted"


def end_run(place: Place, nodes: Nodes, run: str) -> None:
    place.cancel(run)


def end_cluster(place: Place, nodes: Nodes, run: str) -> None:
    """Kill the head with all nodes, begin another run, and start the cluster again."""
    nodes.kill()
    until(lambda: place.has_ended(run))
    assert "the connection to the Ray cluster was lost" in place.read(run)["error"]
    assert place.server.status("/healthz") == 200
    waiting = place.run(place.create())
    until(lambda: place.read(waiting)["state"] == "running")
    nodes.start()
    until(lambda: place.frames(waiting) > 0)
    place.cancel(waiting)


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("end", [end_worker, end_node, end_server, end_run, end_cluster])
def test_nothing_is_lost_with_what_is_killed(
    place: Place,
    nodes: Nodes,
    expected: bytes,
    tmp_path: Path,
    end: Callable[[Place, Nodes, str], None],
    number: int,
) -> None:
    session = place.create()
    run = place.run(session)
    moment = random.randrange(1, 24)
    until(partial(place.has_done, run, moment))
    if place.frames(run) > 0:
        end(place, nodes, run)
    done = place.finish(session, run)
    assert place.result(done, tmp_path / "result.mp4") == expected, f"killed at frame {moment}"
    assert not list((place.server.sessions / session).glob(".*.part"))
    assert not [path for path in (place.store / "runs").rglob("*") if path.is_file()]


def test_a_store_that_is_away_is_waited_for(place: Place, expected: bytes, tmp_path: Path) -> None:
    session = place.create()
    run = place.run(session)
    until(lambda: place.frames(run) > 0)
    away = place.store.with_name("away")
    place.store.rename(away)
    time.sleep(AWAY)
    away.rename(place.store)
    assert place.finish(session, run) == run
    assert place.result(run, tmp_path / "result.mp4") == expected
