"""ONNX files as data: what the `onnx` package writes is read without it, and other files are refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import WeightsError
from pipeline.weights import onnx_file

RANDOM = np.random.default_rng(0)


def write(path: Path, nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto]) -> Path:
    onnx.save(helper.make_model(helper.make_graph(nodes, "graph", [], [], tensors)), path)
    return path


@pytest.mark.parametrize("stored", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("raw", [True, False])
def test_tensors_are_read_as_they_were_written(tmp_path: Path, stored: type, raw: bool) -> None:
    value = RANDOM.normal(size=(3, 2, 1, 2)).astype(stored)
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    content = value.tobytes() if raw else value.ravel()
    tensor = helper.make_tensor("some.weight", kind, value.shape, content, raw=raw)
    graph = onnx_file.read(write(tmp_path / "a.onnx", [], [tensor]))
    assert graph.tensors["some.weight"].dtype == stored
    assert np.array_equal(graph.tensors["some.weight"], value)


def test_constants_are_tensors_of_their_outputs_name(tmp_path: Path) -> None:
    value = RANDOM.normal(size=(4,)).astype(np.float32)
    node = helper.make_node("Constant", [], ["given"], name="c", value=numpy_helper.from_array(value))
    graph = onnx_file.read(write(tmp_path / "a.onnx", [node], []))
    assert list(graph.tensors) == ["given"] and np.array_equal(graph.tensors["given"], value)


def test_nodes_are_read_in_their_order(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["y"], name="/one/Conv", dilations=[2, 2], pads=[1] * 4),
        helper.make_node("LeakyRelu", ["y"], ["z"], alpha=0.2),
    ]
    graph = onnx_file.read(write(tmp_path / "a.onnx", nodes, []))
    assert graph.nodes == [
        onnx_file.Node("/one/Conv", "Conv", ("x", "w", "b"), ("y",)),
        onnx_file.Node("", "LeakyRelu", ("y",), ("z",)),
    ]


def test_other_numbers_are_left_out(tmp_path: Path) -> None:
    whole = numpy_helper.from_array(np.array([1, -1, 5]), "sizes")
    assert onnx_file.read(write(tmp_path / "a.onnx", [], [whole])).tensors == {}


def test_tensors_in_other_files_are_refused_and_not_opened(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    model = helper.make_model(helper.make_graph([], "graph", [], [], [tensor]))
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="beside", size_threshold=0)
    assert (tmp_path / "beside").stat().st_size == 64 * 64 * 4
    with pytest.raises(WeightsError, match=r"^a\.onnx .*\.$"):
        onnx_file.read(tmp_path / "a.onnx")


@pytest.mark.parametrize("left", [0, 1, 9, 100, -1, -30])
def test_truncated_files_are_refused(tmp_path: Path, left: int) -> None:
    tensor = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    path = write(tmp_path / "cut.onnx", [helper.make_node("Relu", ["x"], ["y"])], [tensor])
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(WeightsError, match=r"^cut\.onnx .*\.$"):
        onnx_file.read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>Sign in</html>", b"version https://git-lfs", bytes(99), b"\xff" * 40],
)
def test_files_that_are_no_onnx_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"^odd\.onnx .*\.$"):
        onnx_file.read(tmp_path / "odd.onnx")


def test_a_shape_that_its_values_do_not_have_is_refused(tmp_path: Path) -> None:
    tensor = TensorProto(dims=[3, 3], data_type=TensorProto.FLOAT, name="w", raw_data=bytes(20))
    with pytest.raises(WeightsError, match=r"^a\.onnx .*\.$"):
        onnx_file.read(write(tmp_path / "a.onnx", [], [tensor]))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^gone\.onnx cannot be read"):
        onnx_file.read(tmp_path / "gone.onnx")
