"""A Ray cluster of several nodes on this machine, for the tests of this folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.jobs.worker import Worker
from tests.pipeline import stand_in
from tests.pipeline.cluster.stand_in_nodes import StandInDriver

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs no job, and a node that runs one at a time; a test may add others."""
    pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own modules
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args=NODE | {"num_cpus": 0})
    made.add_node(**NODE)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that keeps the model within a frame."""
    path = tmp_path_factory.mktemp("gate") / "closed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(stand_in.GATE, str(path))
        yield path


@pytest.fixture(scope="module")
def driver(cluster: Any) -> Iterator[Worker]:
    """A driver of the cluster whose nodes have the stand-ins among their models."""
    with open_driver(cluster.address, factory=StandInDriver) as driver:
        yield driver


@pytest.fixture
def executor(driver: Worker) -> RayExecutor:
    return RayExecutor(driver, 0)
