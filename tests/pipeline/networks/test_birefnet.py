"""BiRefNet: the published names, shapes and file sizes, and its blocks against literal formulations."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from pipeline import devices, models
from pipeline.errors import WeightsError
from pipeline.models import PromptedFrame
from pipeline.models.isnet import Isnet
from pipeline.networks import birefnet, swin
from pipeline.networks.birefnet import Birefnet, CentredInput
from pipeline.networks.swin import Size, Swin

SMALL = Size(8, (2, 2, 2, 2), (1, 2, 2, 4), 3)

Shapes = dict[str, tuple[int, ...]]


def convolution(into: int, out: int, kernel: int = 1, bias: bool = True) -> Shapes:
    return {"weight": (out, into, kernel, kernel)} | ({"bias": (out,)} if bias else {})


def linear(into: int, out: int, bias: bool = True) -> Shapes:
    return {"weight": (out, into)} | ({"bias": (out,)} if bias else {})


def layer_norm(width: int) -> Shapes:
    return {"weight": (width,), "bias": (width,)}


def batch_norm(width: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return dict.fromkeys(parts, (width,)) | {"num_batches_tracked": ()}


def under(**parts: Shapes) -> Shapes:
    """Put the names of each part below its own; `__` stands for a point."""
    return {f"{name.replace('__', '.')}.{own}": s for name, part in parts.items() for own, s in part.items()}


def pyramid() -> Shapes:
    def branch(kernel: int) -> Shapes:
        return under(
            atrous_conv__offset_conv=convolution(64, 2 * kernel**2, kernel),
            atrous_conv__modulator_conv=convolution(64, kernel**2, kernel),
            atrous_conv__regular_conv=convolution(64, 256, kernel, bias=False),
            bn=batch_norm(256),
        )

    return under(
        aspp1=branch(1),
        aspp_deforms__0=branch(1),
        aspp_deforms__1=branch(3),
        aspp_deforms__2=branch(7),
        global_avg_pool__1=convolution(64, 256, bias=False),
        global_avg_pool__2=batch_norm(256),
        conv1=convolution(5 * 256, 64, bias=False),
        bn1=batch_norm(64),
    )


def decoder_block(into: int, out: int) -> Shapes:
    return under(
        conv_in=convolution(into, 64, 3),
        bn_in=batch_norm(64),
        dec_att=pyramid(),
        conv_out=convolution(64, out, 3),
        bn_out=batch_norm(out),
    )


def patches(into: int, out: int) -> Shapes:
    return under(conv1=convolution(into, 64, 3), conv_out=convolution(64, out, 3))


def published(size: Size) -> Shapes:
    """The names and shapes of the published checkpoints."""
    shapes = under(
        bb__patch_embed__proj=convolution(3, size.width, 4), bb__patch_embed__norm=layer_norm(size.width)
    )
    tokens = size.window**2
    for level, (depth, heads) in enumerate(zip(size.depths, size.heads, strict=True)):
        width = size.width * 2**level
        for number in range(depth):
            block = under(
                norm1=layer_norm(width),
                attn__qkv=linear(width, 3 * width),
                attn__proj=linear(width, width),
                norm2=layer_norm(width),
                mlp__fc1=linear(width, 4 * width),
                mlp__fc2=linear(4 * width, width),
            )
            block["attn.relative_position_bias_table"] = ((2 * size.window - 1) ** 2, heads)
            block["attn.relative_position_index"] = (tokens, tokens)
            shapes |= under(**{f"bb__layers__{level}__blocks__{number}": block})
        if level < 3:
            merging = under(reduction=linear(4 * width, 2 * width, bias=False), norm=layer_norm(4 * width))
            shapes |= under(**{f"bb__layers__{level}__downsample": merging})
        shapes |= under(**{f"bb__norm{level}": layer_norm(width)})
    a, b, c, d = (2 * size.width * 2**level for level in (3, 2, 1, 0))
    decoder = under(
        ipt_blk5=patches(3072, a // 8),
        ipt_blk4=patches(768, a // 8),
        ipt_blk3=patches(192, b // 8),
        ipt_blk2=patches(48, c // 8),
        ipt_blk1=patches(3, d // 8),
        decoder_block4=decoder_block(a + a // 8, b),
        decoder_block3=decoder_block(b + a // 8, c),
        decoder_block2=decoder_block(c + b // 8, d),
        decoder_block1=decoder_block(d + c // 8, d // 2),
        conv_out1__0=convolution(d // 2 + d // 8, 1),
    )
    for level, width in ((4, b), (3, c), (2, d)):
        decoder |= under(
            **{
                f"lateral_block{level}__conv": convolution(width, width),
                f"conv_ms_spvn_{level}": convolution(width, 1),
                f"gdt_convs_{level}__0": convolution(width, 16, 3),
                f"gdt_convs_{level}__1": batch_norm(16),
                f"gdt_convs_pred_{level}__0": convolution(16, 1),
                f"gdt_convs_attn_{level}__0": convolution(16, 1),
            }
        )
    squeeze = decoder_block(a + b + c + d, a)
    return shapes | under(squeeze_module__0=squeeze, decoder=decoder)


@pytest.mark.parametrize(("size", "weights"), [(swin.LARGE, 220_176_498), (swin.TINY, 44_313_720)])
def test_parameter_names_and_shapes_are_the_published_ones(size: Size, weights: int) -> None:
    with torch.device("meta"):
        network = Birefnet(size)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == published(size)
    assert sum(value.numel() for value in network.parameters()) == weights


def file_size(size: Size, half: bool) -> int:
    """The bytes of a file in the safetensors format with these tensors: its header, and the values."""
    with torch.device("meta"):
        state = Birefnet(size).state_dict()
    floats = ("F16", 2) if half else ("F32", 4)
    kinds = {name: floats if value.is_floating_point() else ("I64", 8) for name, value in state.items()}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in sorted(state, key=lambda name: (kinds[name][0] != "I64", name)):
        kind, each = kinds[name]
        end = at + each * state[name].numel()
        header[name] = {"dtype": kind, "shape": list(state[name].shape), "data_offsets": [at, end]}
        at = end
    text = len(json.dumps(header, separators=(",", ":")))
    return 8 + text + -text % 8 + at


@pytest.mark.parametrize(
    ("key", "size", "half"),
    [
        ("birefnet", swin.LARGE, True),
        ("birefnet-lite", swin.TINY, False),
        ("birefnet-matting", swin.LARGE, False),
        ("birefnet-hr", swin.LARGE, True),
        ("rmbg-2", swin.LARGE, False),
    ],
)
def test_a_file_of_these_tensors_has_the_size_of_the_published_one(key: str, size: Size, half: bool) -> None:
    weights = models.card(key).weights
    assert weights is not None and weights.bytes == file_size(size, half)


def stirred(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in use, its weights and the statistics of its normalisations drawn by chance."""
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        for name, value in module.named_parameters(recurse=False):
            spread = (1 / max(1, value[0].numel())) ** 0.5 if value.ndim > 1 else 0.1
            value.data.normal_(1 if "norm" in name else 0, spread, generator=random)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            module.weight.data.uniform_(0.7, 1.4, generator=random)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=random)  # type: ignore[union-attr]
            module.running_var.uniform_(0.3, 1.2, generator=random)  # type: ignore[union-attr]
        if isinstance(module, swin._Attention):
            module.relative_position_bias_table.data.normal_(0, 1, generator=random)
    return network.eval()


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) - 0.5


