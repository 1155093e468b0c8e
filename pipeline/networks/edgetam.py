"""EdgeTAM on a stream of frames: SAM 2's session with a small encoder, and with memories of 512 tokens.

The network is that of Zhou et al., "EdgeTAM: On-Device Track Anything Model" (CVPR 2025), as transformers has
it, with an encoder of our own (`repvit`). A frame uses those before it by the rules of SAM 2, and so
`sam2.Track` serves both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    EdgeTamVideoConfig,
    EdgeTamVideoModel,
    EdgeTamVisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights
from transformers.modeling_outputs import BaseModelOutput

from pipeline import devices
from pipeline.networks import repvit
from pipeline.networks.sam2 import Network
from pipeline.weights import checkpoints


class _EncoderConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    model_type = "recorte_repvit"
    widths: Sequence[int] = repvit.WIDTHS
    depths: Sequence[int] = repvit.DEPTHS


class _Encoder(PreTrainedModel):  # type: ignore[no-untyped-call]
    """The image encoder as transformers builds and calls it; the published names say `timm_model`."""

    config_class = _EncoderConfig

    def __init__(self, config: _EncoderConfig) -> None:
        super().__init__(config)
        self.timm_model = repvit.RepVit(config.widths, config.depths)

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutput:
        features: Any = self.timm_model(pixel_values)
        return BaseModelOutput(last_hidden_state=features)


_auto_config: Any = AutoConfig
_auto_model: Any = AutoModel
_auto_config.register(_EncoderConfig.model_type, _EncoderConfig, exist_ok=True)
_auto_model.register(_EncoderConfig, _Encoder, exist_ok=True)


def configure(
    encoder: Mapping[str, Any] | None = None, vision: Mapping[str, Any] | None = None, **changes: Any
) -> EdgeTamVideoConfig:
    """Return the published network's configuration, with changed fields of encoder, neck and others."""
    backbone: Any = _EncoderConfig(**(encoder or {}))
    config: Any = EdgeTamVisionConfig(backbone_config=backbone, **(vision or {}))
    published = {
        "enable_temporal_pos_encoding_for_object_pointers": False,
        "enable_occlusion_spatial_embedding": False,
    }
    return EdgeTamVideoConfig(vision_config=config, **(published | changes))


def load(weights: Path, device: str) -> Network:
    """Load the network with published weights: `edgetam.pt`, or a file with the names of transformers.

    They are read as data. Raises WeightsError for a file that is damaged or of another network, InputError
    for a device that is not there.
    """
    where = devices.pick(device)
    tensors = checkpoints.read(weights, within="model")
    if any(name.startswith("image_encoder.") for name in tensors):
        tensors = rename(tensors)
    with no_init_weights():
        module = EdgeTamVideoModel(configure())
    checkpoints.load_tensors(module, tensors, weights.name)
    return Network(fuse_encoder(module), where)


def fuse_encoder(module: EdgeTamVideoModel) -> EdgeTamVideoModel:
    """Make the encoder of a network faster, for inference only."""
    encoder: Any = module.vision_encoder.backbone
    repvit.fuse(encoder.timm_model)
    return module


_RENAMES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        # prompts
        (r"^sam_prompt_encoder\.", "prompt_encoder."),
        (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        # masks
        (r"^sam_mask_decoder\.", "mask_decoder."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
        (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
        (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
        # memories
        (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
        (r"^no_obj_ptr$", "no_object_pointer"),
        (r"^obj_ptr_proj\.", "object_pointer_proj."),
        (r"^(memory_attention\.layers\.\d+)\.linear1\.", r"\1.mlp.up_proj."),
        (r"^(memory_attention\.layers\.\d+)\.linear2\.", r"\1.mlp.down_proj."),
        (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
        (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
        (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
        (r"\.dwconv\.", ".depthwise_conv."),
        (r"\.pwconv([12])\.", r".pointwise_conv\1."),
        (r"\.gamma$", ".scale"),
        (r"\.mask_downsampler\.encoder\.12\.", ".mask_downsampler.final_conv."),
        # their summary
        (r"^spatial_perceiver\.latents$", "spatial_perceiver.latents_1d"),
        (r"\.attn\.norm_x\.", ".layer_norm_input."),
        (r"\.attn\.norm_latents\.", ".layer_norm_latents."),
        (r"\.self_attn\.norm\.", ".layer_norm_self."),
        (r"^(spatial_perceiver\.layers\.\d+)\.attn\.", r"\1.cross_attention."),
        (r"^(spatial_perceiver\.layers\.\d+)\.self_attn\.", r"\1.self_attention."),
        (r"\.to_q\.", ".q_proj."),
        (r"\.to_out\.", ".o_proj."),
        (r"\.(self_)?ff\.0\.", r".\1mlp.layer_norm."),
        (r"\.(self_)?ff\.1\.", r".\1mlp.up_proj."),
        (r"\.(self_)?ff\.3\.", r".\1mlp.down_proj."),
        # in all of them
        (r"\.out_proj\.", ".o_proj."),
        (r"\.norm(\d?|_final_attn)\.", r".layer_norm\1."),
        (r"\b(\w*(?:_head|_proj|_mlps\.\d+))\.layers\.0\.", r"\1.proj_in."),
        (r"\b(\w*(?:_head|_proj|_mlps\.\d+))\.layers\.1\.", r"\1.layers.0."),
        (r"\b(\w*(?:_head|_proj|_mlps\.\d+))\.layers\.2\.", r"\1.proj_out."),
    )
)
"""Parts of the authors' names of tensors, with those of transformers; all that match apply, in order."""

_DOWNSAMPLER = re.compile(r"(?<=\.mask_downsampler\.)encoder\.(\d+)\.")
_POINTS = "prompt_encoder.point_embeddings."
_PLACES = "prompt_encoder.shared_embedding.positional_embedding"


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the authors' checkpoint by the names, and in the pieces, of transformers.

    A name that is not the network's stays in it, for `checkpoints.load_tensors` to refuse.
    """
    renamed: dict[str, Tensor] = {}
    points: dict[str, Tensor] = {}
    for given, tensor in tensors.items():
        name = given
        for pattern, replacement in _RENAMES:
            name = pattern.sub(replacement, name)
        name = _DOWNSAMPLER.sub(_name_downsampler, name)
        if name.startswith(_POINTS) and tensor.dim() == 2:
            points[name] = tensor
        elif ".to_kv." in name and tensor.dim() == 2 and len(tensor) % 2 == 0:
            for part, half in zip(("k_proj", "v_proj"), tensor.chunk(2), strict=True):
                renamed[name.replace("to_kv", part)] = half
        else:
            renamed[name] = tensor
    if len({tensor.shape[1] for tensor in points.values()}) == 1:
        renamed["prompt_encoder.point_embed.weight"] = torch.cat([points[name] for name in sorted(points)])
    if _PLACES in renamed:
        renamed["shared_image_embedding.positional_embedding"] = renamed[_PLACES]
    return renamed


def _name_downsampler(match: re.Match[str]) -> str:
    """Name a part by its number: a convolution, a normalisation and an activation follow each other."""
    layer, part = divmod(int(match[1]), 3)
    return match[0] if part == 2 else f"layers.{layer}.{('conv', 'layer_norm')[part]}."
