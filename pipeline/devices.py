"""Devices for networks: their choice, the precision that is fast on them, and batches that fit."""

from __future__ import annotations

import ctypes
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pipeline.errors import InputError, RunError

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_SPARE = 0.2
"""Share of a device's free memory that is not used: a reserve for other processes and fragmentation."""
_QUEUED = 0.02
"""Share of a device's free memory that the frames of one queue may take."""
_CLEARLY_FASTER = 0.8
"""Share of float32's time that 16 bits may take to be worth their loss of precision."""
_TRIALS = 4
"""Times that a convolution is tried; the first ones include what a device prepares."""


AUTO = "auto"
_ACCELERATORS = ("cuda", "xpu", "mps")
"""Kinds of devices beside the processor, in the order in which "auto" takes them: those of NVIDIA (or AMD, by
ROCm), Intel and Apple."""
_NAME = re.compile(r"auto|cpu|mps|(?:cuda|xpu)(?::\d+)?")

_preferred = AUTO


def check_name(name: str) -> None:
    """Raise InputError for what is not a device's name, as "auto", "cpu", "mps", "cuda[:N]" or "xpu[:N]"."""
    if not _NAME.fullmatch(name):
        raise InputError("devices.unknown", name=name)


def prefer(name: str) -> None:
    """Make "auto" mean this device in this process: the server gives each worker one of its own."""
    global _preferred
    check_name(name)
    _preferred = name