# Literal formulations: one token, one tap, one tile at a time.


def attend(block: swin._Block, x: Tensor) -> Tensor:
    """The attention of a block, token by token: who lies in its shifted window, and not across the border."""
    side, shift, attn = block.window, block.shift, block.attn
    _, height, width, channels = x.shape
    high, wide = height + -height % side, width + -width % side
    padded = torch.zeros(high, wide, channels)
    padded[:height, :width] = block.norm1(x)[0]
    qkv = attn.qkv(padded).view(high, wide, 3, attn.heads, channels // attn.heads)
    result = torch.zeros(high, wide, channels)

    def place(row: int, column: int) -> tuple[int, ...]:
        """The window of a token, and on which side of the picture's border it came from."""
        r, c = (row - shift) % high, (column - shift) % wide
        return r // side, c // side, int(row < shift), int(column < shift)

    for row in range(high):
        for column in range(wide):
            seen = [(r, c) for r in range(high) for c in range(wide) if place(r, c) == place(row, column)]
            for head in range(attn.heads):
                query = qkv[row, column, 0, head]
                scores = []
                for r, c in seen:
                    down = ((row - shift) % high) % side - ((r - shift) % high) % side + side - 1
                    across = ((column - shift) % wide) % side - ((c - shift) % wide) % side + side - 1
                    bias = attn.relative_position_bias_table[down * (2 * side - 1) + across, head]
                    scores.append(query @ qkv[r, c, 1, head] / len(query) ** 0.5 + bias)
                shares = torch.stack(scores).softmax(0)
                mixed = sum(s * qkv[r, c, 2, head] for s, (r, c) in zip(shares, seen, strict=True))
                part = slice(head * len(query), (head + 1) * len(query))
                result[row, column, part] = mixed  # type: ignore[assignment]
    x = x + attn.proj(result)[:height, :width][None]
    hidden = functional.gelu(block.mlp.fc1(block.norm2(x)))
    return x + block.mlp.fc2(hidden)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(6, 9), (7, 5)])
