"""The device, its precision, and batches that shrink where memory is short."""

import gc
import itertools
import weakref
from collections.abc import Iterator, Sequence

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
def test_a_machine_without_cuda_has_its_cpu(bare: None, name: str) -> None:
    assert devices.pick(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_cuda_where_there_is_none_is_a_sentence(bare: None, name: str) -> None:
    with pytest.raises(InputError, match=r"no CUDA device.*auto or cpu\."):
        devices.pick(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("auto", "cuda:0"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")],
)
def test_the_name_says_which(cards: object, name: str, expected: str) -> None:
    assert devices.pick(name) == torch.device(expected)


def test_a_number_too_high_says_which_there_are(cards: object) -> None:
    with pytest.raises(InputError, match=r"no device cuda:2.*0 to 1"):
        devices.pick("cuda:2")


@pytest.mark.parametrize("name", ["", "mps", "cuda:", "cuda:x", "cpu:0", "Auto"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no device"):
        devices.pick(name)


@pytest.mark.parametrize(
    ("able", "expected"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)],
)
def test_a_cpu_computes_in_what_its_hardware_has(
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
def test_cuda_computes_in_half(
    cards: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    cards.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.precision(torch.device("cuda", 1)) == expected


@pytest.mark.parametrize(("free", "expected"), [(0, 1), (99, 1), (1000, 8), (700, 6), (10**6, 16)])
def test_the_batch_is_what_free_memory_holds(cards: pytest.MonkeyPatch, free: int, expected: int) -> None:
    cards.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**6))
    cards.setattr(torch.cuda, "memory_reserved", lambda device: 150)
    cards.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert devices.batch_size(torch.device("cuda", 0), 100) == expected


def test_a_cpu_takes_one_at_a_time() -> None:
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
def test_every_item_has_its_result_in_order(count: int, room: int, size: int) -> None:
    network = Network(room)
    assert list(devices.batched(network, iter(range(count)), size)) == [2 * n for n in range(count)]
    assert max(network.sizes, default=0) <= size


def test_a_batch_that_did_not_fit_is_halved_for_good() -> None:
    network = Network(3)
    list(devices.batched(network, iter(range(20)), 8))
    assert network.sizes[:3] == [8, 4, 2]
    assert set(network.sizes[3:]) == {2}


def test_where_one_does_not_fit_there_is_a_sentence() -> None:
    network = Network(0)
    with pytest.raises(RunError, match="too little free memory"):
        list(devices.batched(network, iter(range(9)), 8))
    assert network.sizes == [8, 4, 2, 1]


def test_other_errors_are_left_alone() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(devices.batched(run, iter([1]), 8))


def test_no_more_is_read_than_a_batch() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    results = devices.batched(Network(100), items(), 4)
    assert [next(results) for _ in range(4)] == [0, 2, 4, 6]
    assert read == [0, 1, 2, 3]


def test_what_the_failed_attempt_held_is_free_at_the_next() -> None:
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

        assert list(devices.batched(run, iter(range(4)), 4)) == [0, 1, 2, 3]
    finally:
        gc.enable()
