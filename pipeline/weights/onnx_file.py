"""Reading ONNX files as data: the nodes and floating-point constants of their graph.

The messages and their field numbers are those of onnx.proto3 (github.com/onnx/onnx), in Protocol Buffers'
wire format (protobuf.dev/programming-guides/encoding). Nothing of the graph is executed, and no other file is
opened: tensors stored outside the file are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types."""

_FLOATS: dict[int, tuple[str, int]] = {1: ("<f4", 4), 10: ("<f2", 5), 11: ("<f8", 10)}
"""By data type (FLOAT, FLOAT16, DOUBLE): the stored format, and the field of values that are not raw."""

_EXTERNAL = 1
"""The data location of a tensor that is stored in another file."""


class Node(NamedTuple):
    """One operation of a graph."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph(NamedTuple):
    """Nodes of a graph in the order of their execution, and its floating-point constants by name."""

    nodes: list[Node]
    tensors: dict[str, NDArray[np.floating[Any]]]


def read(path: Path) -> Graph:
    """Read an ONNX file. Raises WeightsError for one that is missing or damaged or no ONNX file."""
    try:
        data = memoryview(path.read_bytes())
        graphs = [value for number, value in _fields(data) if number == 7]
        if not graphs:
            raise ValueError("There is no graph.")
        return _graph(_nested(graphs[-1]))
    except OSError as error:
        raise WeightsError(
            "weights.unreadable", file=path.name, reason=error.strerror or str(error)
        ) from error
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise WeightsError("weights.no_checkpoint", file=path.name, folder=str(path.parent)) from error


Value = int | memoryview


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and value of each field: integers, or the bytes of everything else."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"There is no wire type {kind}.")
        if at + length > len(message):
            raise ValueError("A field ends behind its message.")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer that begins at a position, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("An integer is too long.")


def _nested(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("A message is expected, and there is a number.")
    return value


def _text(value: Value) -> str:
    return bytes(_nested(value)).decode("utf-8")


def _graph(message: memoryview) -> Graph:
    nodes: list[Node] = []
    tensors: dict[str, NDArray[np.floating[Any]]] = {}
    for number, value in _fields(message):
        if number == 1:
            node, constant = _node(_nested(value))
            nodes.append(node)
            if constant is not None and node.outputs:
                tensors[node.outputs[0]] = constant
        elif number == 5:
            name, tensor = _tensor(_nested(value))
            if tensor is not None:
                tensors[name] = tensor
    return Graph(nodes, tensors)


def _node(message: memoryview) -> tuple[Node, NDArray[np.floating[Any]] | None]:
    """Return a node, and the tensor among its attributes, such as a constant's."""
    inputs, outputs, name, operation, constant = [], [], "", "", None
    for number, value in _fields(message):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 3:
            name = _text(value)
        elif number == 4:
            operation = _text(value)
        elif number == 5:
            for part, tensor in _fields(_nested(value)):
                if part == 5:
                    _, constant = _tensor(_nested(tensor))
    return Node(name, operation, tuple(inputs), tuple(outputs)), constant


def _tensor(message: memoryview) -> tuple[str, NDArray[np.floating[Any]] | None]:
    """Return a tensor and its name; None for one of other numbers than floating-point ones."""
    shape: list[int] = []
    kind, name, raw = 0, "", None
    listed: dict[int, list[Value]] = {}
    for number, value in _fields(message):
        if number == 1:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _nested(value)
        elif number == 14 and value == _EXTERNAL:
            raise ValueError("A tensor is stored in another file.")
        else:
            listed.setdefault(number, []).append(value)
    if kind not in _FLOATS:
        return name, None
    stored, field = _FLOATS[kind]
    if raw is not None:
        values = np.frombuffer(raw, stored)
    elif kind == 10:  # as integers of 16 bits
        numbers = [n for v in listed.get(field, []) for n in ([v] if isinstance(v, int) else _varints(v))]
        values = np.array(numbers, np.uint16).view(np.float16)
    else:
        values = np.frombuffer(b"".join(_nested(v) for v in listed.get(field, [])), stored)
    if values.size != math.prod(shape):
        raise ValueError("A tensor has more or fewer values than its shape.")
    return name, values.reshape(shape)


def _varints(message: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(message):
        value, at = _varint(message, at)
        values.append(value)
    return values
