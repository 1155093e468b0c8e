"""RMBG: the published names and shapes, the network against a literal one, and what is made of its masks."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from pipeline import devices, models
from pipeline.errors import InputError, WeightsError
from pipeline.imaging import guided_filter
from pipeline.models import PromptedFrame
from pipeline.models.isnet import Isnet
from pipeline.networks import isnet
from pipeline.networks.isnet import Row

# The published convolutions of each block: name, channels in, channels out; `c` and `m` are its out and mid.
RSU7 = "in>c 1c>m 2m>m 3m>m 4m>m 5m>m 6m>m 7m>m 6d2>m 5d2>m 4d2>m 3d2>m 2d2>m 1d2>c"
RSU6 = "in>c 1c>m 2m>m 3m>m 4m>m 5m>m 6m>m 5d2>m 4d2>m 3d2>m 2d2>m 1d2>c"
RSU5 = "in>c 1c>m 2m>m 3m>m 4m>m 5m>m 4d2>m 3d2>m 2d2>m 1d2>c"
RSU4 = "in>c 1c>m 2m>m 3m>m 4m>m 3d2>m 2d2>m 1d2>c"
STAGES = {
    "stage1": (RSU7, 64, 32, 64),
    "stage2": (RSU6, 64, 32, 128),
    "stage3": (RSU5, 128, 64, 256),
    "stage4": (RSU4, 256, 128, 512),
    "stage5": (RSU4, 512, 256, 512),
    "stage6": (RSU4, 512, 256, 512),
    "stage5d": (RSU4, 1024, 256, 512),
    "stage4d": (RSU4, 1024, 128, 256),
    "stage3d": (RSU5, 512, 64, 128),
    "stage2d": (RSU6, 256, 32, 64),
    "stage1d": (RSU7, 128, 16, 64),
}
SIDES = {"side1": 64, "side2": 64, "side3": 128, "side4": 256, "side5": 512, "side6": 512}


def published() -> dict[str, tuple[int, ...]]:
    """The names and shapes of RMBG-1.4's `model.safetensors`."""
    shapes: dict[str, tuple[int, ...]] = {"conv_in.weight": (64, 3, 3, 3), "conv_in.bias": (64,)}
    for stage, (block, into, mid, out) in STAGES.items():
        for unit in block.split():
            source, target = unit.split(">")
            wide = {"c": out, "m": mid}
            if source == "in":
                name, channels = "in", into
            elif source.endswith("d2"):
                name, channels = source[:-1], 2 * mid
            else:
                name, channels = source[:-1], wide[source[-1]]
            made = wide[target]
            prefix = f"{stage}.rebnconv{name}"
            shapes[f"{prefix}.conv_s1.weight"] = (made, channels, 3, 3)
            for own in (
                "conv_s1.bias",
                "bn_s1.weight",
                "bn_s1.bias",
                "bn_s1.running_mean",
                "bn_s1.running_var",
            ):
                shapes[f"{prefix}.{own}"] = (made,)
            shapes[f"{prefix}.bn_s1.num_batches_tracked"] = ()
    for side, channels in SIDES.items():
        shapes[f"{side}.weight"], shapes[f"{side}.bias"] = (1, channels, 3, 3), (1,)
    return shapes


def test_parameter_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = isnet.Isnet()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == published()
    assert sum(value.numel() for value in network.parameters()) == 44_046_790
    assert "stage1.rebnconvin.conv_s1.weight" in published() and "stage6.rebnconv1d.bn_s1.bias" in published()


# The same network, written out: one line for each step, names looked up in the state dict.