def test_a_swin_block_equals_a_literal_formulation(shift: int, height: int, width: int) -> None:
    block = stirred(swin._Block(8, 2, 3, shift))
    assert isinstance(block, swin._Block)
    x = drawn(1, height, width, 8)
    with torch.inference_mode():
        expected = attend(block, x)
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
        assert (expected - x).std() > 1e-2


def test_merging_puts_two_by_two_tokens_in_the_published_order() -> None:
    merging = stirred(swin._Merging(4))
    x = drawn(1, 3, 4, 4)
    padded = torch.zeros(4, 4, 4)
    padded[:3] = x[0]
    with torch.inference_mode():
        merged = merging(x)
        assert merged.shape == (1, 2, 2, 8)
        for row in range(2):
            for column in range(2):
                tokens = [padded[2 * row + r, 2 * column + c] for r, c in ((0, 0), (1, 0), (0, 1), (1, 1))]
                expected = merging.reduction(merging.norm(torch.cat(tokens)))  # type: ignore[operator]
                torch.testing.assert_close(merged[0, row, column], expected, rtol=1e-4, atol=1e-5)


def test_features_have_the_strides_four_to_thirty_two() -> None:
    features = stirred(Swin(SMALL))(drawn(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, 8, 16, 24),
        (1, 16, 8, 12),
        (1, 32, 4, 6),
        (1, 64, 2, 3),
    ]


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_deformable_convolution_equals_a_literal_formulation(kernel: int) -> None:
    layer = stirred(birefnet._Deformable(kernel))
    x = drawn(1, 64, 5, 6)
    with torch.inference_mode():
        offset = functional.conv2d(x, layer.offset_conv.weight, layer.offset_conv.bias, padding=kernel // 2)  # type: ignore[union-attr,arg-type]
        weight = 2 * torch.sigmoid(layer.modulator_conv(x))  # type: ignore[operator]
        expected = torch.zeros(1, 256, 5, 6)
        taps = layer.regular_conv.weight  # type: ignore[union-attr]
        for row in range(5):
            for column in range(6):
                for tap in range(kernel**2):
                    y = row - kernel // 2 + tap // kernel + offset[0, 2 * tap, row, column]
                    z = column - kernel // 2 + tap % kernel + offset[0, 2 * tap + 1, row, column]
                    value = torch.zeros(64)
                    for r in (int(y.floor()), int(y.floor()) + 1):
                        for c in (int(z.floor()), int(z.floor()) + 1):
                            if 0 <= r < 5 and 0 <= c < 6:
                                value = value + x[0, :, r, c] * (1 - (y - r).abs()) * (1 - (z - c).abs())
                    value = value * weight[0, tap, row, column]
                    expected[0, :, row, column] += taps[:, :, tap // kernel, tap % kernel] @ value  # type: ignore[index]
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_patches_are_tiles_by_colour_row_and_column() -> None:
    picture = drawn(1, 3, 8, 12)
    laid = birefnet._patches(picture, 4)
    assert laid.shape == (1, 48, 2, 3)
    for colour in range(3):
        for row in range(4):
            for column in range(4):
                tile = picture[0, colour, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
                assert torch.equal(laid[0, colour * 16 + row * 4 + column], tile)


def resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


def literal(network: Birefnet, picture: Tensor) -> Tensor:
    """The whole network from its blocks, one line for each step of the paper's figure."""
    part = network.decoder.get_submodule
    half = functional.interpolate(picture, scale_factor=0.5, mode="bilinear", align_corners=True)
    fine, coarse = network.bb(picture), network.bb(half)
    one, two, three, four = (torch.cat((f, resize(c, f)), 1) for f, c in zip(fine, coarse, strict=True))
    four = torch.cat((resize(one, four), resize(two, four), resize(three, four), four), 1)
    four = network.squeeze_module(four)
    p = part("decoder_block4")(torch.cat((four, part("ipt_blk5")(birefnet._patches(picture, 32))), 1))
    p = p * part("gdt_convs_attn_4")(part("gdt_convs_4")(p)).sigmoid()
    p = resize(p, three) + part("lateral_block4.conv")(three)
    p = part("decoder_block3")(torch.cat((p, part("ipt_blk4")(birefnet._patches(picture, 16))), 1))
    p = p * part("gdt_convs_attn_3")(part("gdt_convs_3")(p)).sigmoid()
    p = resize(p, two) + part("lateral_block3.conv")(two)
    p = part("decoder_block2")(torch.cat((p, part("ipt_blk3")(birefnet._patches(picture, 8))), 1))
    p = p * part("gdt_convs_attn_2")(part("gdt_convs_2")(p)).sigmoid()
    p = resize(p, one) + part("lateral_block2.conv")(one)
    p = part("decoder_block1")(torch.cat((p, part("ipt_blk2")(birefnet._patches(picture, 4))), 1))
    p = resize(p, picture)
    return part("conv_out1")(torch.cat((p, part("ipt_blk1")(picture)), 1))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_the_network_equals_a_literal_formulation(height: int, width: int) -> None:
    network = stirred(Birefnet(SMALL))
    assert isinstance(network, Birefnet)
    with torch.inference_mode():
        picture = drawn(1, 3, height, width)
        logits = network(picture)
        assert logits.shape == (1, 1, height, width) and logits.std() > 1e-2
        torch.testing.assert_close(logits, literal(network, picture), rtol=1e-4, atol=1e-4)


def test_16_bits_agree_with_32() -> None:
    network = stirred(Birefnet(SMALL))
    with torch.inference_mode():
        picture = drawn(1, 3, 64, 96)
        exact = network(picture).sigmoid()
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(picture).float().sigmoid()
    assert (exact - rough).abs().mean() < 0.02


def test_inputs_are_normalised_as_by_imagenet() -> None:
    seen: list[Tensor] = []

    class Look(nn.Module):
        def forward(self, picture: Tensor) -> Tensor:
            seen.append(picture)
            return picture[:, :1]

    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    model = Isnet(CentredInput(Look()), torch.device("cpu"), side=64)  # type: ignore[arg-type]
    next(model.predict(iter([PromptedFrame(frame)])))
    for channel, (mean, deviation) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        expected = (frame[..., channel] / 255 - mean) / deviation
        np.testing.assert_allclose(seen[0][0, channel].float().numpy(), expected, atol=2e-5)


# Through the loader, with a small network of the published names.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swin, "TINY", SMALL)
    monkeypatch.setattr(devices, "precision", lambda device: torch.float32)


def test_checkpoints_in_half_precision_are_loaded(small: None, tmp_path: Path) -> None:
    network = stirred(Birefnet(SMALL))
    state = {n: v.half() if v.is_floating_point() else v for n, v in network.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    model = models.card("birefnet-lite").load("cpu", [tmp_path / "model.safetensors"])
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    (prediction,) = model.predict(iter([PromptedFrame(frame)]))
    assert prediction.matte.shape == (64, 96) and prediction.matte.std() > 0


@pytest.mark.parametrize("what", ["a name less", "a name more", "another shape"])
def test_other_checkpoints_are_refused(small: None, tmp_path: Path, what: str) -> None:
    state = dict(Birefnet(SMALL).state_dict())
    if what == "a name less":
        del state["decoder.conv_ms_spvn_4.bias"]
    elif what == "a name more":
        state["decoder.other"] = torch.zeros(1)
    else:
        state["bb.norm0.weight"] = torch.zeros(9)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"^model\.safetensors is not this model's"):
        models.card("birefnet-lite").load("cpu", [tmp_path / "model.safetensors"])