def pick(name: str) -> torch.device:
    """Return the device that a name means here; "auto" is the preferred one, or the first that there is.

    Raises InputError for another name and for a device that this machine does not have.
    """
    import torch

    check_name(name)
    if name == AUTO:
        name = _preferred
    if name == AUTO:
        name = next((kind for kind in _ACCELERATORS if _count(kind)), "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, digits = name.partition(":")
    count, number = _count(kind), int(digits or 0)
    if not count:
        raise InputError("devices.no_cuda") if kind == "cuda" else InputError("devices.none", kind=kind)
    if number >= count:
        raise InputError("devices.no_such", kind=kind, number=number, last=count - 1)
    return torch.device(kind, number)


def _count(kind: str) -> int:
    """Return the number of this machine's devices of a kind."""
    import torch

    match kind:
        case "cuda":
            return torch.cuda.device_count() if torch.cuda.is_available() else 0
        case "xpu":
            return torch.xpu.device_count() if torch.xpu.is_available() else 0
        case _:
            return int(torch.backends.mps.is_available())


def list_all() -> list[torch.device]:
    """Return every device of the kind that "auto" means here, the processor as one. Raises as `pick`."""
    import torch

    kind = pick(AUTO).type
    return [torch.device("cpu")] if kind == "cpu" else [torch.device(kind, n) for n in range(_count(kind))]


def list_cuda() -> tuple[str, ...]:
    """Return the names of the CUDA devices that the driver lists, without loading torch."""
    if not has_cuda_driver():
        return ()
    driver, count = ctypes.CDLL(_DRIVER), ctypes.c_int()
    # A status other than 0 means that none can be used.
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(f"cuda:{number}" for number in range(count.value))


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


def own_stream(device: FrameDevice | None) -> AbstractContextManager[object]:
    """Return a context in which a thread queues what it computes on a device in a stream of its own.

    None: frames are on the host, and the context does nothing.
    """
    if device is None:
        return nullcontext()
    from pipeline.tensors import streams

    return streams.OwnStream(device.torch)


def queue_depth(device: FrameDevice | None, each: int, most: int) -> int:
    """Return how many frames of `each` bytes on a device may wait in a queue, 1 to `most`."""
    if device is None or device.torch.type != "cuda":
        return most
    return max(1, min(most, int(_free_memory(device.torch) * _QUEUED) // each))


DECODERS = "auto", "cpu", "cuda"


_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@cache
def has_cuda_driver() -> bool:
    """Return True if NVIDIA's driver is installed."""
    try:
        ctypes.CDLL(_DRIVER)
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

    CUDA: bfloat16 from Ampere on, float16 before. CPU: bfloat16 with AVX512-BF16 or AMX, else float32. Other
    devices: the fastest in a trial.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type != "cpu":
        return find_fastest(device)
    capabilities = torch.cpu.get_capabilities()
    return (
        torch.bfloat16 if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else torch.float32
    )


@cache
def find_fastest(device: torch.device) -> torch.dtype:
    """Return the number format in which a convolution is fastest on a device, by trying them.

    float32 unless one of 16 bits takes at most `_CLEARLY_FASTER` of its time and gives about the same.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 64, 128, 128, generator=generator).to(device)
    kernels = (torch.rand(64, 64, 3, 3, generator=generator) / 576).to(device)
    exact, best, least = None, torch.float32, inf
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        try:
            seconds, result = _time_convolution(images.to(dtype), kernels.to(dtype))
        except (RuntimeError, TypeError):  # the device does not compute with it
            continue
        if exact is None:
            exact, least = result, seconds * _CLEARLY_FASTER
        elif seconds < least and torch.allclose(result, exact, rtol=0.05, atol=0.05):
            best, least = dtype, seconds
    return best


def _time_convolution(images: torch.Tensor, kernels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the seconds that a convolution takes, the best of several, and its result in float32."""
    import torch

    seconds = inf
    for _ in range(_TRIALS):
        began = time.perf_counter()
        # Only the copy to the host waits for a device.
        result = torch.nn.functional.conv2d(images, kernels, padding=1)[:, :, ::16, ::16].float().cpu()
        seconds = min(seconds, time.perf_counter() - began)
    return seconds, result


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a network of float32 weights computes in `precision(device)`."""
    import torch

    dtype = precision(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def batch_size(device: torch.device, each: int, most: int = 16) -> int:
    """Return how many inputs of `each` bytes of working memory fit the device's free memory, 1 to `most`.

    1 on a CPU: one input occupies all cores, and more only take more memory. 1 also on Apple's devices, whose
    memory is the host's.
    """
    if device.type not in ("cuda", "xpu"):
        return 1
    return max(1, min(most, int(_free_memory(device) * (1 - _SPARE)) // each))


def _free_memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA or XPU device."""
    import torch

    of_device = torch.cuda if device.type == "cuda" else torch.xpu
    free, _ = of_device.mem_get_info(device)
    # Memory that torch has reserved and not allocated is free for this process alone.
    return int(free + of_device.memory_reserved(device) - of_device.memory_allocated(device))


def run_batches(
    run: Callable[[Sequence[Item]], Sequence[Result]], items: Iterator[Item], size: int
) -> Iterator[Result]:
    """Yield the result of each item, in order, from `run` in batches of up to `size`.

    `run` gives one result for each item. Where it runs out of memory the batch is halved, for good, and the
    same items are tried again; raises RunError where one item alone does not fit.
    """
    while batch := list(islice(items, size)):
        while batch:
            results = within_memory(partial(run, batch[:size]))
            if results is None:
                if size == 1:
                    raise RunError("devices.no_memory")
                size = max(1, min(size, len(batch)) // 2)
                continue
            del batch[:size]
            yield from results


def within_memory(action: Callable[[], Result]) -> Result | None:
    """Return the result of `action`; None where its device's memory is too small, which is cleared then."""
    import torch

    try:
        return action()
    except torch.OutOfMemoryError:
        pass  # The error references the frames of `action` and their tensors: clear after it is freed.
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    return None


def describe(device: torch.device) -> tuple[str, int]:
    """Return the name of a device beside the processor, and its memory in bytes (Apple: what may be used)."""
    import torch

    if device.type == "mps":
        return "Apple", torch.mps.recommended_max_memory()
    of_device = torch.cuda if device.type == "cuda" else torch.xpu
    properties = of_device.get_device_properties(device)
    return str(properties.name), int(properties.total_memory)
