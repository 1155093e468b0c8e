"""EdgeTAM: the authors' names and shapes, and its encoder against a literal formulation."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import EdgeTamVideoModel

from pipeline.networks import edgetam, repvit

Shapes = dict[str, tuple[int, ...]]


def linear(into: int, out: int, bias: bool = True) -> Shapes:
    return {"weight": (out, into)} | ({"bias": (out,)} if bias else {})


def convolution(into: int, out: int, kernel: int = 1) -> Shapes:
    return {"weight": (out, into, kernel, kernel), "bias": (out,)}


def norm(width: int) -> Shapes:
    return {"weight": (width,), "bias": (width,)}


def under(**parts: Shapes) -> Shapes:
    """Put the names of each part below its own; `__` stands for a point."""
    return {f"{name.replace('__', '.')}.{own}": s for name, part in parts.items() for own, s in part.items()}


def attention(inner: int = 256, memory: int = 256) -> Shapes:
    return under(
        q_proj=linear(256, inner),
        k_proj=linear(memory, inner),
        v_proj=linear(memory, inner),
        out_proj=linear(inner, 256),
    )


def perceptron(out: int = 256) -> Shapes:
    return under(layers__0=linear(256, 256), layers__1=linear(256, 256), layers__2=linear(256, out))


def conv_norm(into: int, out: int, kernel: int = 1) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    bn = dict.fromkeys(parts, (out,)) | {"num_batches_tracked": ()}
    return {"c.weight": (out, into, kernel, kernel)} | under(bn=bn)


def mixer(width: int) -> Shapes:
    return under(conv1=conv_norm(width, 2 * width), conv2=conv_norm(2 * width, width))


def block(width: int, inner: int | None) -> Shapes:
    token = under(conv=conv_norm(1, width, 3), conv1=conv_norm(1, width))
    shapes = under(token_mixer=token, channel_mixer=mixer(width))
    if inner:
        shapes |= under(se__fc1=convolution(width, inner), se__fc2=convolution(inner, width))
    return shapes


def encoder() -> Shapes:
    shapes = under(stem__conv1=conv_norm(3, 24, 3), stem__conv2=conv_norm(24, 48, 3))
    before = None
    for stage, (width, inner, depth) in enumerate(((48, 16, 2), (96, 24, 2), (192, 48, 14), (384, 96, 2))):
        parts = {f"blocks__{n}": block(width, None if n % 2 else inner) for n in range(depth)}
        if before:
            parts |= {
                "downsample__pre_block": block(before, None),
                "downsample__spatial_downsample": conv_norm(1, before, 3),
                "downsample__channel_downsample": conv_norm(before, width),
                "downsample__ffn": mixer(width),
            }
        shapes |= under(**{f"stages_{stage}": under(**parts)})
        before = width
    return shapes


def summary_layer() -> Shapes:
    feed = {"0.weight": (64,), "0.bias": (64,), "1.weight": (256, 64), "3.weight": (64, 256)}
    look = under(to_q=linear(64, 64, False), to_kv=linear(64, 128, False), to_out=linear(64, 64, False))
    return under(
        attn=under(norm_x=norm(64), norm_latents=norm(64)) | look,
        ff=feed,
        self_attn=under(norm=norm(64)) | look,
        self_ff=feed,
    )


def published() -> Shapes:
    """The tensors of `edgetam.pt`, by the names of its authors' code."""
    two_way = under(
        self_attn=attention(),
        cross_attn_token_to_image=attention(128),
        cross_attn_image_to_token=attention(128),
        mlp__layers__0=linear(256, 2048),
        mlp__layers__1=linear(2048, 256),
        **{f"norm{n}": norm(256) for n in (1, 2, 3, 4)},
    )
    remember = under(
        self_attn=attention(),
        cross_attn_image=attention(memory=64),
        linear1=linear(256, 2048),
        linear2=linear(2048, 256),
        **{f"norm{n}": norm(256) for n in (1, 2, 3)},
    )
    fuser = {"gamma": (256,)} | under(
        dwconv={"weight": (256, 1, 7, 7), "bias": (256,)},
        norm=norm(256),
        pwconv1=linear(256, 1024),
        pwconv2=linear(1024, 256),
    )
    prompts = under(
        pe_layer={"positional_encoding_gaussian_matrix": (2, 128)},
        mask_downscaling__0=convolution(1, 4, 2),
        mask_downscaling__1=norm(4),
        mask_downscaling__3=convolution(4, 16, 2),
        mask_downscaling__4=norm(16),
        mask_downscaling__6=convolution(16, 256),
        **{f"point_embeddings__{n}": {"weight": (1, 256)} for n in range(4)},
        not_a_point_embed={"weight": (1, 256)},
        no_mask_embed={"weight": (1, 256)},
    )
    decoder = under(
        **{f"transformer__layers__{n}": two_way for n in range(2)},
        transformer__final_attn_token_to_image=attention(128),
        transformer__norm_final_attn=norm(256),
        iou_token={"weight": (1, 256)},
        mask_tokens={"weight": (4, 256)},
        obj_score_token={"weight": (1, 256)},
        output_upscaling__0={"weight": (256, 64, 2, 2), "bias": (64,)},
        output_upscaling__1=norm(64),
        output_upscaling__3={"weight": (64, 32, 2, 2), "bias": (32,)},
        conv_s0=convolution(256, 32),
        conv_s1=convolution(256, 64),
        **{f"output_hypernetworks_mlps__{n}": perceptron(32) for n in range(4)},
        iou_prediction_head=perceptron(4),
        pred_obj_score_head=perceptron(1),
    )
    downsampler: Shapes = {}
    for n, (into, out) in enumerate(((1, 4), (4, 16), (16, 64), (64, 256))):
        downsampler |= under(**{f"{3 * n}": convolution(into, out, 3), f"{3 * n + 1}": norm(out)})
    return {
        "maskmem_tpos_enc": (7, 1, 1, 64),
        "no_mem_embed": (1, 1, 256),
        "no_mem_pos_enc": (1, 1, 256),
        "no_obj_ptr": (1, 256),
    } | under(
        image_encoder__trunk__body=encoder(),
        **{
            f"image_encoder__neck__convs__{n}__conv": convolution(width, 256)
            for n, width in enumerate((384, 192, 96, 48))
        },
        **{f"memory_attention__layers__{n}": remember for n in range(2)},
        memory_attention__norm=norm(256),
        memory_encoder__mask_downsampler__encoder=downsampler | under(**{"12": convolution(256, 256)}),
        memory_encoder__pix_feat_proj=convolution(256, 256),
        **{f"memory_encoder__fuser__layers__{n}": fuser for n in range(2)},
        memory_encoder__out_proj=convolution(256, 64),
        spatial_perceiver={"latents": (256, 64), "latents_2d": (256, 64)},
        **{f"spatial_perceiver__layers__{n}": summary_layer() for n in range(2)},
        spatial_perceiver__norm=norm(64),
        sam_prompt_encoder=prompts,
        sam_mask_decoder=decoder,
        mask_downsample=convolution(1, 1, 4),
        obj_ptr_proj=perceptron(),
    )


