"""IS-Net's weights: checkpoints and exported networks, small ones, and the trained one where it is present.

The trained one is looked for where RECORTE_ISNET says, a file or its folder, and where weights are.
"""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline import devices, models
from pipeline.errors import WeightsError
from pipeline.imaging import guided_filter
from pipeline.models import PromptedFrame
from pipeline.models.isnet import load_into
from pipeline.networks import isnet
from pipeline.weights import locate
from tests.pipeline.models.test_isnet import narrow, stirred

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def export(path: Path, network: isnet.Isnet, names: str, *, cast: bool = False) -> Path:
    """Write the parameters of a network as an exporter leaves them, with nodes in the order of execution.

    `names`: "nodes" tells modules by their nodes, "parameters" by their parameters, "order" by neither.
    `cast`: in half precision, converted by Cast nodes.
    """
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []

    def parameter(name: str, value: Tensor) -> str:
        given = name if names == "parameters" else f"onnx::Conv_{len(tensors)}"
        array = value.detach().numpy()
        tensors.append(numpy_helper.from_array(array.astype(np.float16) if cast else array, given))
        if cast:
            nodes.append(helper.make_node("Cast", [given], [f"cast {given}"], to=TensorProto.FLOAT))
            given = f"cast {given}"
        return given

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            inputs = [parameter(f"{name}.{part}", value) for part, value in module.named_parameters()]
            called = f"/{name.replace('.', '/')}/Conv" if names == "nodes" else f"Conv_{len(nodes)}"
            nodes.append(helper.make_node("Conv", ["x", *inputs], [f"out {name}"], name=called))
        elif isinstance(module, nn.BatchNorm2d):
            inputs = [parameter(f"{name}.{part}", getattr(module, part)) for part in BATCH_NORM]
            before = f"out {name.replace('bn_s1', 'conv_s1')}"
            nodes.append(helper.make_node("BatchNormalization", [before, *inputs], [f"out {name}"]))
    onnx.save(helper.make_model(helper.make_graph(nodes, "network", [], [], tensors)), path)
    return path


def drawn() -> isnet.Isnet:
    network = stirred(narrow())
    assert isinstance(network, isnet.Isnet)
    return network


def picture() -> Tensor:
    return torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("names", ["nodes", "parameters", "order"])