def unit(w: dict[str, Tensor], name: str, x: Tensor, dilation: int = 1) -> Tensor:
    """Convolution as a sum over its nine taps, then the running statistics' normalisation, then ReLU."""
    kernel, bias = w[f"{name}.conv_s1.weight"], w[f"{name}.conv_s1.bias"]
    height, width = x.shape[-2:]
    padded = functional.pad(x, (dilation,) * 4)
    total = bias[:, None, None].expand(-1, height, width)
    for down in range(3):
        for across in range(3):
            rows = slice(down * dilation, down * dilation + height)
            columns = slice(across * dilation, across * dilation + width)
            part = padded[0, :, rows, columns]
            total = total + torch.einsum("oi,ihw->ohw", kernel[:, :, down, across], part)
    mean, variance, scale, shift = (
        w[f"{name}.bn_s1.{of}"][:, None, None] for of in ("running_mean", "running_var", "weight", "bias")
    )
    return ((total - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)[None]


def pool(x: Tensor) -> Tensor:
    """The greatest of each two by two; a last odd row or column stands alone."""
    height, width = x.shape[-2:]
    filled = functional.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    return torch.stack([filled[..., a::2, b::2] for a in (0, 1) for b in (0, 1)]).amax(0)


def up(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear between the centres of pixels, as two matrices."""

    def weights(count: int, size: int) -> Tensor:
        at = ((torch.arange(size, dtype=torch.float64) + 0.5) * count / size - 0.5).clamp(min=0)
        low = at.long()
        high = (low + 1).clamp(max=count - 1)
        rows, share = torch.arange(size), at - low
        matrix = torch.zeros(size, count, dtype=torch.float64)
        matrix[rows, low] += 1 - share
        matrix[rows, high] += share
        return matrix.to(x.dtype)

    return weights(x.shape[-2], like.shape[-2]) @ x @ weights(x.shape[-1], like.shape[-1]).T


def rsu(w: dict[str, Tensor], name: str, x: Tensor, depth: int) -> Tensor:
    entry = unit(w, f"{name}.rebnconvin", x)
    down = [unit(w, f"{name}.rebnconv1", entry)]
    for level in range(2, depth):
        down.append(unit(w, f"{name}.rebnconv{level}", pool(down[-1])))
    x = unit(w, f"{name}.rebnconv{depth}", down[-1], dilation=2)
    for level in range(depth - 1, 0, -1):
        x = unit(w, f"{name}.rebnconv{level}d", torch.cat((up(x, down[level - 1]), down[level - 1]), 1))
    return x + entry


def rsu4f(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    entry = unit(w, f"{name}.rebnconvin", x)
    one = unit(w, f"{name}.rebnconv1", entry)
    two = unit(w, f"{name}.rebnconv2", one, dilation=2)
    three = unit(w, f"{name}.rebnconv3", two, dilation=4)
    four = unit(w, f"{name}.rebnconv4", three, dilation=8)
    x = unit(w, f"{name}.rebnconv3d", torch.cat((four, three), 1), dilation=4)
    x = unit(w, f"{name}.rebnconv2d", torch.cat((x, two), 1), dilation=2)
    return unit(w, f"{name}.rebnconv1d", torch.cat((x, one), 1)) + entry


def literal(w: dict[str, Tensor], picture: Tensor) -> list[Tensor]:
    """The logits of all six sides at the picture's size."""
    x = functional.conv2d(picture, w["conv_in.weight"], w["conv_in.bias"], stride=2, padding=1)
    one = rsu(w, "stage1", x, 7)
    two = rsu(w, "stage2", pool(one), 6)
    three = rsu(w, "stage3", pool(two), 5)
    four = rsu(w, "stage4", pool(three), 4)
    five = rsu4f(w, "stage5", pool(four))
    six = rsu4f(w, "stage6", pool(five))
    five_d = rsu4f(w, "stage5d", torch.cat((up(six, five), five), 1))
    four_d = rsu(w, "stage4d", torch.cat((up(five_d, four), four), 1), 4)
    three_d = rsu(w, "stage3d", torch.cat((up(four_d, three), three), 1), 5)
    two_d = rsu(w, "stage2d", torch.cat((up(three_d, two), two), 1), 6)
    one_d = rsu(w, "stage1d", torch.cat((up(two_d, one), one), 1), 7)
    features = [one_d, two_d, three_d, four_d, five_d, six]
    return [
        up(functional.conv2d(x, w[f"side{n}.weight"], w[f"side{n}.bias"], padding=1), picture)
        for n, x in enumerate(features, 1)
    ]


def narrow(channels: int = 3, divisor: int = 16) -> isnet.Isnet:
    """The family's network at a fraction of the widths."""

    def less(row: Row) -> Row:
        return row._replace(into=row.into // divisor, mid=row.mid // divisor, out=row.out // divisor)

    return isnet.Isnet([less(row) for row in isnet.GENERAL], channels)


def stirred(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in use, its weights and the statistics of its normalisation drawn by chance."""
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            bound = (3 / module.weight[0].numel()) ** 0.5
            module.weight.data.uniform_(-bound, bound, generator=random)
            module.bias.data.uniform_(-0.1, 0.1, generator=random)
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked.fill_(0)
            module.running_mean.normal_(0, 0.2, generator=random)
            module.running_var.uniform_(0.3, 1.2, generator=random)
            module.weight.data.uniform_(0.7, 1.4, generator=random)
            module.bias.data.normal_(0, 0.2, generator=random)
    return network.eval()


@pytest.mark.parametrize(("size", "channels"), [((96, 64), 3), ((75, 131), 3), ((97, 65), 6)])
def test_the_network_equals_a_literal_implementation(size: tuple[int, int], channels: int) -> None:
    network = stirred(narrow(channels), seed=size[0])
    picture = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        expected = literal(network.state_dict(), picture)
        sides = network.sides(picture)
        matte = network(picture)
    assert len(sides) == 6 and matte.shape == (1, 1, *size)
    for side, wanted in zip([matte, *sides], [expected[0], *expected], strict=True):
        assert wanted.std() > 1e-3
        torch.testing.assert_close(side.sigmoid(), wanted.sigmoid(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", [Row("x", 5, 3, 7, 7), Row("x", 5, 3, 7, 4), Row("x", 5, 3, 7, 4, flat=True)])
def test_a_block_equals_a_literal_implementation(row: Row) -> None:
    block = stirred(isnet._Block(row))
    w = {f"x.{name}": value for name, value in block.state_dict().items()}
    x = torch.rand(1, 5, 45, 67, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = rsu4f(w, "x", x) if row.flat else rsu(w, "x", x, row.depth)
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


def test_side_outputs_are_not_computed_for_inference() -> None:
    network = stirred(narrow())
    called: list[str] = []
    for name, module in network.named_children():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    assert sorted(called) == sorted(["conv_in", *STAGES, "side1"])


# The model around it.


class Look(nn.Module):
    """In place of the network: logits of the picture's red, and a note of what it was given."""

    def __init__(self, room: int = 100) -> None:
        super().__init__()
        self.room = room
        self.seen: list[Tensor] = []

    def forward(self, picture: Tensor) -> Tensor:
        self.seen.append(picture.clone())
        if len(picture) > self.room:
            raise torch.OutOfMemoryError
        return (picture[:, :1] + 0.5).clamp(1e-4, 1 - 1e-4).logit()


CPU = torch.device("cpu")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computes in float32, whatever the hardware has."""
    monkeypatch.setattr(devices, "precision", lambda device: torch.float32)


def stills(frames: list[np.ndarray]) -> Iterator[PromptedFrame]:
    return (PromptedFrame(frame) for frame in frames)


def frames(count: int, height: int, width: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        cv2.resize(
            random.integers(0, 256, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
        )
        for _ in range(count)
    ]


def test_inputs_are_normalised_as_in_the_model_card(exact: None) -> None:
    look = Look()
    (frame,) = frames(1, 90, 160)
    frame.flags.writeable = False  # as some decoders give them
    list(Isnet(look, CPU).predict(stills([frame])))
    (given,) = look.seen
    picture = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None]
    expected = up(picture.double(), torch.empty(1024, 1024)) / 255.0 - 0.5
    assert given.dtype == torch.float32 and given.shape == (1, 3, 1024, 1024)
    assert given.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(given.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width"), [(90, 160), (1, 1), (1024, 1024), (1080, 1920), (1280, 720), (31, 2000)]
)
def test_mattes_have_the_size_of_their_frame(exact: None, height: int, width: int) -> None:
    (frame,) = frames(1, height, width)
    (prediction,) = Isnet(Look(), CPU).predict(stills([frame]))
    assert prediction.matte.shape == (height, width) and prediction.matte.dtype == np.uint8
    assert prediction.confidence == 1
    assert np.abs(prediction.matte.astype(float) - frame[..., 0]).mean() < 2


def rescaled(mask: np.ndarray) -> np.ndarray:
    """Rescale a mask by itself to reach from 0 to 1, as the model card does."""
    return np.asarray((mask - mask.min()) / (mask.max() - mask.min()))


def test_masks_are_not_rescaled_to_the_full_range(exact: None) -> None:
    """An empty frame's noise stays noise, and one frame's matte does not hang on another part of it."""
    empty = np.random.default_rng(0).integers(0, 6, (64, 64, 3)).astype(np.uint8)
    lit = empty.copy()
    lit[:8, :8] = 255
    (nothing,), (something,) = (
        [prediction.matte for prediction in Isnet(Look(), CPU).predict(stills([frame]))]
        for frame in (empty, lit)
    )
    assert nothing.max() < 8
    assert np.array_equal(nothing[20:], something[20:])
    assert rescaled(empty[..., 0] / 255).max() == 1
    apart = np.abs(rescaled(empty[..., 0] / 255) - rescaled(lit[..., 0] / 255))[20:]
    assert apart.mean() > 0.3


def test_streams_are_one_for_one_in_batches(exact: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "batch_size", lambda device, each: 4)
    look = Look(room=3)
    shown = [np.full((8, 8, 3), 20 * n, np.uint8) for n in range(7)]
    predictions = list(Isnet(look, CPU).predict(stills(shown)))
    assert [int(f.matte[4, 4]) for f in predictions] == pytest.approx([20 * n for n in range(7)], abs=1)
    assert [len(given) for given in look.seen] == [4, 2, 2, 2, 1]


def test_an_empty_stream_yields_nothing() -> None:
    assert list(Isnet(Look(), CPU).predict(iter(()))) == []


def test_closing_a_stream_closes_its_source(exact: None) -> None:
    closed = False

    def source() -> Iterator[PromptedFrame]:
        nonlocal closed
        try:
            while True:
                yield PromptedFrame(np.zeros((8, 8, 3), np.uint8))
        finally:
            closed = True

    stream = Isnet(Look(), CPU).predict(source())
    next(stream)
    stream.close()
    del stream
    assert closed


@pytest.mark.parametrize(("value", "compiled"), [("1", True), ("0", False), (None, False)])
def test_the_network_is_compiled_if_configured(
    monkeypatch: pytest.MonkeyPatch, exact: None, value: str | None, compiled: bool
) -> None:
    asked: list[nn.Module] = []

    def compile(network: nn.Module) -> nn.Module:
        asked.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile)
    if value is None:
        monkeypatch.delenv("RECORTE_COMPILE", raising=False)
    else:
        monkeypatch.setenv("RECORTE_COMPILE", value)
    look = Look()
    Isnet(look, CPU)
    assert asked == ([look] if compiled else [])


# Through the real loader, from a checkpoint of the real size.


@pytest.fixture(scope="module")
def drawn() -> nn.Module:
    """A network of RMBG's names and shapes with weights drawn by chance. Not to be changed."""
    with torch.device("meta"):
        network = isnet.Isnet()
    return stirred(network.to_empty(device="cpu"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, drawn: nn.Module) -> Path:
    """Its checkpoint. Not to be changed."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(drawn.state_dict(), path)
    return path


def test_checkpoints_are_read_by_the_safe_loader(checkpoint: Path, drawn: nn.Module) -> None:
    card = models.card("rmbg")
    assert card.weights is not None
    assert checkpoint.stat().st_size == pytest.approx(card.weights.bytes, rel=0.001)
    (frame,) = frames(1, 288, 512)
    (prediction,) = card.load("cpu", [checkpoint]).predict(stills([frame]))
    picture = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    grid = functional.interpolate(picture, (1024, 1024), mode="bilinear") / 255 - 0.5
    with torch.inference_mode():
        mask = drawn(grid)[0, 0].sigmoid().numpy()
    expected = guided_filter.upsample_soft(cv2.resize(mask, (512, 288), interpolation=cv2.INTER_AREA), frame)
    assert expected.std() > 5
    # In bfloat16, where the hardware has it, a matte is some levels off.
    assert np.abs(prediction.matte.astype(float) - expected).mean() < 4


@pytest.mark.parametrize("what", ["another table", "another name", "cut off"])
def test_a_mismatched_checkpoint_raises_weights_error(tmp_path: Path, checkpoint: Path, what: str) -> None:
    path = tmp_path / "model.safetensors"
    if what == "another table":
        save_file(narrow().state_dict(), path)
    elif what == "another name":
        save_file({"stage1.conv.weight": torch.zeros(1)}, path)
    else:
        with checkpoint.open("rb") as file:
            path.write_bytes(file.read(100_000))
    with pytest.raises(WeightsError, match=r"^model\.safetensors .*\.$"):
        models.card("rmbg").load("cpu", [path])


def test_a_missing_device_is_reported_before_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA device"):
        models.card("rmbg").load("cuda", [tmp_path / "none.safetensors"])
