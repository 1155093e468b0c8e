"""The device, its precision, and batches that shrink where memory is short."""

import ctypes
import gc
import itertools
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from pipeline import devices
from pipeline.errors import InputError, RunError


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with two CUDA devices, as far as torch can tell."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_auto_is_cpu_without_cuda(bare: None, name: str) -> None:
    assert devices.pick(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_cuda_without_a_gpu_raises_input_error(bare: None, name: str) -> None:
    with pytest.raises(InputError, match=r"no CUDA device.*auto or cpu\."):
        devices.pick(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("auto", "cuda:0"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")],
)
def test_a_device_is_chosen_by_its_name(cards: object, name: str, expected: str) -> None:
    assert devices.pick(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("auto", "xpu:0"), ("xpu:1", "xpu:1"), ("cpu", "cpu"), ("mps", "mps:0")]
)
def test_devices_of_other_makers_are_chosen(
    bare: None, monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.pick(name) == torch.device(expected)


@pytest.mark.parametrize("name", ["mps", "xpu", "xpu:0"])
def test_devices_of_other_makers_that_are_not_here_are_refused(bare: None, name: str) -> None:
    with pytest.raises(InputError, match=rf"no device {name[:3]} here.*auto or cpu\."):
        devices.pick(name)


def test_auto_means_the_preferred_device(cards: pytest.MonkeyPatch) -> None:
    cards.setattr(devices, "_preferred", devices.AUTO)
    devices.prefer("cuda:1")
    assert devices.pick("auto") == torch.device("cuda:1") and devices.pick("cuda") == torch.device("cuda:0")
    with pytest.raises(InputError, match="is no device"):
        devices.prefer("gpu")
    assert devices.pick("auto") == torch.device("cuda:1")


class Driver:
    """NVIDIA's driver, as far as it counts devices: three of them."""

    def __init__(self, status: int) -> None:
        self._status = status

    def cuInit(self, flags: int) -> int:
        return self._status

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = 3
        return 0


def test_the_drivers_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_cuda_driver", lambda: True)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(0))
    assert devices.list_cuda() == ("cuda:0", "cuda:1", "cuda:2")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(100))
    assert devices.list_cuda() == ()
    monkeypatch.setattr(devices, "has_cuda_driver", lambda: False)
    assert devices.list_cuda() == ()


def test_an_invalid_gpu_number_is_refused_with_the_valid_ones(cards: object) -> None:
    with pytest.raises(InputError, match=r"no device cuda:2.*0 to 1"):
        devices.pick("cuda:2")


@pytest.mark.parametrize(
    ("name", "decoder", "expected"),
    [
        ("auto", "auto", ("cuda:0", 0)),
        ("cuda:1", "cuda", ("cuda:1", 1)),
        ("cuda", "cpu", ("cuda:0", None)),
        ("cpu", "auto", None),
    ],
)
def test_frames_stay_on_cuda_devices(
    cards: pytest.MonkeyPatch, name: str, decoder: str, expected: tuple[str, int | None] | None
) -> None:
    cards.setattr(devices, "has_cuda_driver", lambda: True)
    place = devices.frame_device(name, decoder)
    assert place == (expected and (torch.device(expected[0]), expected[1]))


def test_without_a_driver_frames_stay_on_the_host_and_torch_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "has_cuda_driver", lambda: False)
    monkeypatch.setattr(devices, "pick", lambda name: pytest.fail("asked"))
    assert devices.frame_device("auto") is None
    with pytest.raises(InputError, match="decoder auto or cpu"):
        devices.frame_device("auto", "cuda")
    with pytest.raises(InputError, match="no decoder nvdec"):
        devices.frame_device("auto", "nvdec")


