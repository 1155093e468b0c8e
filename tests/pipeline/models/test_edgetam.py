"""EdgeTAM: what is streamed with a bounded memory is what the library finds with the whole clip at hand.

As for SAM 2, of whose tests these take the clips and the marks: a small network with random weights, in
float32, to the bit.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import EdgeTamVideoModel

from pipeline import models
from pipeline.errors import PromptError, WeightsError
from pipeline.models import PromptedFrame
from pipeline.models.sam2 import Sam2
from pipeline.networks import edgetam, sam2
from pipeline.prompts import Prompt
from pipeline.weights import checkpoints
from tests.pipeline.models.test_sam2 import (
    BOTH,
    BOX,
    CLICK,
    LATER,
    SEEN,
    clip,
    equal,
    streamed,
    tensor_bytes,
    whole,
)
from tests.pipeline.models.test_sam2 import exactly as exactly
from tests.pipeline.models.test_sam2 import single as single
from tests.pipeline.networks.test_edgetam import published

HIDDEN = -0.2
"""Added to the object's score, it comes and goes."""


def module(presence: float) -> EdgeTamVideoModel:
    """A small network: frames of 128 pixels a side, memories of 16 tokens for the frame and 16 for its parts.

    Its weights are random, large enough for the memory to matter; `presence` is added to the object's score.
    """
    size, width = 128, 128
    config = edgetam.configure(
        encoder={"widths": (16, 16, 32, 32), "depths": (1, 1, 2, 1)},
        vision={
            "backbone_channel_list": [32, 32, 16, 16],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": width,
        },
        image_size=size,
        prompt_encoder_config={"hidden_size": width, "image_size": size, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
        memory_attention_hidden_size=width,
        memory_attention_mlp_hidden_size=64,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_attention_rope_k_sizes=[4, 4],
        perceiver_resampler_num_latents=16,
        perceiver_resampler_num_latents_2d=16,
        memory_encoder_hidden_size=width,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=64,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        made = EdgeTamVideoModel(config).eval()
        for name, weight in made.named_parameters():
            if "norm" not in name and ".bn." not in name:
                fan = weight[0].numel()
                scale = 1.5 / math.sqrt(fan) if weight.dim() > 1 and fan > 1 else 0.1
                weight.copy_(torch.randn(weight.shape) * scale)
        made.mask_decoder.pred_obj_score_head.proj_out.bias += presence
        # One and the same, as in the published weights.
        made.shared_image_embedding.positional_embedding.copy_(
            made.prompt_encoder.shared_embedding.positional_embedding
        )
    return edgetam.fuse_encoder(made)


@pytest.fixture(scope="module", params=[SEEN, HIDDEN], ids=["seen", "hidden"])
def network(request: pytest.FixtureRequest) -> sam2.Network:
    return sam2.Network(module(request.param), torch.device("cpu"))


@pytest.fixture(scope="module")
def seen() -> sam2.Network:
    return sam2.Network(module(SEEN), torch.device("cpu"))


class TestStreaming:
    @pytest.mark.parametrize("prompt", [CLICK, BOX, BOTH], ids=["click", "box", "both"])
    def test_equals_the_whole_video(self, network: sam2.Network, prompt: Prompt) -> None:
        frames = clip(24)  # longer than any window of 7 memories or 16 pointers
        predictions = streamed(network, frames, {0: prompt})
        assert equal(predictions, whole(network, frames, {0: prompt}))
        assert any(mask.max() > 0 for mask in predictions)
        assert not any(torch.equal(a, b) for a, b in itertools.pairwise(predictions) if a.max() > 0)

    @pytest.mark.parametrize("at", [1, 19])
    def test_equals_it_after_a_correction(self, network: sam2.Network, at: int) -> None:
        frames = clip(24)
        predictions = streamed(network, frames, {0: BOX, at: LATER})
        assert equal(predictions, whole(network, frames, {0: BOX, at: LATER}))
        assert not equal(predictions[at:], streamed(network, frames, {0: BOX})[at:])

    def test_equals_it_backwards_in_time(self, seen: sam2.Network) -> None:
        frames = clip(20)
        predictions = streamed(seen, frames[::-1], {0: BOX, 9: LATER})
        assert equal(predictions[::-1], whole(seen, frames, {19: BOX, 10: LATER}, reverse=True))

    def test_the_memory_matters(self, seen: sam2.Network) -> None:
        frames = clip(4)
        boxed, clicked = (streamed(seen, frames, {0: prompt}) for prompt in (BOX, CLICK))
        assert not any(torch.equal(a, b) for a, b in zip(boxed, clicked, strict=True))

    def test_memory_does_not_grow_with_the_length(self, seen: sam2.Network) -> None:
        track = sam2.Track(seen, seen.embed)
        held = {}
        for number, frame in enumerate(clip(61, 40, 30)):
            track.step(frame, CLICK if number == 0 else LATER if number % 13 == 5 else None)
            if number % 20 < 2:
                held[number] = tensor_bytes()
        # The windows are full from the 16th frame on.
        assert held[20] == held[40] == held[60] > held[1]

    @pytest.mark.parametrize("at", [1, 18])
    def test_a_stream_is_continued_from_its_state(self, network: sam2.Network, at: int) -> None:
        stills = [PromptedFrame(frame, None if n else BOX) for n, frame in enumerate(clip(22))]
        model = Sam2(network, "EdgeTAM")
        straight = list(model.predict(iter(stills)))
        for first in itertools.islice(model.predict(iter(stills)), at):
            take_state = first.state
        assert take_state is not None
        rest = list(model.predict(iter(stills[at:]), take_state()))
        for one, other in zip(rest, straight[at:], strict=True):
            np.testing.assert_array_equal(one.matte, other.matte)
            assert one.confidence == other.confidence


def test_a_click_has_three_candidates_of_which_the_best_initialises(seen: sam2.Network) -> None:
    model, frame = Sam2(seen, "EdgeTAM"), clip(1)[0]
    candidates = model.candidates(PromptedFrame(frame, CLICK))
    assert len({candidate.matte.tobytes() for candidate in candidates}) == 3
    best = max(candidates, key=lambda candidate: candidate.score)
    (first,) = model.predict(iter([PromptedFrame(frame, CLICK)]))
    np.testing.assert_array_equal(first.matte, best.matte)


def test_it_asks_what_to_keep_by_its_own_name(seen: sam2.Network) -> None:
    with pytest.raises(PromptError, match=r"EdgeTAM .*told what to keep"):
        next(Sam2(seen, "EdgeTAM").predict(iter([PromptedFrame(clip(1)[0])])))


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """A network's weights by the names of the authors, random."""
    draw = torch.Generator().manual_seed(7)
    tensors = {}
    for name, shape in published().items():
        if name.endswith("tracked"):
            tensors[name] = torch.tensor(9)
        elif name.endswith("running_var"):
            tensors[name] = torch.ones(shape)
        else:
            scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1
            tensors[name] = torch.randn(shape, generator=draw) * scale
    return tensors


class TestLoading:
    def test_the_authors_file_and_that_of_transformers_give_the_same_network(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        card = models.card("edgetam")
        theirs, hubs = tmp_path / "edgetam.pt", tmp_path / "model.safetensors"
        torch.save({"model": tensors}, theirs)
        save_file({name: value.clone() for name, value in edgetam.rename(tensors).items()}, hubs)
        states = [edgetam.load(file, "cpu").module.state_dict() for file in (theirs, hubs)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
        kept = "memory_attention.layers.1.mlp.up_proj.weight"
        assert torch.equal(states[0][kept], tensors["memory_attention.layers.1.linear1.weight"])
        assert isinstance(card.load("cpu", [theirs]), models.OffersCandidates)

    @pytest.mark.parametrize(
        ("name", "shape", "sentence"),
        [
            ("no_obj_ptr", None, "lacks no_object_pointer"),
            ("obj_ptr_tpos_proj.weight", (64, 256), "obj_ptr_tpos_proj"),
            ("maskmem_tpos_enc", (6, 1, 1, 64), "memory_temporal_positional_encoding"),
            ("sam_prompt_encoder.point_embeddings.2.weight", (1, 8), "point_embed"),
        ],
    )
    def test_weights_of_another_network_are_refused(
        self,
        tensors: dict[str, torch.Tensor],
        tmp_path: Path,
        name: str,
        shape: tuple[int, ...] | None,
        sentence: str,
    ) -> None:
        file = tmp_path / "edgetam.pt"
        changed = {key: value for key, value in tensors.items() if key != name}
        if shape is not None:
            changed[name] = torch.zeros(shape)
        torch.save({"model": changed}, file)
        with pytest.raises(WeightsError, match=sentence):
            edgetam.load(file, "cpu")

    def test_what_is_more_than_tensors_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "edgetam.pt"
        for held in ({"model": {"a": 3}}, {"model": {"a": torch.zeros(1)}, "optimiser": {}}, {"model": 3}):
            torch.save(held, file)
            with pytest.raises(WeightsError, match=r"edgetam\.pt holds something other than tensors"):
                edgetam.load(file, "cpu")
        torch.save({"model": {"a": torch.zeros(1)}}, file)
        with pytest.raises(WeightsError, match="other than tensors"):
            checkpoints.read(file)


def test_the_card_names_the_authors_file() -> None:
    card = models.card("edgetam")
    assert card.has_memory and card.candidates and not card.automatic and card.licence == "Apache-2.0"
    assert card.weights is not None and card.weights.bytes == 56_116_523
    (file,) = card.weights.files
    assert file.is_pinned and "/facebookresearch/EdgeTAM/raw/7711e01" in file.url
