"""SAM 3's tracker: what is streamed with a bounded memory is what the library finds in the whole clip.

As for SAM 2, of whose tests these take the clips and the marks: a small network with random weights, in
float32, to the bit.
"""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam3TrackerVideoModel, Sam3VideoConfig, Sam3VideoModel
from transformers.initialization import no_init_weights

from pipeline import models
from pipeline.errors import PromptError, WeightsError
from pipeline.models import PromptedFrame
from pipeline.models.sam2 import Sam2
from pipeline.networks import sam2, sam3
from pipeline.prompts import Prompt
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

HIDDEN = -2.5
"""Added to the object's score, it comes and goes."""


def small() -> dict[str, Any]:
    """Fields of a small network of the same kind: frames of 112 pixels a side, masks of 32."""
    size, width = 112, 128
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": size,
            "window_size": 4,
            "global_attn_indexes": [2],
            "pretrain_image_size": 56,
        },
        "fpn_hidden_size": width,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    layers = {"hidden_size": width, "num_attention_heads": 2}
    detector = {
        "vision_config": vision,
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": 300,
            "hidden_size": 32,
            "intermediate_size": 48,
            "projection_dim": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        "geometry_encoder_config": layers | {"num_layers": 1, "intermediate_size": 32},
        "detr_encoder_config": layers | {"num_layers": 1, "intermediate_size": 32},
        "detr_decoder_config": layers | {"num_layers": 2, "intermediate_size": 32, "num_queries": 12},
        "mask_decoder_config": layers,
    }
    tracker = {
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": width, "image_size": size, "mask_input_channels": 4},
        "mask_decoder_config": {
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
        "memory_attention_hidden_size": width,
        "memory_attention_num_layers": 2,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_rope_feat_sizes": [8, 8],
        "memory_encoder_hidden_size": width,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_embed_dim": width,
        "memory_fuser_intermediate_dim": 64,
        "image_size": size,
    }
    return {"detector_config": detector, "tracker_config": tracker}


def configuration() -> Sam3VideoConfig:
    return Sam3VideoConfig(**small())


def randomised(made: Any, presence: float = SEEN) -> Any:
    """Random weights, large enough for the memory to matter; `presence` is added to the object's score."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for name, weight in made.named_parameters():
            if "norm" not in name:
                fan = weight[0].numel()
                scale = 1.5 / math.sqrt(fan) if weight.dim() > 1 and fan > 1 else 0.1
                weight.copy_(torch.randn(weight.shape) * scale)
        tracker = getattr(made, "tracker_model", made)
        tracker.mask_decoder.pred_obj_score_head.proj_out.bias += presence
        # One and the same, as in the published weights.
        tracker.shared_image_embedding.positional_embedding.copy_(
            tracker.prompt_encoder.shared_embedding.positional_embedding
        )
    return made


def module(presence: float) -> Sam3TrackerVideoModel:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        made = Sam3TrackerVideoModel(configuration().tracker_config).eval()  # type: ignore[arg-type]
    tracker: Sam3TrackerVideoModel = randomised(made, presence)
    return tracker


def network_of(presence: float) -> sam2.Network:
    return sam3.create_tracker(module(presence), torch.device("cpu"))


@pytest.fixture(scope="module", params=[SEEN, HIDDEN], ids=["seen", "hidden"])
def network(request: pytest.FixtureRequest) -> sam2.Network:
    return network_of(request.param)


@pytest.fixture(scope="module")
def seen() -> sam2.Network:
    return network_of(SEEN)


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

    def test_equals_it_after_many_corrections(self, seen: sam2.Network) -> None:
        """More than the library attends to among first frames: a correction is none."""
        frames = clip(20)
        marks = {0: BOX} | dict.fromkeys(range(3, 19, 3), LATER)
        assert equal(streamed(seen, frames, marks), whole(seen, frames, marks))

    def test_equals_it_backwards_in_time(self, seen: sam2.Network) -> None:
        frames = clip(20)
        predictions = streamed(seen, frames[::-1], {0: BOX, 9: LATER})
        assert equal(predictions[::-1], whole(seen, frames, {19: BOX, 10: LATER}, reverse=True))

    def test_the_memory_matters(self, seen: sam2.Network) -> None:
        frames = clip(4)
        boxed, clicked = (streamed(seen, frames, {0: prompt}) for prompt in (BOX, CLICK))
        assert not any(torch.equal(a, b) for a, b in zip(boxed, clicked, strict=True))

    def test_the_object_comes_and_goes(self) -> None:
        shown = [mask.max() > 0 for mask in streamed(network_of(HIDDEN), clip(24), {0: BOX})]
        assert any(shown) and not all(shown)

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
        model = Sam2(network, "SAM 3")
        straight = list(model.predict(iter(stills)))
        for first in itertools.islice(model.predict(iter(stills)), at):
            take_state = first.state
        assert take_state is not None
        rest = list(model.predict(iter(stills[at:]), take_state()))
        for one, other in zip(rest, straight[at:], strict=True):
            np.testing.assert_array_equal(one.matte, other.matte)
            assert one.confidence == other.confidence


def test_its_pixels_are_normalised_as_those_of_the_training(seen: sam2.Network) -> None:
    """From -1 to 1, for single frames and for whole videos."""
    white, black = np.full((30, 40, 3), 255, np.uint8), np.zeros((30, 40, 3), np.uint8)
    session = seen.processor.init_video_session(video=[white, black])
    assert [float(session.get_frame(n).mean()) for n in (0, 1)] == pytest.approx([1, -1])
    read = seen.processor(images=white, return_tensors="pt")["pixel_values"]
    assert read.shape == (1, 3, 112, 112) and float(read.mean()) == pytest.approx(1)


def test_a_click_has_three_candidates_of_which_the_best_initialises(seen: sam2.Network) -> None:
    model, frame = Sam2(seen, "SAM 3"), clip(1)[0]
    candidates = model.candidates(PromptedFrame(frame, CLICK))
    assert len({candidate.matte.tobytes() for candidate in candidates}) == 3
    best = max(candidates, key=lambda candidate: candidate.score)
    (first,) = model.predict(iter([PromptedFrame(frame, CLICK)]))
    np.testing.assert_array_equal(first.matte, best.matte)


def test_it_asks_what_to_keep_by_its_own_name(seen: sam2.Network) -> None:
    with pytest.raises(PromptError, match=r"SAM 3 .*told what to keep"):
        next(Sam2(seen, "SAM 3").predict(iter([PromptedFrame(clip(1)[0])])))


def test_the_published_file_holds_just_the_networks_tensors() -> None:
    """To the byte, the header with the names included: 1,797 tensors of detector and tracker."""
    with torch.device("meta"), no_init_weights():
        tensors = Sam3VideoModel(sam3.configure()).state_dict()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    past = 0
    for name, tensor in sorted(tensors.items()):
        assert tensor.dtype == torch.float32
        first, past = past, past + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [first, past]}
    names = json.dumps(header, separators=(",", ":"))
    weights = models.card("sam3").weights
    assert weights is not None
    assert (len(tensors), 8 + -(-len(names) // 8) * 8 + past) == (1797, weights.files[0].bytes)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of detector and tracker as it is published, of small random networks. Not to be changed."""
    path = tmp_path_factory.mktemp("sam3") / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = randomised(Sam3VideoModel(configuration()).eval())
    save_file({name: value.clone() for name, value in made.state_dict().items()}, path)
    return path


@pytest.fixture
def reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network is the published one."""
    monkeypatch.setattr(sam3, "configure", configuration)


@pytest.mark.usefixtures("reduced")
class TestLoading:
    def test_the_tracker_is_that_which_the_library_takes_from_the_file(self, published: Path) -> None:
        library: Any = Sam3TrackerVideoModel
        theirs = library.from_pretrained(
            None, config=configuration().tracker_config, state_dict=load_file(published)
        ).state_dict()
        ours = sam3.load_tracker(published, "cpu").module.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
        tensors = load_file(published)
        for name, given in (
            ("vision_encoder.neck.fpn_layers.0.proj1.weight", "tracker_neck.fpn_layers.0.proj1.weight"),
            (
                "vision_encoder.backbone.layers.1.mlp.fc1.weight",
                "detector_model.vision_encoder.backbone.layers.1.mlp.fc1.weight",
            ),
        ):
            assert torch.equal(ours[name], tensors[given])

    def test_the_detector_is_that_which_the_library_takes_from_the_file(self, published: Path) -> None:
        library: Any = sam3.Sam3Model
        theirs = library.from_pretrained(
            None, config=configuration().detector_config, state_dict=load_file(published)
        ).state_dict()
        ours = sam3.load_detector(published).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())

    def test_the_card_loads_a_model_with_candidates(self, published: Path, tmp_path: Path) -> None:
        model = models.card("sam3").load("cpu", [published, tmp_path / "vocab.json", tmp_path / "merges.txt"])
        assert isinstance(model, models.OffersCandidates)
        stills = [PromptedFrame(frame, None if number else BOTH) for number, frame in enumerate(clip(3))]
        assert len({one.matte.tobytes() for one in model.predict(iter(stills))}) == 3

    @pytest.mark.parametrize(
        ("name", "shape", "sentence"),
        [
            ("tracker_model.no_object_pointer", None, "lacks no_object_pointer"),
            ("tracker_neck.fpn_layers.0.proj1.weight", None, r"lacks vision_encoder\.neck\.fpn_layers\.0"),
            ("tracker_model.more", (3,), "more"),
            ("another.weight", (3,), r"another\.weight"),
            ("tracker_model.memory_temporal_positional_encoding", (6, 1, 1, 64), "memory_temporal"),
            ("detector_model.vision_encoder.backbone.layer_norm.weight", None, "layer_norm"),
        ],
    )
    def test_weights_of_another_network_are_refused(
        self, published: Path, tmp_path: Path, name: str, shape: tuple[int, ...] | None, sentence: str
    ) -> None:
        changed = {key: value for key, value in load_file(published).items() if key != name}
        if shape is not None:
            changed[name] = torch.zeros(shape)
        file = tmp_path / "model.safetensors"
        save_file(changed, file)
        with pytest.raises(WeightsError, match=sentence):
            sam3.load_tracker(file, "cpu")

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [("text_projection.weight", r"lacks text_projection\.weight"), ("more", "more")],
    )
    def test_a_detector_that_is_not_whole_is_refused(
        self, published: Path, tmp_path: Path, name: str, sentence: str
    ) -> None:
        tensors = load_file(published)
        if tensors.pop(f"detector_model.{name}", None) is None:
            tensors[f"detector_model.{name}"] = torch.zeros(3)
        file = tmp_path / "model.safetensors"
        save_file(tensors, file)
        with pytest.raises(WeightsError, match=sentence):
            sam3.load_detector(file)


def test_the_card_names_the_gated_files_and_what_their_licence_forbids() -> None:
    card = models.card("sam3")
    assert card.has_memory and card.candidates and not card.automatic and card.licence == "SAM License"
    assert "military" in card.restriction and "facebookresearch/sam3" in card.licence_url
    assert card.weights is not None
    assert [Path(file.name).name for file in card.weights.files] == [
        "model.safetensors", "vocab.json", "merges.txt"
    ]  # fmt: skip
    for file in card.weights.files:
        assert file.is_pinned and file.on_hub and "/facebook/sam3/resolve/3c879f3" in file.url
