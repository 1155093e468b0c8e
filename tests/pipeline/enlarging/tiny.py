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
from pipeline.models.helpers import Helper
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


def save(weights: Path) -> list[Path]:
    """Save tiny networks into a folder of weights under the names of the published ones."""
    paths = []
    for scale, helper in helpers.SWIN2SR.items():
        path = weights / helper.weights.files[0].name
        path.parent.mkdir(parents=True)
        save_file(create(scale).state_dict(), path)
        paths.append(path)
    return paths


def helper_of(scale: int, path: Path) -> Helper:
    """Return the helper of a scale whose file is the one that was saved there."""
    helper, data = helpers.SWIN2SR[scale], path.read_bytes()
    (published,) = helper.weights.files
    own = replace(published, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return replace(helper, weights=Weights((own,)))


def register(weights: Path) -> None:
    """Make the networks in a folder of weights those of this process."""
    swin2sr.create = create
    for scale, helper in helpers.SWIN2SR.items():
        helpers.SWIN2SR[scale] = helper_of(scale, weights / helper.weights.files[0].name)


def install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Save tiny networks into a folder of weights, in place of the published ones; returns their files."""
    monkeypatch.setenv("RECORTE_WEIGHTS", str(weights))
    monkeypatch.setattr(swin2sr, "create", create)
    paths = save(weights)
    for scale, path in zip([*helpers.SWIN2SR], paths, strict=True):
        monkeypatch.setitem(helpers.SWIN2SR, scale, helper_of(scale, path))
    return paths
