"""IS-Net and models of its architecture: mattes of the most prominent subject, or of one that is marked.

Without marks each frame is predicted by itself. A subject that is marked is followed by Recorte's tracker,
see `pipeline.models.guided`.

The network is our own (`pipeline.networks.isnet`), the checkpoint is read as data: tensors by their published
names, or the constants of an ONNX file, which are those of the convolutions its nodes are named after.

Where the environment variable RECORTE_COMPILE is 1 when a model is loaded, its network is compiled by torch:
a slow first frame, faster ones after it. Where RECORTE_TENSORRT is 1, an engine takes its place on CUDA
devices, see `pipeline.networks.tensorrt`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline import devices
from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter, veil
from pipeline.languages.messages import Message
from pipeline.models import guided, loading
from pipeline.models.base import Candidate, Card, Model, Prediction, PromptedDeviceFrame, PromptedFrame
from pipeline.models.recorte.model import Recorte
from pipeline.prompts import Point
from pipeline.stream_state import State
from pipeline.weights import checkpoints, onnx_file, verify
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipeline.networks import isnet as isnet_network

TRACKER = "recorte"
"""Key of the model that follows what is marked."""

SIDE = 1024
"""Pixels of the network's grid, both ways, whatever the frame's shape."""

_FRAME_BYTES = 2**30
"""About what one frame takes on the device while the network works on it."""


class Isnet:
    """The model; its streams share the network and nothing else."""

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        load_tracker: Callable[[], Model] | None = None,
        clears_veil: bool = False,
        side: int = SIDE,
        frame_bytes: int = _FRAME_BYTES,
        weights: Path | None = None,
    ) -> None:
        """`network` maps pictures `[N, 3, H, W]`, RGB, -0.5 to 0.5, to logits `[N, 1, H, W]`.

        `load_tracker` loads the model `recorte`, for marks; None: there will be none. `clears_veil` removes
        the faint alpha that the network leaves far from any subject. `side` is that of the network's square
        grid, in pixels; `frame_bytes` is about what one frame takes on the device. `weights` is the file of
        the network's; None: it has no engine.

        Raises InputError where an engine is asked for and there is no package to build it.
        """
        import torch

        from pipeline.networks import tensorrt

        self._device = device
        network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.notes: tuple[Message, ...] = ()
        if weights is not None and tensorrt.is_asked(device):
            network, note = tensorrt.accelerate(network, device, side, verify.identify(weights))
            self.notes = () if note is None else (note,)
        self._network = torch.compile(network) if os.environ.get("RECORTE_COMPILE") == "1" else network
        self._load_tracker = load_tracker
        self._clears_veil = clears_veil
        self._side, self._frame_bytes = side, frame_bytes

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        frames = itertools.chain([first], frames)
        # An empty state is that of frames without marks.
        if state or (state is None and first.prompt and first.prompt.initialises):
            # One by one: the tracker's state belongs to the latest frame.
            followed = guided.follow(self._tracker(), frames, state)
            yield from devices.run_batches(self._refine_batch, followed, 1)
        else:
            size = devices.batch_size(self._device, self._frame_bytes)
            yield from devices.run_batches(self._predict_batch, frames, size)

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """As `OffersCandidates.candidates`: those of the tracker."""
        return self._tracker().candidates(frame)

    def find_thing(self, image: Image, point: Point) -> Generator[None, None, Matte | None]:
        """As `FindsThings.find_thing`, by the tracker."""
        return (yield from self._tracker().find_thing(image, point))

    def _tracker(self) -> Recorte:
        tracker = self._load_tracker and self._load_tracker()
        if not isinstance(tracker, Recorte):
            raise RuntimeError("This model was created without a tracker.")
        return tracker

    def _refine_batch(self, frames: Sequence[guided.GuidedFrame]) -> list[Prediction]:
        """Return the predictions with the network's alpha within the tracker's windows."""
        shown = [(g, g.window) for g in frames if g.window is not None]
        if not shown:
            return [g.prediction for g in frames]
        crops = [PromptedFrame(window.cut(g.frame.image)) for g, window in shown]
        alphas = iter(prediction.matte for prediction in self._predict_batch(crops))
        return [g.prediction if g.window is None else guided.refine(g, next(alphas)) for g in frames]

    def _predict_batch(self, frames: Sequence[PromptedFrame]) -> list[Prediction]:
        import torch

        with torch.inference_mode():
            grids = torch.cat([_grid(frame, self._side, self._device) for frame in frames])
            with devices.autocast(self._device):
                logits = self._network(grids.contiguous(memory_format=torch.channels_last))
            masks = list(logits[:, 0].float().sigmoid().cpu().numpy())
        if self._clears_veil:
            masks = list(map(veil.clear_veil, masks))
        predictions = [
            Prediction(_resize_mask(mask, frame)) for mask, frame in zip(masks, frames, strict=True)
        ]
        # States only at the end of a batch, so that a resumed stream makes the same batches: on a GPU the
        # last bit depends on them.
        return [*predictions[:-1], predictions[-1]._replace(state=dict)]


def _grid(frame: PromptedFrame, side: int, device: torch.device) -> torch.Tensor:
    """Return the network's input for a frame, `[1, 3, side, side]` float32, -0.5 to 0.5."""
    import torch
    from torch.nn import functional

    if isinstance(frame, PromptedDeviceFrame) and frame.tensor.dtype == torch.uint8:
        picture = frame.tensor[None].to(device).float()
    else:
        picture = torch.tensor(frame.image).to(device).permute(2, 0, 1)[None].float()
    return functional.interpolate(picture, (side, side), mode="bilinear") / 255 - 0.5


