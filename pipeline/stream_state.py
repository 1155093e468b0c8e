"""State of a stream as a file: plain data that is read back bit for bit.

None, bool, int, float, str, lists, dicts by str, numpy arrays and torch tensors, on whatever device they are.
A file holds nothing else and is read as data: it cannot refer to code to be run. It is numpy's `npz` of
the arrays, of which one is JSON with the place of each of them.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, Any]
"""Plain data of the types listed above."""

_PLAN = "plan"


def save(path: Path, state: State) -> None:
    """Write a state; raises TypeError for anything but plain data, OSError where it cannot be written."""
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps(_pack(state, arrays))
    arrays[_PLAN] = np.frombuffer(text.encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path) -> State:
    """Read a state; tensors are on the CPU, with the memory layout that they had.

    The order of summation depends on the layout, and with it the last bit of a sum.

    Raises OSError where it cannot be read, ValueError or KeyError where it is not what `save` writes.
    """
    with np.load(path, allow_pickle=False) as arrays:
        state = _unpack(json.loads(arrays[_PLAN].tobytes()), arrays)
    if not isinstance(state, dict):
        raise ValueError("this is no state")
    return state


# In the JSON a list is a list; a dict has one key, the kind of the value: dict, array or tensor.


def _pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_pack(each, arrays) for each in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _pack(each, arrays) for key, each in value.items()}}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"array": _add_array(value, arrays)}
    torch = sys.modules.get("torch")  # loaded if there are any tensors
    if torch is not None and isinstance(value, torch.Tensor):
        return {"tensor": _pack_tensor(value, arrays)}
    raise TypeError(f"A state holds plain data, and no {type(value).__name__}.")


def _add_array(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    name = f"{len(arrays)}"
    arrays[name] = array
    return name


def _pack_tensor(value: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    value = value.detach().cpu()
    order = sorted(range(value.dim()), key=lambda axis: -value.stride(axis))
    # numpy has no bfloat16, so all of them are kept as bytes.
    flat = value.permute(order).contiguous().flatten()
    data = flat.view(sys.modules["torch"].uint8).numpy()
    kind = str(value.dtype).removeprefix("torch.")
    return {"data": _add_array(data, arrays), "kind": kind, "shape": list(value.shape), "order": order}


def _unpack(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {key: _unpack(each, arrays) for key, each in content.items()}
    return arrays[content] if kind == "array" else _unpack_tensor(content, arrays)


def _unpack_tensor(data: dict[str, Any], arrays: Any) -> Any:
    import torch

    dtype = getattr(torch, data["kind"], None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError("this is no state")
    order, shape = data["order"], data["shape"]
    # A copy into memory allocated by torch: on numpy's it may not use its fastest kernels.
    flat = torch.empty(math.prod(shape), dtype=dtype)
    flat.view(torch.uint8).copy_(torch.from_numpy(arrays[data["data"]]))
    inverse = [order.index(axis) for axis in range(len(order))]
    return flat.view([shape[axis] for axis in order]).permute(inverse)
