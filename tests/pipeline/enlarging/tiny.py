"""Tiny networks with random weights, of the class of Swin2SR, as files of weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline.models import helpers
from pipeline.networks import swin2sr
from pipeline.weights.spec import Weights

_CREATE = swin2sr.create


def create(scale: int, **_changes: Any) -> Any:
    """Create a network whose pixels depend on others that are at most about 20 pixels away."""
    torch.manual_seed(0)
    network = _CREATE(scale, embed_dim=8, depths=[2], num_heads=[2])
    for weights in network.parameters():  # as they are drawn, every pixel would be nearly the same
        if weights.dim() > 1:
            torch.nn.init.kaiming_normal_(weights, 0.5)
    return network


def install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Save tiny networks into a folder of weights, in place of the published ones; returns their files."""
    monkeypatch.setenv("RECORTE_WEIGHTS", str(weights))
    monkeypatch.setattr(swin2sr, "create", create)
    paths = []
    for scale, helper in helpers.SWIN2SR.items():
        (published,) = helper.weights.files
        path = weights / published.name
        path.parent.mkdir(parents=True)
        save_file(create(scale).state_dict(), path)
        data = path.read_bytes()
        own = replace(published, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setitem(helpers.SWIN2SR, scale, replace(helper, weights=Weights((own,))))
        paths.append(path)
    return paths