@pytest.mark.parametrize("name", ["", "mps:0", "cuda:", "cuda:x", "xpu:", "cpu:0", "Auto"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no device"):
        devices.pick(name)


@pytest.mark.parametrize(
    ("able", "expected"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)],
)
def test_cpu_precision_depends_on_the_hardware(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    cpu = torch.device("cpu")
    assert devices.precision(cpu) == expected
    with devices.autocast(cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)]
)
def test_cuda_uses_half_precision(
    cards: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    cards.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.precision(torch.device("cuda", 1)) == expected


def measured(seconds: dict[torch.dtype, float], factor: float = 1.0) -> Any:
    """Return what stands in for the trial of a convolution; in 16 bits its result is off by a factor."""

    def measure(images: torch.Tensor, kernels: torch.Tensor) -> tuple[float, torch.Tensor]:
        if images.dtype == torch.float32:
            return 1.0, images
        if images.dtype not in seconds:
            raise RuntimeError(f"no kernel for {images.dtype}")
        return seconds[images.dtype], images.float() * factor

    return measure


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({torch.float16: 0.4, torch.bfloat16: 0.5}, torch.float16),
        ({torch.float16: 0.9, torch.bfloat16: 0.95}, torch.float32),  # hardly faster
        ({torch.bfloat16: 0.5}, torch.bfloat16),  # the device has no other
        ({}, torch.float32),
    ],
)
def test_the_fastest_precision_is_found_by_trying(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[torch.dtype, float], expected: torch.dtype
) -> None:
    monkeypatch.setattr(devices, "_time_convolution", measured(seconds))
    assert devices.find_fastest.__wrapped__(torch.device("cpu")) == expected


def test_a_precision_with_wrong_results_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_time_convolution", measured({torch.float16: 0.1}, float("nan")))
    assert devices.find_fastest.__wrapped__(torch.device("cpu")) == torch.float32


def test_precisions_are_really_tried() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        seconds, result = devices._time_convolution(
            torch.ones(1, 64, 16, 16, dtype=dtype), torch.ones(64, 64, 3, 3, dtype=dtype) / 576
        )
        assert seconds > 0 and result.dtype == torch.float32 and result.shape == (1, 64, 1, 1)


@pytest.mark.parametrize(("free", "expected"), [(0, 1), (99, 1), (1000, 8), (700, 6), (10**6, 16)])
def test_the_batch_size_depends_on_free_memory(cards: pytest.MonkeyPatch, free: int, expected: int) -> None:
    cards.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**6))
    cards.setattr(torch.cuda, "memory_reserved", lambda device: 150)
    cards.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert devices.batch_size(torch.device("cuda", 0), 100) == expected


def test_the_batch_size_on_a_cpu_is_one() -> None:
    assert devices.batch_size(torch.device("cpu"), 1) == 1


class Network:
    """Doubles numbers; runs out of memory for more than `room` of them at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [2 * item for item in batch]


@pytest.mark.parametrize("count", [0, 1, 5, 8, 21])
@pytest.mark.parametrize("room", [1, 3, 8, 100])
@pytest.mark.parametrize("size", [1, 7, 8])
def test_results_are_in_the_order_of_items(count: int, room: int, size: int) -> None:
    network = Network(room)
    assert list(devices.run_batches(network, iter(range(count)), size)) == [2 * n for n in range(count)]
    assert max(network.sizes, default=0) <= size


def test_a_batch_that_does_not_fit_is_halved_permanently() -> None:
    network = Network(3)
    list(devices.run_batches(network, iter(range(20)), 8))
    assert network.sizes[:3] == [8, 4, 2]
    assert set(network.sizes[3:]) == {2}


def test_a_single_item_that_does_not_fit_raises_an_error() -> None:
    network = Network(0)
    with pytest.raises(RunError, match="too little free memory"):
        list(devices.run_batches(network, iter(range(9)), 8))
    assert network.sizes == [8, 4, 2, 1]


def test_other_errors_are_raised_unchanged() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(devices.run_batches(run, iter([1]), 8))


def test_at_most_one_batch_is_read_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    results = devices.run_batches(Network(100), items(), 4)
    assert [next(results) for _ in range(4)] == [0, 2, 4, 6]
    assert read == [0, 1, 2, 3]


def test_memory_of_a_failed_attempt_is_freed() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    gc.disable()  # by counting alone, as it is between two collections
    try:

        def run(batch: Sequence[int]) -> list[int]:
            assert all(earlier() is None for earlier in held)
            tensor = torch.zeros(len(batch))
            held.append(weakref.ref(tensor))
            if len(batch) > 1:
                raise torch.OutOfMemoryError
            return list(batch)

        assert list(devices.run_batches(run, iter(range(4)), 4)) == [0, 1, 2, 3]
    finally:
        gc.enable()
