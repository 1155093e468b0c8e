"""The files of deployments say what Ray and KubeRay can read, and what a job asks for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cluster.capacity import Node, share_of_node

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_ray_accepts_the_cluster_of_machines() -> None:
    pytest.importorskip("ray")
    from ray.autoscaler._private.util import fillout_defaults, validate_config

    config = read("ray-cluster.yaml")
    validate_config(fillout_defaults(config))
    head, worker = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    assert all("PYTHONPATH=$PWD" in line and "RAY_AUTH_MODE=token" in line for line in (head, worker))
    assert "--num-cpus=0" in head and "$RAY_HEAD_IP:6379" in worker


def test_workers_on_kubernetes_start_from_none_and_have_what_a_job_asks_for_without_any() -> None:
    spec = read("kuberay.yaml")["spec"]
    assert spec["enableInTreeAutoscaling"] and spec["authOptions"] == {"mode": "token"}
    requirements = (DEPLOY.parent / "requirements-cluster.txt").read_text(encoding="utf-8")
    assert f"ray[client]>={spec['rayVersion'].rpartition('.')[0]}," in requirements
    (group,) = spec["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == 0 < group["maxReplicas"]
    (container,) = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    share = share_of_node([Node("head", float(spec["headGroupSpec"]["rayStartParams"]["num-cpus"]), 0, 0)])
    assert share.gpus <= float(limits["nvidia.com/gpu"]) and share.cpus <= float(limits["cpu"])
