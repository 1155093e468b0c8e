"""A machine outside the cluster, which reaches it by a `ray://` address, and its files by a store."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pipeline.cluster.crossing import CODE
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.errors import WorkerLost
from pipeline.job import Job
from tests.pipeline import stand_in
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import StandInDriver
from tests.pipeline.cluster.test_executor import expected, made
from tests.waiting import until

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that keeps the model within a frame."""
    return tmp_path / "closed"


@pytest.fixture
def address(gate: Path) -> Iterator[str]:
    """The `ray://` address of a cluster of one node, whose head was started in the folder of the program."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own modules
        from ray.cluster_utils import Cluster

        patch.setenv("PYTHONPATH", str(CODE))  # as the README has it for `ray start`
        patch.setenv(stand_in.GATE, str(gate))
        patch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "2")
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"ray_client_server_port": port})
        until(lambda: answers(port))
        yield f"ray://127.0.0.1:{port}"
        cluster.shutdown()


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def connections() -> list[psutil.Process]:
    """Return the processes that Ray has for machines outside, one for each."""
    found = psutil.process_iter(["cmdline"])
    return [one for one in found if "--mode=specific-server" in (one.info["cmdline"] or ())]


def test_a_job_from_outside_is_that_of_this_machine_and_a_connection_that_is_lost_is_told(
    address: str, gate: Path, clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    job = Job(clip_path, tmp_path / "result.mp4", model="gated", matte=tmp_path / "matte.mkv", end=0.6)
    gate.touch()
    with open_driver(address, f"file://{tmp_path}/store", factory=StandInDriver) as driver:
        executor = RayExecutor(driver, 0)
        with (
            closing(executor.run(job)) as steps,
            pytest.raises(WorkerLost, match="the connection to the Ray cluster was lost"),
        ):
            until(lambda: next(steps).done == 3)
            (connection,) = connections()
            connection.kill()
            list(steps)
        assert not job.output.exists()
        gate.unlink()
        for _ in executor.run(job):  # by a connection of its own
            pass
        assert made(job) == expected(job, tmp_path / "here")
    until(lambda: not connections())
