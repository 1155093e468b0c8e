"""Devices for networks: their choice, the precision that is fast on them, and batches that fit."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pipeline.errors import InputError, RunError

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_SPARE = 0.2
"""Share of a device's free memory that is not used: a reserve for other processes and fragmentation."""


def pick(name: str) -> torch.device:
    """Return the device that "auto", "cpu", "cuda" or "cuda:N" means here; "auto" is CUDA where there is any.

    Raises InputError for another name and for a device that this machine does not have.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError("devices.unknown", name=name)
    count = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    if not count:
        raise InputError("devices.no_cuda")
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        raise InputError("devices.no_such_cuda", number=number, last=count - 1)
    return torch.device("cuda", number)


class FrameDevice(NamedTuple):
    """A device that frames stay on from the decoder to the encoder."""

    torch: torch.device
    decoder: int | None
    """Number of the CUDA device that decodes; None: frames are decoded on the host and uploaded."""


def frame_device(name: str, decoder: str = "auto") -> FrameDevice | None:
    """Return the device that frames stay on where models run on device `name`; None: they stay on the host.

    Frames stay on CUDA devices only. `decoder` is "auto" or "cuda", which decodes there, too, or "cpu".
    Raises InputError as `pick`, and for a decoder that is not there.
    """
    if decoder not in DECODERS:
        raise InputError("devices.unknown_decoder", name=decoder)
    # Without a driver there is nothing to find, and torch, which takes seconds, is not loaded for it.
    device = pick(name) if has_cuda_driver() else None
    if device is None or device.type != "cuda":
        if decoder == "cuda":
            raise InputError("devices.no_decoder")
        return None
    return FrameDevice(device, None if decoder == "cpu" else device.index or 0)


DECODERS = "auto", "cpu", "cuda"


@cache
def has_cuda_driver() -> bool:
    """Return True if NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def is_device_lost(error: BaseException) -> bool:
    """Return True if the error means that the device is unusable in this process, as after a fault in CUDA.

    A device that is only out of memory stays usable.
    """
    torch = sys.modules.get("torch")
    if torch is None or isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError)


def precision(device: torch.device) -> torch.dtype:
    """Return the number format to run a network in: 16 bits where the hardware computes with them.

    CUDA: bfloat16 from Ampere on, float16 before. CPU: bfloat16 with AVX512-BF16 or AMX, else float32.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    capabilities = torch.cpu.get_capabilities()
    return (
        torch.bfloat16 if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else torch.float32
    )


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a network of float32 weights computes in `precision(device)`."""
    import torch

    dtype = precision(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def batch_size(device: torch.device, each: int, most: int = 16) -> int:
    """Return how many inputs of `each` bytes of working memory fit the device's free memory, 1 to `most`.

    1 on a CPU: one input occupies all cores, and more only take more memory.
    """
    import torch

    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    # Memory that torch has reserved and not allocated is free for this process alone.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, min(most, int(free * (1 - _SPARE)) // each))


def run_batches(
    run: Callable[[Sequence[Item]], Sequence[Result]], items: Iterator[Item], size: int
) -> Iterator[Result]:
    """Yield the result of each item, in order, from `run` in batches of up to `size`.

    `run` gives one result for each item. Where it runs out of memory the batch is halved, for good, and the
    same items are tried again; raises RunError where one item alone does not fit.
    """
    while batch := list(islice(items, size)):
        while batch:
            results = _run_batch(run, batch[:size])
            if results is None:
                if size == 1:
                    raise RunError("devices.no_memory")
                size = max(1, min(size, len(batch)) // 2)
                continue
            del batch[:size]
            yield from results


def _run_batch(
    run: Callable[[Sequence[Item]], Sequence[Result]], batch: Sequence[Item]
) -> Sequence[Result] | None:
    """Return the results of `run`; None where the memory was too small, after it was cleared."""
    import torch

    try:
        return run(batch)
    except torch.OutOfMemoryError:
        pass  # The error references the frames of `run` and their tensors: clear after it is freed.
    torch.cuda.empty_cache()
    return None


def describe(device: torch.device) -> tuple[str, int]:
    """Return a CUDA device's name, and its memory in bytes."""
    import torch

    properties = torch.cuda.get_device_properties(device)
    return str(properties.name), int(properties.total_memory)