def _resize_mask(mask: Floats, frame: PromptedFrame) -> Matte:
    """Resize the network's mask, `[side, side]`, 0 to 1, to its frame: `[H, W]` uint8.

    Values are not rescaled: to stretch each frame's mask to its own least and greatest value, as some do,
    makes a video flicker and turns the noise of an empty frame into a subject.
    """
    height, width = frame.image.shape[:2]
    # The network's grid is square; where the frame has fewer pixels one way, the frame's are enough.
    size = min(width, mask.shape[1]), min(height, mask.shape[0])
    mask = as_floats(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
    if not isinstance(frame, PromptedDeviceFrame):
        return guided_filter.upsample_soft(mask, frame.image)
    from pipeline.imaging import device_guided_filter
    from pipeline.tensors import transfer

    uploaded = transfer.upload(mask, frame.tensor.device)
    return np.asarray(transfer.download(device_guided_filter.upsample_soft(uploaded, frame.tensor)), np.uint8)


def load_into(network: isnet_network.Isnet, path: Path) -> None:
    """Load a checkpoint or an ONNX file into a new network.

    Where its normalisations are fused into the convolutions, the network has none afterwards. Raises
    WeightsError for a file of another network, or as `checkpoints.read` and `onnx_file.read`.
    """
    from pipeline.networks import isnet

    tensors = _read_onnx(network, path) if path.suffix == ".onnx" else checkpoints.read(path)
    if not any(".bn_s1." in name for name in tensors):
        isnet.drop_norms(network)
    checkpoints.load_tensors(network, tensors, path.name)


def _read_onnx(network: isnet_network.Isnet, path: Path) -> dict[str, torch.Tensor]:
    """Read the parameters of an exported network by their names in `network`.

    A convolution is known by its parameter's name or by its node's, which exporters make of the module's; if
    neither is kept, by its place in the order of execution.
    """
    import torch
    from torch import nn

    graph = onnx_file.read(path)
    casts = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.operation == "Cast"}

    def tensor(name: str) -> torch.Tensor | None:
        value = graph.tensors.get(casts.get(name, name))
        return None if value is None else torch.tensor(value)

    modules = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    nodes = [node for node in graph.nodes if node.operation == "Conv" and len(node.inputs) > 1]
    named = {_module_name(node, casts, modules): node for node in nodes}
    if set(named) != set(modules) and len(nodes) == len(modules):
        named = dict(zip(modules, nodes, strict=True))
    norms = {node.inputs[0]: node for node in graph.nodes if node.operation == "BatchNormalization"}
    found: dict[str, torch.Tensor | None] = {}
    for name in modules:
        if (node := named.get(name)) is None:
            continue
        found |= zip((f"{name}.weight", f"{name}.bias"), map(tensor, node.inputs[1:3]), strict=False)
        if (norm := norms.get(node.outputs[0])) is not None:
            prefix = name.removesuffix("conv_s1") + "bn_s1"
            names = (f"{prefix}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
            found |= zip(names, map(tensor, norm.inputs[1:5]), strict=False)
            found[f"{prefix}.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    return {name: value for name, value in found.items() if value is not None}


def _module_name(node: onnx_file.Node, casts: Mapping[str, str], modules: Sequence[str]) -> str:
    """Return the name of the module that a convolution was exported from; empty: it is not told."""
    weight = casts.get(node.inputs[1], node.inputs[1])
    names = weight.removesuffix(".weight"), node.name.removesuffix("/Conv").strip("/").replace("/", ".")
    return next((name for name in names if name in modules), "")


def _load(clears_veil: bool, device: str, files: list[Path]) -> Isnet:
    import torch

    from pipeline.networks import isnet

    chosen = devices.pick(device)
    with torch.device("meta"):  # without drawing 44 million numbers that are replaced at once
        network = isnet.Isnet().to_empty(device="cpu")
    load_into(network, files[0])
    # Converted once what autocast would convert for every frame: the results are the same.
    network = isnet.fuse_norms(network).to(devices.precision(chosen))
    return Isnet(network, chosen, partial(loading.load, TRACKER, device), clears_veil, weights=files[0])


def create_card(
    key: str,
    label: str,
    purpose: str,
    licence: tuple[str, str],
    load: Callable[[str, list[Path]], Model],
    file: File,
    *,
    restriction: str = "",
    preview_frames: int = 2,
    version: int = 1,
) -> Card:
    """Return the card of a model whose `load` returns an `Isnet`; `licence` is its name and address."""
    return Card(
        key=key,
        label=label,
        purpose=purpose,
        points=True,
        box=True,
        automatic=True,
        candidates=True,
        splits=True,
        tracker=TRACKER,
        licence=licence[0],
        licence_url=licence[1],
        restriction=restriction,
        load=load,
        weights=Weights((file,)),
        per_frame=True,
        preview_frames=preview_frames,
        version=version,
    )


CARDS = (
    create_card(
        "isnet",
        "IS-Net",
        "Finds the subject of every frame by itself, with soft edges; for work, too.",
        ("Apache-2.0", "https://github.com/xuebinqin/DIS/blob/main/LICENSE.md"),
        partial(_load, True),  # looked at with these trained weights alone
        File(
            name="isnet-general-use.onnx",
            url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/isnet-general-use.onnx",
            bytes=178_648_008,
            sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            others=("b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb",),
        ),
        preview_frames=4,
        version=2,
    ),
    create_card(
        "rmbg",
        "RMBG-1.4",
        "Finds the subject of every frame by itself, hair and soft edges too; fast on a GPU.",
        (
            "bria-rmbg-1.4, non-commercial",
            "https://bria.ai/bria-huggingface-model-license-agreement/",
        ),
        partial(_load, False),
        File(
            name="briaai/RMBG-1.4/model.safetensors",
            url="https://huggingface.co/briaai/RMBG-1.4/resolve/"
            "2ceba5a5efaec153162aedea169f76caf9b46cf8/model.safetensors",
            bytes=176_381_984,
            sha256="46ef7fe46f2ae284d8f1aaa24bfa5fca5ef25a34e2c7caa890a0029eb100e87f",
        ),
        restriction="RMBG-1.4's weights may not be used commercially without an agreement with BRIA.",
        preview_frames=4,
        version=2,
    ),
)
