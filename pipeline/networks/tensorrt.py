"""Engines of networks of a fixed size, by torch-tensorrt, where RECORTE_TENSORRT=1 asks for them.

An engine is built once for a device and for these versions, which takes minutes, and is kept with the
weights. Before it is used, it is compared with the plain network, which stays where they differ. The package
is optional, and is not imported unless it is asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from pipeline import devices
from pipeline.errors import InputError
from pipeline.files import replacing
from pipeline.languages.messages import Message
from pipeline.weights.locate import weights_folder

SETTING = "RECORTE_TENSORRT"
"""Environment variable: 1 asks for engines."""

_DEVICES = ("cuda",)
"""Kinds of devices that have engines."""

_MEAN_DIFFERENCE, _DIFFERENCE = 0.5 / 255, 16 / 255
"""Most that an engine's alpha may differ from the network's: on average, and at one pixel in a thousand."""


class Accelerated(NamedTuple):
    """Network to be used on a device."""

    network: nn.Module
    note: Message | None = None
    """Reason for its being the plain one."""


class Engine(nn.Module):
    """Compiled network as a network of batches; its pictures go through it one by one."""

    def __init__(self, compiled: nn.Module, dtype: torch.dtype) -> None:
        """`dtype` is that of the pictures that it takes."""
        super().__init__()
        self._compiled = compiled
        self._dtype = dtype

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Map pictures `[N, 3, H, W]` to logits `[N, 1, H, W]`."""
        return torch.cat([self._compiled(picture[None].contiguous()) for picture in pictures.to(self._dtype)])


def is_asked(device: torch.device) -> bool:
    """Return True if networks on this device are to be replaced by engines."""
    return os.environ.get("RECORTE_TENSORRT") == "1" and device.type in _DEVICES


def find_version() -> str | None:
    """Return the version of the package; None: it is not installed."""
    try:
        return metadata.version("torch-tensorrt")
    except metadata.PackageNotFoundError:
        return None


def accelerate(network: nn.Module, device: torch.device, side: int, weights: str) -> Accelerated:
    """Return a network's engine for pictures of this side, or the network and the reason.

    The network is on the device, maps `[N, 3, side, side]`, -0.5 to 0.5, to logits, and has the weights of
    this name (`verify.identify`). Raises InputError where the package is not installed.
    """
    if find_version() is None:
        raise InputError("devices.no_tensorrt", setting=SETTING)
    path = weights_folder() / "engines" / f"{_identify(device, side, weights)}.pt2"
    picture = _draw_picture(side, device)
    try:
        with torch.no_grad():
            dtype = next(network.parameters()).dtype
            engine = _load(path, dtype) or _build(network, picture.to(dtype), path)
            if _agree(network, engine, picture, device):
                return Accelerated(engine)
    except Exception as error:  # those of the package are of many types
        if devices.is_device_lost(error):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        return Accelerated(network, Message("notes.tensorrt_failed", {"reason": reason}))
    path.unlink(missing_ok=True)
    return Accelerated(network, Message("notes.tensorrt_differs"))


def _identify(device: torch.device, side: int, weights: str) -> str:
    """Return a name for an engine, made of all that it depends on."""
    versions = {name: _version(name) for name in ("torch-tensorrt", "tensorrt")}
    parts: dict[str, Any] = {
        "weights": weights,
        "side": side,
        "precision": str(devices.precision(device)),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        **versions,
    }
    if device.type == "cuda":
        parts["device"] = devices.describe(device)[0]
        parts["capability"] = torch.cuda.get_device_capability(device)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _version(package: str) -> str | None:
    """Return a package's version, or that of the one which it installs for a version of CUDA."""
    for name in (package, f"{package}-cu13", f"{package}-cu12"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


def _draw_picture(side: int, device: torch.device) -> torch.Tensor:
    """Return the picture that engines are tried with, smooth and of all colours: `[1, 3, side, side]`."""
    small = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 1).to(device) - 0.5


def _load(path: Path, dtype: torch.dtype) -> Engine | None:
    """Return a kept engine; None: there is none, or it cannot be read, and is built anew."""
    if not path.exists():
        return None
    try:
        return Engine(_package().load(str(path)).module(), dtype)
    except Exception:  # the types of what is damaged in an archive are many
        return None


def _build(network: nn.Module, picture: torch.Tensor, path: Path) -> Engine:
    """Build an engine for pictures of this shape and dtype, and keep it."""
    precision, options = devices.precision(picture.device), dict[str, Any]()
    if picture.dtype != precision:  # as `devices.autocast` lets the network compute
        options = {"enable_autocast": True, "autocast_low_precision_type": precision}
    compiled = _package().compile(network, ir="dynamo", arg_inputs=[picture], **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        _package().save(compiled, str(part), arg_inputs=[picture])
    return Engine(compiled, picture.dtype)


def _package() -> Any:
    return importlib.import_module("torch_tensorrt")


def _agree(network: nn.Module, engine: nn.Module, picture: torch.Tensor, device: torch.device) -> bool:
    """Return True if both make about the same alpha of a picture."""
    with devices.autocast(device):
        plain, fast = (made(picture).float().sigmoid() for made in (network, engine))
    if plain.shape != fast.shape or not fast.isfinite().all():
        return False
    apart = (plain - fast).abs().flatten()
    worst = apart.topk(max(1, apart.numel() // 1000)).values[-1]
    return bool(apart.mean() <= _MEAN_DIFFERENCE and worst <= _DIFFERENCE)