@pytest.mark.parametrize("folded", [True, False])
def test_exported_networks_load_as_they_were(tmp_path: Path, names: str, folded: bool) -> None:
    network = drawn()
    with torch.inference_mode():
        expected = network(picture())
        if folded:
            isnet.fuse_norms(network)
        loaded = narrow()
        load_into(loaded, export(tmp_path / "a.onnx", network, names))
        torch.testing.assert_close(loaded.eval()(picture()), expected, rtol=1e-5, atol=1e-5)
    norms = [module for module in loaded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert expected.std() > 1e-3 and len(norms) == (0 if folded else 112)


@pytest.mark.parametrize("folded", [True, False])
def test_half_precision_is_read_through_casts(tmp_path: Path, folded: bool) -> None:
    network = drawn()
    if folded:
        isnet.fuse_norms(network)
    loaded = narrow()
    load_into(loaded, export(tmp_path / "a.onnx", network, "nodes", cast=True))
    assert all(value.dtype != torch.float16 for value in loaded.state_dict().values())
    with torch.inference_mode():
        torch.testing.assert_close(loaded.eval()(picture()), network(picture()), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("folded", [True, False])
def test_checkpoints_load_with_and_without_normalisations(tmp_path: Path, suffix: str, folded: bool) -> None:
    network = drawn()
    with torch.inference_mode():
        expected = network(picture())
        if folded:
            isnet.fuse_norms(network)
        path = tmp_path / f"a{suffix}"
        (save_file if suffix == ".safetensors" else torch.save)(network.state_dict(), path)
        loaded = narrow()
        load_into(loaded, path)
        torch.testing.assert_close(loaded.eval()(picture()), expected, rtol=1e-5, atol=1e-5)


def test_fused_networks_have_no_normalisations_and_the_same_output() -> None:
    network = drawn()
    with torch.inference_mode():
        expected = network(picture())
        fused = isnet.fuse_norms(network)
        torch.testing.assert_close(fused(picture()), expected, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


@pytest.mark.parametrize("what", ["a convolution less", "another size", "no convolution"])
def test_other_networks_are_refused(tmp_path: Path, what: str) -> None:
    given = narrow(divisor=8) if what == "another size" else isnet.fuse_norms(drawn())
    if what != "another size":
        left = nn.Identity() if what == "no convolution" else given["side6"]
        given["side6"] = nn.Identity()
        if what == "no convolution":
            given = nn.ModuleDict({"left": left})  # type: ignore[assignment]
    with pytest.raises(WeightsError, match=r"^a\.onnx is not this model's: it "):
        load_into(narrow(), export(tmp_path / "a.onnx", given, "nodes"))


def trained() -> Path | None:
    """The path of the trained network's ONNX file; None: it is not on this machine."""
    named = os.environ.get("RECORTE_ISNET")
    if named:
        path = Path(named)
        return path / "isnet-general-use.onnx" if path.is_dir() else path
    weights = models.card("isnet").weights
    return locate.find_file(weights.files[0]) if weights else None


@pytest.fixture(scope="module")
def weights() -> Path:
    path = trained()
    if path is None:
        pytest.skip("IS-Net's trained weights are not here: RECORTE_ISNET names their ONNX file")
    return path


def in_single_precision(path: Path, out: Path) -> Path:
    """Write an exported network with all of its half-precision numbers in single precision."""
    model = onnx.load(path)
    graph = model.graph
    constants = [attribute.t for n in graph.node if n.op_type == "Constant" for attribute in n.attribute]
    for tensor in (*graph.initializer, *constants):
        if tensor.data_type == TensorProto.FLOAT16:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    del graph.value_info[:]
    onnx.save(model, out)
    return out


def subject(height: int, width: int) -> np.ndarray:
    """Return a picture with a disc on a ground of slow changes, `[H, W, 3]` uint8."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ground = np.stack((80 + 60 * x / width, 90 + 50 * y / height, 120 - 40 * x / width), -1)
    inside = np.hypot(x - 0.55 * width, y - 0.5 * height) < 0.25 * height
    ground[inside] = (220, 60, 40)
    return ground.astype(np.uint8)


def test_the_trained_network_equals_onnx_runtime(tmp_path: Path, weights: Path) -> None:
    import onnxruntime

    network = isnet.Isnet()
    load_into(network, weights)
    grid = torch.tensor(subject(1024, 1024)).permute(2, 0, 1)[None].float() / 255 - 0.5
    with torch.inference_mode():
        own = isnet.fuse_norms(network)(grid).sigmoid().numpy()
    del network
    path = in_single_precision(weights, tmp_path / "single.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    (expected,) = session.run([session.get_outputs()[0].name], {name: grid.numpy()})
    assert 0.05 < expected.mean() < 0.5
    np.testing.assert_allclose(own, expected, atol=1e-4)


def test_the_trained_network_finds_a_subject(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "precision", lambda device: torch.float32)
    frame = subject(270, 480)
    model = models.card("isnet").load("cpu", [weights])
    (prediction,) = model.predict(iter([PromptedFrame(frame)]))
    truth = frame[..., 0] > 200
    found = prediction.matte > 127
    assert np.count_nonzero(found & truth) > 0.95 * np.count_nonzero(found | truth)


def test_the_trained_network_leaves_no_veil(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of what is far from any subject, of which it takes a little, is all the same empty."""
    monkeypatch.setattr(devices, "precision", lambda device: torch.float32)
    frame = subject(270, 480)
    model = models.card("isnet").load("cpu", [weights])
    (prediction,) = model.predict(iter([PromptedFrame(frame)]))
    near = guided_filter.dilate((frame[..., 0] > 200).astype(np.uint8), 40) > 0
    assert not prediction.matte[~near].any()