def test_the_authors_names_and_shapes_become_those_of_the_network() -> None:
    with torch.device("meta"):
        module = EdgeTamVideoModel(edgetam.configure())
        tensors = {
            name: torch.empty(shape, dtype=torch.int64 if name.endswith("tracked") else torch.float32)
            for name, shape in published().items()
        }
    renamed = {name: tuple(value.shape) for name, value in edgetam.rename(tensors).items()}
    assert renamed == {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert sum(value.numel() for value in module.parameters()) == 13_895_794


def test_joined_and_split_tensors_keep_their_order() -> None:
    points = {f"sam_prompt_encoder.point_embeddings.{n}.weight": torch.full((1, 8), n) for n in (2, 0, 3, 1)}
    name = "spatial_perceiver.layers.1.self_attn.to_kv.weight"
    renamed = edgetam.rename(points | {name: torch.arange(8).reshape(4, 2)})
    assert renamed["prompt_encoder.point_embed.weight"][:, 0].tolist() == [0, 1, 2, 3]
    beginning = "spatial_perceiver.layers.1.self_attention"
    assert renamed[f"{beginning}.k_proj.weight"].tolist() == [[0, 1], [2, 3]]
    assert renamed[f"{beginning}.v_proj.weight"].tolist() == [[4, 5], [6, 7]]


def test_names_and_shapes_of_another_network_stay_for_the_check_that_refuses_them() -> None:
    others = {
        "memory_encoder.mask_downsampler.encoder.2.weight": torch.zeros(1),
        "spatial_perceiver.layers.0.attn.to_kv.weight": torch.zeros(3, 2),
        "sam_prompt_encoder.point_embeddings.0.weight": torch.zeros(1),
    }
    assert len(edgetam.rename(others)) == 3


@pytest.fixture
def network() -> repvit.RepVit:
    """A small encoder with random weights and statistics."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        made = repvit.RepVit((16, 24, 32), (2, 1, 3)).eval()
        for name, value in made.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and value.dim() == 1:
                value.normal_(0, 0.5)
            elif value.is_floating_point():
                value.normal_(0, 1.5 / math.sqrt(value[0].numel()))
    return made


def picture() -> Tensor:
    return torch.randn((1, 3, 64, 96), generator=torch.Generator().manual_seed(1))


def literal(state: dict[str, Tensor], depths: tuple[int, ...], x: Tensor) -> list[Tensor]:
    """The encoder's output, written down as sums and products of its tensors."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = state[f"{name}.c.weight"]
        groups = x.shape[1] // kernel.shape[1]
        x = functional.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, groups=groups)
        mean, var, scale, shift = (
            state[f"{name}.bn.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def gelu(x: Tensor) -> Tensor:
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2

    def feed(name: str, x: Tensor) -> Tensor:
        return x + conv(f"{name}.conv2", gelu(conv(f"{name}.conv1", x)))

    def mix(name: str, x: Tensor) -> Tensor:
        x = conv(f"{name}.token_mixer.conv", x) + conv(f"{name}.token_mixer.conv1", x) + x
        if f"{name}.se.fc1.weight" in state:
            weight = x.mean((2, 3))
            for layer, act in (("fc1", torch.relu), ("fc2", torch.sigmoid)):
                matrix = state[f"{name}.se.{layer}.weight"][:, :, 0, 0]
                weight = act(weight @ matrix.T + state[f"{name}.se.{layer}.bias"])
            x = x * weight[:, :, None, None]
        return feed(f"{name}.channel_mixer", x)

    x = conv("stem.conv2", gelu(conv("stem.conv1", x, 2)), 2)
    features = []
    for stage, depth in enumerate(depths):
        if stage:
            down = f"stages_{stage}.downsample"
            x = conv(f"{down}.spatial_downsample", mix(f"{down}.pre_block", x), 2)
            x = feed(f"{down}.ffn", conv(f"{down}.channel_downsample", x))
        for n in range(depth):
            x = mix(f"stages_{stage}.blocks.{n}", x)
        features.append(x)
    return features


def test_the_encoder_equals_its_literal_formulation(network: repvit.RepVit) -> None:
    with torch.inference_mode():
        features = network(picture())
        expected = literal(network.state_dict(), (2, 1, 3), picture())
    assert [tuple(level.shape) for level in features] == [(1, 16, 16, 24), (1, 24, 8, 12), (1, 32, 4, 6)]
    for level, other in zip(features, expected, strict=True):
        torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-4)
        assert level.std() > 0.1


def test_fused_convolutions_have_the_same_output(network: repvit.RepVit) -> None:
    with torch.inference_mode():
        before = network(picture())
        after = repvit.fuse(network)(picture())
    for level, other in zip(before, after, strict=True):
        torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-4)
    assert not any("bn" in name or "token_mixer.conv" in name for name in network.state_dict())
