"""State of a stream, as a file."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import stream_state


def kept(folder: Path, value: Any) -> Any:
    stream_state.save(folder / "a.state", {"it": value})
    return stream_state.load(folder / "a.state")["it"]


PLAIN = [
    None,
    True,
    3,
    -(2**60),
    0.1,
    float("inf"),
    "plan",
    "",
    [],
    [1, [2.5, None]],
    {},
    {"plan": {"0": []}},
]


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values_round_trip(tmp_path: Path, value: Any) -> None:
    loaded = kept(tmp_path, value)
    assert loaded == value and type(loaded) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).random((3, 4)),
        np.asfortranarray(np.random.default_rng(0).random((3, 4), np.float32)),
        np.zeros((2, 0), np.uint8),
        np.array(3.5),
        np.array([[True, False]]),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_round_trip_bit_for_bit(tmp_path: Path, array: np.ndarray) -> None:
    loaded = kept(tmp_path, {"in": [array]})["in"][0]
    assert (loaded.dtype, loaded.shape, loaded.flags.fnc) == (array.dtype, array.shape, array.flags.fnc)
    assert loaded.tobytes() == array.tobytes() and loaded.flags.writeable


NUMBERS = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
@pytest.mark.parametrize(
    "tensor",
    [
        NUMBERS,
        NUMBERS.to(memory_format=torch.channels_last),
        NUMBERS.flatten(2).permute(2, 0, 1),
        NUMBERS[0, 0, 0, 0],
        NUMBERS[:0],
    ],
    ids=["rows", "channels last", "turned", "one", "none"],
)
def test_tensors_round_trip_bit_for_bit_with_their_memory_layout(
    tmp_path: Path, tensor: torch.Tensor, kind: torch.dtype
) -> None:
    tensor = (100 * tensor).to(kind)
    loaded = kept(tmp_path, tensor)
    assert loaded.dtype == kind and torch.equal(loaded, tensor) and loaded.stride() == tensor.stride()


def test_a_view_is_stored_without_its_base_tensor(tmp_path: Path) -> None:
    part = torch.randn(1000, 1000)[::2, 3]
    assert torch.equal(kept(tmp_path, part), part)
    assert (tmp_path / "a.state").stat().st_size < 10_000


NOTHING_ELSE = {
    "a tuple": (1, 2),
    "a key that is no string": {1: 2},
    "an object": object(),
    "an array of objects": np.array([object()]),
    "a number of numpy's": np.float32(1),
}


@pytest.mark.parametrize("value", NOTHING_ELSE.values(), ids=NOTHING_ELSE.keys())
def test_other_types_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="plain data"):
        stream_state.save(tmp_path / "a.state", {"it": value})


def test_reading_a_state_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "a.state"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError):
        stream_state.load(path)
    with path.open("wb") as file:
        np.savez(file, plan=np.array([Evil()]))
    with pytest.raises(ValueError):
        stream_state.load(path)
    assert not (tmp_path / "ran").exists()
