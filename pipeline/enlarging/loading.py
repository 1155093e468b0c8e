"""Loading the networks that enlarge pictures, from verified local files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline import devices
from pipeline.enlarging.tiles import Network
from pipeline.models import helpers
from pipeline.weights import checkpoints, locate, verify


def check_loadable(scale: int) -> None:
    """Raise WeightsError where the weights for a scale, of `helpers.SWIN2SR`, are missing."""
    helper = helpers.SWIN2SR[scale]
    locate.find_files(helper.weights, helper.label, helper.key)


def load(scale: int, device: str) -> Network:
    """Return the network of a scale on a device; the last one is kept.

    Raises WeightsError for weights that are missing or damaged, InputError for a device that is not there.
    """
    helper = helpers.SWIN2SR[scale]
    (file,) = locate.find_files(helper.weights, helper.label, helper.key)
    verify.verify_files(helper.weights, [file])
    return _load(scale, file, device, file.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load(scale: int, file: Path, device: str, _changed: int) -> Network:
    from pipeline.networks import swin2sr

    network = swin2sr.create(scale)
    checkpoints.load_into(network, file)
    return swin2sr.Swin2sr(network, devices.pick(device))
