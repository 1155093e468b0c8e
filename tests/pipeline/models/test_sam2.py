"""SAM 2: what is streamed with a bounded memory is what the library finds with the whole clip at hand.

The network is small and its weights are random: the masks mean nothing, but they depend on every frame, mark
and memory that they should depend on. Both sides do the same operations in float32: they agree to the bit.
"""

import gc
import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from pipeline import devices, models
from pipeline.errors import InputError, PromptError, WeightsError
from pipeline.imaging import strokes
from pipeline.models import Prediction, PromptedFrame
from pipeline.models.sam2 import Sam2
from pipeline.networks import sam2
from pipeline.prompts import Box, MaskFile, Point, Prompt, Stroke

CLICK = Prompt(points=(Point(40, 31),))
BOX = Prompt(box=Box(21, 14, 62, 55))
BOTH = Prompt(box=Box(21, 14, 62, 55), points=(Point(40, 31), Point(27, 52.5, keep=False)))
LATER = Prompt(points=(Point(33, 47), Point(60, 20, keep=False)))


def config() -> Sam2VideoConfig:
    """A small network of the same kind: frames of 128 pixels a side, masks of 32."""
    size, width = 128, 128
    return Sam2VideoConfig(
        image_size=size,
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "image_size": [size, size],
                "hidden_size": 8,
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2],
                "window_size_per_stage": [4, 2, 2, 2],
                "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": width,
        },
        prompt_encoder_config={"hidden_size": width, "image_size": size, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
        memory_attention_hidden_size=width,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=width,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=64,
    )


def module(presence: float) -> Sam2VideoModel:
    """Random weights, large enough for the memory to matter; `presence` is added to the object's score."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(SEED)
        made = Sam2VideoModel(config()).eval()
        for name, weight in made.named_parameters():
            if "norm" not in name:
                fan = weight[0].numel()
                scale = 1.5 / math.sqrt(fan) if weight.dim() > 1 and fan > 1 else 0.1
                weight.copy_(torch.randn(weight.shape) * scale)
        made.mask_decoder.pred_obj_score_head.proj_out.bias += presence
        # One and the same, as in the published weights.
        made.shared_image_embedding.positional_embedding.copy_(
            made.prompt_encoder.shared_embedding.positional_embedding
        )
    return made


SEED = 3
SEEN, HIDDEN, GONE = 5.0, -0.7, -5.0
"""The object is in sight on every frame; it comes and goes; it never shows."""


@pytest.fixture(scope="module", params=[SEEN, HIDDEN], ids=["seen", "hidden"])
def network(request: pytest.FixtureRequest) -> sam2.Network:
    return sam2.Network(module(request.param), torch.device("cpu"))


@pytest.fixture(scope="module")
def seen() -> sam2.Network:
    return sam2.Network(module(SEEN), torch.device("cpu"))


@pytest.fixture(scope="module", autouse=True)
def single() -> Iterator[None]:
    """One thread: the network is so small that sharing the work among several costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, wherever the tests run."""
    monkeypatch.setattr(devices, "precision", lambda _device: torch.float32)


def clip(count: int, width: int = 93, height: int = 71) -> np.ndarray:
    """A disc before noise, `[count, height, width, 3]`."""
    y, x = np.mgrid[:height, :width]
    ground = np.random.default_rng(1).integers(0, 255, (height, width, 3))
    discs = [((x - 20 - 2 * i) ** 2 + (y - 30 - i) ** 2 < 150)[..., None] for i in range(count)]
    frames = np.stack([np.where(disc, [230, 40, 30], ground) for disc in discs]).astype(np.uint8)
    frames.setflags(write=False)  # as a decoder may hand them over
    return frames


def disc_mask(frames: np.ndarray) -> np.ndarray:
    """The mask of the disc on the first frame."""
    return np.where((frames[0] == [230, 40, 30]).all(-1), 255, 0).astype(np.uint8)


def mask_prompt(folder: Path, mask: np.ndarray) -> Prompt:
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / "mask.png"), mask)
    return Prompt(mask=MaskFile(folder / "mask.png"))


def streamed(network: sam2.Network, frames: np.ndarray, marks: Mapping[int, Prompt]) -> list[torch.Tensor]:
    track = sam2.Track(network, network.embed)
    return [track.step(frame, marks.get(number)).logits for number, frame in enumerate(frames)]


def whole(
    network: sam2.Network, frames: np.ndarray, marks: Mapping[int, Prompt], reverse: bool = False
) -> list[torch.Tensor]:
    """The library's masks for a clip that it has in full; it keeps everything.

    A correction is made as a person would: the clip is followed to its frame, marked, and followed again from
    there. With `reverse` it starts at the last frame.
    """
    session = network.processor.init_video_session(video=list(frames))
    masks: dict[int, torch.Tensor] = {}
    numbers = sorted(marks, reverse=reverse)
    for number, following in zip(numbers, [*numbers[1:], 0 if reverse else len(frames) - 1], strict=True):
        mark = marks[number]
        network.processor.add_inputs_to_inference_session(
            inference_session=session,
            frame_idx=number,
            obj_ids=7,
            input_points=[[[[point.x, point.y] for point in mark.points]]] if mark.points else None,
            input_labels=[[[1 if point.keep else 0 for point in mark.points]]] if mark.points else None,
            input_boxes=[[[mark.box.x0, mark.box.y0, mark.box.x1, mark.box.y1]]] if mark.box else None,
        )
        for output in network.module.propagate_in_video_iterator(
            session,
            start_frame_idx=number,
            max_frame_num_to_track=abs(following - number),
            reverse=reverse,
        ):
            masks[output.frame_idx] = output.pred_masks[0]
    return [masks[number] for number in range(len(frames))]


def predicted(network: sam2.Network, frames: np.ndarray, marks: Mapping[int, Prompt]) -> list[np.ndarray]:
    """The mattes of the model."""
    stills = (PromptedFrame(frame, marks.get(number)) for number, frame in enumerate(frames))
    return [prediction.matte for prediction in Sam2(network).predict(stills)]


def equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


class TestStreaming:
    @pytest.mark.parametrize("prompt", [CLICK, BOX, BOTH], ids=["click", "box", "both"])
    def test_equals_the_whole_video(self, network: sam2.Network, prompt: Prompt) -> None:
        frames = clip(24)  # longer than any window of 7 memories or 16 pointers
        predictions = streamed(network, frames, {0: prompt})
        assert equal(predictions, whole(network, frames, {0: prompt}))
        assert any(mask.max() > 0 for mask in predictions)

    @pytest.mark.parametrize("at", [1, 19])
    def test_equals_it_after_a_correction(self, network: sam2.Network, at: int) -> None:
        frames = clip(24)
        predictions = streamed(network, frames, {0: BOX, at: LATER})
        assert equal(predictions, whole(network, frames, {0: BOX, at: LATER}))

    def test_a_correction_holds_from_its_frame_on(self, seen: sam2.Network) -> None:
        frames = clip(24)
        predictions, uncorrected = (
            streamed(seen, frames, {0: BOX, 9: LATER}),
            streamed(seen, frames, {0: BOX}),
        )
        assert equal(predictions[:9], uncorrected[:9])
        assert not any(torch.equal(a, b) for a, b in zip(predictions[9:], uncorrected[9:], strict=True))

    @pytest.mark.parametrize("size", [(71, 93), (128, 128), (301, 40)], ids=str)
    def test_equals_it_for_upright_and_odd_frames(self, seen: sam2.Network, size: tuple[int, int]) -> None:
        frames = clip(17, *size)
        marks = {0: Prompt(box=Box(5.5, 3, 38, 36.25)), 8: Prompt(points=(Point(20, 33),))}
        assert equal(streamed(seen, frames, marks), whole(seen, frames, marks))

    def test_a_stroke_is_given_as_points_along_it(self, seen: sam2.Network) -> None:
        frames = clip(12)
        stroke = Stroke(((30.0, 34.0), (33.0, 40.0)), 5.0, keep=False)
        points = strokes.sample_points((stroke,), *frames[0].shape[:2])
        assert points
        predictions = predicted(seen, frames, {0: BOX, 7: Prompt(strokes=(stroke,))})
        assert all(
            np.array_equal(a, b)
            for a, b in zip(
                predictions, predicted(seen, frames, {0: BOX, 7: Prompt(points=points)}), strict=True
            )
        )
        beside = Stroke(((-30.0, -34.0),), 5.0)
        same = predicted(seen, frames, {0: BOX, 7: Prompt(strokes=(beside,))})
        assert all(np.array_equal(a, b) for a, b in zip(same, predicted(seen, frames, {0: BOX}), strict=True))

    def test_a_mask_initialises_as_that_of_the_library(self, network: sam2.Network) -> None:
        frames = clip(24)
        mask = disc_mask(frames)
        track = sam2.Track(network, network.embed)
        ours = [track.step(frame, None, mask if n == 0 else None).logits for n, frame in enumerate(frames)]
        session = network.processor.init_video_session(video=list(frames))
        network.processor.add_inputs_to_inference_session(session, 0, 7, input_masks=mask > 127)
        outputs = network.module.propagate_in_video_iterator(session, start_frame_idx=0)
        assert equal(ours, [output.pred_masks[0] for output in outputs])

    def test_a_mask_holds_and_is_continued_from_its_state(self, seen: sam2.Network, tmp_path: Path) -> None:
        frames = clip(6)
        prompt = mask_prompt(tmp_path, disc_mask(frames))
        model = Sam2(seen)
        stream = model.predict(PromptedFrame(f, prompt if n == 0 else None) for n, f in enumerate(frames))
        first = next(stream)
        assert np.array_equal(first.matte, disc_mask(frames)) and first.confidence > 0.99
        assert first.state is not None
        state = deepcopy(first.state())
        rest = [prediction.matte for prediction in stream]
        again = [p.matte for p in model.predict((PromptedFrame(f) for f in frames[1:]), state)]
        assert all(np.array_equal(a, b) for a, b in zip(rest, again, strict=True))

    def test_points_correct_a_mask_and_strokes_are_painted_into_it(
        self, seen: sam2.Network, tmp_path: Path
    ) -> None:
        frames = clip(3)
        mask = disc_mask(frames)
        points = Prompt(points=(Point(60.0, 60.0),))
        small = module(SEEN)
        # So small a network has one channel there, of which normalisation leaves nothing.
        small.prompt_encoder.mask_embed.layer_norm1 = torch.nn.Identity()
        network = sam2.Network(small, torch.device("cpu"))

        def first(prompt: Prompt | None, given: np.ndarray | None) -> torch.Tensor:
            return sam2.Track(network, network.embed).step(frames[0], prompt, given).logits

        # The network is given both: without either, or with another mask, it answers otherwise.
        others = first(points, None), first(None, mask), first(points, 255 - mask)
        assert not any(torch.equal(first(points, mask), other) for other in others)
        prompt = replace(mask_prompt(tmp_path, mask), strokes=(Stroke(((70.5, 60.5),), 5.0),))
        matte = predicted(seen, frames, {0: prompt})[0]
        assert matte[60, 70] == 255 and np.array_equal(matte[:50], mask[:50])

    def test_equals_it_for_turned_frames(self, seen: sam2.Network) -> None:
        turned = np.rot90(clip(17), axes=(1, 2))
        assert equal(streamed(seen, turned, {0: BOX}), whole(seen, turned.copy(), {0: BOX}))

    def test_equals_it_backwards_in_time(self, seen: sam2.Network) -> None:
        frames = clip(20)
        predictions = streamed(seen, frames[::-1], {0: BOX, 9: LATER})
        assert equal(predictions[::-1], whole(seen, frames, {19: BOX, 10: LATER}, reverse=True))

    def test_memory_does_not_grow_with_the_length(self, seen: sam2.Network) -> None:
        track = sam2.Track(seen, seen.embed)
        held = {}
        for number, frame in enumerate(clip(61, 40, 30)):
            track.step(frame, CLICK if number == 0 else LATER if number % 13 == 5 else None)
            if number % 20 < 2:
                held[number] = tensor_bytes()
        # The windows are full from the 16th frame on.
        assert held[20] == held[40] == held[60] > held[1]

    def test_a_finished_stream_frees_its_memory(self, seen: sam2.Network) -> None:
        stream = Sam2(seen).predict(PromptedFrame(frame, BOX) for frame in clip(3))
        next(stream)
        assert sessions() == 1
        stream.close()
        assert sessions() == 0

    def test_streams_are_independent(self, seen: sam2.Network) -> None:
        frames = clip(6)
        tracks = [sam2.Track(seen, seen.embed), sam2.Track(seen, seen.embed)]
        predictions = [
            [
                track.step(frame, prompt if number == 0 else None).logits
                for track, prompt in zip(tracks, (BOX, CLICK), strict=True)
            ]
            for number, frame in enumerate(frames)
        ]
        assert equal([boxed for boxed, _ in predictions], streamed(seen, frames, {0: BOX}))
        assert equal([clicked for _, clicked in predictions], streamed(seen, frames, {0: CLICK}))


def tensor_bytes() -> int:
    """Return the bytes that all tensors of this process hold."""
    gc.collect()
    tensors = [predictions for predictions in gc.get_objects() if issubclass(type(predictions), torch.Tensor)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def sessions() -> int:
    gc.collect()
    return sum(type(predictions) is Sam2VideoInferenceSession for predictions in gc.get_objects())


class TestFeatures:
    @pytest.fixture
    def encoded(self, seen: sam2.Network) -> Iterator[list[int]]:
        """Grows by one for each frame that is encoded."""
        runs: list[int] = []
        hook = seen.module.vision_encoder.register_forward_hook(lambda *_: runs.append(1))
        yield runs
        hook.remove()

    def test_embeddings_are_shared_by_objects_and_clicks_of_a_frame(
        self, seen: sam2.Network, encoded: list[int]
    ) -> None:
        model, frames = Sam2(seen), clip(5, 50, 44)
        objects = [
            model.predict(PromptedFrame(f, None if n else CLICK) for n, f in enumerate(frames))
            for _ in range(3)
        ]
        for _ in zip(*objects, strict=True):
            pass
        model.candidates(PromptedFrame(frames[-1].copy(), CLICK))
        assert len(encoded) == len(frames)

    def test_embeddings_report_their_size(self, seen: sam2.Network) -> None:
        # Three levels of 16, 32 and 128 channels, and the places of the coarsest.
        numbers = 32 * 32 * 16 + 16 * 16 * 32 + 8 * 8 * 128 + 8 * 8 * 128
        assert seen.embed(clip(1)[0]).nbytes == 4 * numbers


class TestMattes:
    def test_the_full_size_mask_equals_the_librarys(self, network: sam2.Network) -> None:
        frames = clip(16, 301, 187)
        theirs = whole(network, frames, {0: BOX})
        for logits, mask in zip(streamed(network, frames, {0: BOX}), theirs, strict=True):
            exact = network.processor.post_process_masks([mask[None]], [(187, 301)])[0][0, 0].numpy()
            assert exact.shape == (187, 301) and exact.dtype == bool
            np.testing.assert_array_equal(network.upscale(logits[0], 187, 301) > 0, exact)

    @pytest.mark.parametrize(
        ("width", "height", "reach", "share"),
        [(233, 171, 6, 1), (512, 300, 6, 1), (640, 361, 9, 0.99), (300, 700, 9, 0.99)],
    )
    def test_the_matte_equals_the_mask_except_at_its_edge(
        self, seen: sam2.Network, width: int, height: int, reach: int, share: float
    ) -> None:
        frame = clip(1, width, height)[0]
        matte = next(Sam2(seen).predict(iter([PromptedFrame(frame, BOX)]))).matte
        assert matte.shape == (height, width) and matte.dtype == np.uint8
        exact = seen.upscale(sam2.Track(seen, seen.embed).step(frame, BOX).logits[0], height, width) > 0
        assert exact.any() and not exact.all()
        square = np.ones((2 * reach + 1,) * 2, np.uint8)
        around, within = (move(exact.astype(np.uint8), square) > 0 for move in (cv2.dilate, cv2.erode))
        assert within.any()
        assert not around.all()
        # Where the frame is larger, what is thinner than a pixel of the mask may come or go.
        assert (matte[within] == 255).mean() >= share
        assert (matte[~around] == 0).mean() >= share

    def test_confidence_combines_presence_and_predicted_iou(self, network: sam2.Network) -> None:
        """On each frame the sigmoid of the object score, times the IoU expected of the mask that is taken."""
        heard: list[float] = []
        hook = network.module.mask_decoder.register_forward_hook(
            lambda _module, _given, answer: heard.append(float(answer[3].sigmoid() * answer[1].max()))
        )
        frames = clip(20)
        whole(network, frames, {0: BOX})
        hook.remove()
        predictions = list(
            Sam2(network).predict(PromptedFrame(f, None if n else BOX) for n, f in enumerate(frames))
        )
        assert [one.confidence for one in predictions] == pytest.approx(heard)
        for one in predictions:
            assert one.matte.any() or one.confidence < models.LOW_CONFIDENCE

    def test_an_occluded_subject_has_low_confidence_and_is_found_again(self) -> None:
        stills = (PromptedFrame(frame, None if number else BOX) for number, frame in enumerate(clip(20)))
        hidden = sam2.Network(module(HIDDEN), torch.device("cpu"))
        predictions = list(Sam2(hidden).predict(stills))
        empty = "".join("." if one.matte.any() else "-" for one in predictions)
        assert "-." in empty and ".-" in empty
        assert all(one.confidence < models.LOW_CONFIDENCE for one in predictions if not one.matte.any())

    @pytest.mark.parametrize(
        "prompt", [None, Prompt(points=(Point(3, 4, keep=False),))], ids=["none", "remove"]
    )
    def test_asks_what_to_keep(self, seen: sam2.Network, prompt: Prompt | None) -> None:
        with pytest.raises(PromptError, match="told what to keep"):
            next(Sam2(seen).predict(iter([PromptedFrame(clip(1)[0], prompt)])))

    def test_an_empty_stream_has_no_mattes(self, seen: sam2.Network) -> None:
        assert list(Sam2(seen).predict(iter([]))) == []


class TestCandidates:
    def test_candidates_are_the_three_masks_of_the_image_model(self, seen: sam2.Network) -> None:
        """Of the library's model for single images, with the same weights."""
        given = config()
        still = Sam2Model(
            Sam2Config(
                vision_config=given.vision_config,
                prompt_encoder_config=given.prompt_encoder_config.to_dict(),
                mask_decoder_config=given.mask_decoder_config.to_dict(),
            )
        ).eval()
        weights = seen.module.state_dict()
        still.load_state_dict({name: weights[name] for name in still.state_dict()})
        frame = clip(1)[0]
        answer = sam2.Track(seen, seen.embed).candidates(frame, CLICK)
        inputs = seen.processor(
            images=frame.copy(), input_points=[[[[40, 31]]]], input_labels=[[[1]]], return_tensors="pt"
        )
        with torch.no_grad():
            theirs = still(
                pixel_values=inputs["pixel_values"],
                input_points=inputs["input_points"],
                input_labels=inputs["input_labels"],
                multimask_output=True,
            )
        torch.testing.assert_close(answer.logits, theirs.pred_masks[0, 0])
        assert answer.scores == pytest.approx(theirs.iou_scores[0, 0].tolist())
        assert answer.presence == pytest.approx(theirs.object_score_logits.sigmoid().item())

    def test_the_chosen_candidate_initialises_the_stream(self, seen: sam2.Network) -> None:
        model, frame = Sam2(seen), clip(1)[0]
        candidates = model.candidates(PromptedFrame(frame, CLICK))
        assert len(candidates) == 3 and len({c.matte.tobytes() for c in candidates}) == 3
        for number, candidate in enumerate(candidates):
            chosen = Prompt(points=CLICK.points, candidate=number)
            prediction = next(model.predict(iter([PromptedFrame(frame, chosen)])))
            np.testing.assert_array_equal(prediction.matte, candidate.matte)
            assert prediction.confidence < candidate.score
        best = max(candidates, key=lambda candidate: candidate.score)
        np.testing.assert_array_equal(
            next(model.predict(iter([PromptedFrame(frame, CLICK)]))).matte, best.matte
        )

    def test_the_chosen_candidate_is_memorised(self, seen: sam2.Network) -> None:
        frames = clip(4)
        scores = [candidate.score for candidate in Sam2(seen).candidates(PromptedFrame(frames[0], CLICK))]
        runs = [streamed(seen, frames, {0: Prompt(points=CLICK.points, candidate=n)}) for n in range(3)]
        assert equal(runs[int(np.argmax(scores))], streamed(seen, frames, {0: CLICK}))
        assert not any(torch.equal(a[3], b[3]) for a, b in zip(runs, [*runs[1:], runs[0]], strict=True))

    def test_a_box_has_one_candidate(self, seen: sam2.Network) -> None:
        frame = clip(1)[0]
        (only,) = Sam2(seen).candidates(PromptedFrame(frame, BOX))
        np.testing.assert_array_equal(
            next(Sam2(seen).predict(iter([PromptedFrame(frame, BOX)]))).matte, only.matte
        )

    def test_candidates_are_empty_if_nothing_is_visible(self) -> None:
        hidden = sam2.Network(module(GONE), torch.device("cpu"))
        answer = sam2.Track(hidden, hidden.embed).candidates(clip(1)[0], CLICK)
        assert answer.presence < 0.5 and (answer.logits < 0).all()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights, its files as they are published. Not to be changed."""
    folder = tmp_path_factory.mktemp("weights")
    module(SEEN).save_pretrained(folder / "facebook/sam2.1-hiera-tiny")
    described = folder / "facebook/sam2.1-hiera-tiny/config.json"
    told = json.loads(described.read_text())
    told["memory_attention_rope_theta"] = told.pop("rope_parameters")["rope_theta"]
    described.write_text(json.dumps(told))
    return folder


class TestLoading:
    @pytest.fixture
    def files(self, published: Path, tmp_path: Path) -> list[Path]:
        """A copy of them, in the order that the card names them in."""
        weights = models.card("sam2-tiny").weights
        assert weights is not None
        copies = [tmp_path / Path(file.name).name for file in weights.files]
        for file, copy in zip(weights.files, copies, strict=True):
            copy.write_bytes((published / file.name).read_bytes())
        return copies

    def test_the_published_layout_gives_the_same_masks(self, files: list[Path], seen: sam2.Network) -> None:
        model = models.card("sam2-tiny").load("cpu", files)
        stills = [PromptedFrame(frame, None if number else BOTH) for number, frame in enumerate(clip(4))]
        for ours, loaded in zip(Sam2(seen).predict(iter(stills)), model.predict(iter(stills)), strict=True):
            np.testing.assert_array_equal(loaded.matte, ours.matte)
            assert loaded.confidence == ours.confidence
        assert isinstance(model, models.OffersCandidates)

    def test_runs_in_half_precision(self, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        model = models.card("sam2-tiny").load("cpu", files)
        stills = [PromptedFrame(frame, None if number else BOX) for number, frame in enumerate(clip(3))]
        exact = list(model.predict(iter(stills)))
        monkeypatch.setattr(devices, "precision", lambda _device: torch.bfloat16)
        near = list(models.card("sam2-tiny").load("cpu", files).predict(iter(stills)))
        assert agreement(exact, near) > 0.9

    def test_a_missing_device_is_refused(self, files: list[Path]) -> None:
        with pytest.raises(InputError, match=r"cuda:99|CUDA"):
            models.card("sam2-tiny").load("cuda:99", files)

    def test_truncated_weights_are_refused(self, files: list[Path]) -> None:
        whole = files[0].read_bytes()
        files[0].write_bytes(whole[: len(whole) // 2])
        with pytest.raises(WeightsError, match=r"model\.safetensors in .* is damaged"):
            models.card("sam2-tiny").load("cpu", files)

    @pytest.mark.parametrize(
        "change",
        [{"memory_encoder_output_channels": 32}, {"mask_downsampler_embed_dim": 64}, {"num_maskmem": 3}],
        ids=str,
    )
    def test_weights_of_another_shape_are_refused(self, files: list[Path], change: dict[str, int]) -> None:
        files[1].write_text(json.dumps(json.loads(files[1].read_text()) | change))
        with pytest.raises(WeightsError, match=r"shape|no network"):
            models.card("sam2-tiny").load("cpu", files)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("{", "damaged"),
            ("[]", "does not describe SAM 2"),
            ('{"model_type": "sam"}', "does not describe SAM 2"),
            ('{"model_type": "sam2_video", "num_maskmem": "seven"}', "no network"),
            ('{"model_type": "sam2_video", "image_size": [512, 1024]}', "no network"),
            ('{"model_type": "sam2_video", "memory_attention_hidden_size": -1}', "no network"),
            ('{"model_type": "sam2_video", "vision_config": {"model_type": "vit"}}', "no network"),
            ('{"model_type": "sam2_video", "vision_config": {"model_type": "my_own"}}', "no network"),
        ],
    )
    def test_an_invalid_configuration_is_refused(self, files: list[Path], text: str, sentence: str) -> None:
        files[1].write_text(text)
        with pytest.raises(WeightsError, match=rf"config\.json.*{sentence}"):
            models.card("sam2-tiny").load("cpu", files)

    @pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation"])
    def test_a_configuration_with_remote_code_is_refused(self, files: list[Path], name: str) -> None:
        """It would be fetched from the hub and run."""
        files[1].write_text(json.dumps(json.loads(files[1].read_text()) | {name: "kernels-community/any"}))
        network = sam2.load(*files, "cpu")
        assert network.module.config._attn_implementation == "sdpa"

    def test_a_missing_configuration_is_refused(self, files: list[Path]) -> None:
        files[1].unlink()
        with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
            models.card("sam2-tiny").load("cpu", files)

    @pytest.mark.parametrize("size", ["tiny", "small", "base-plus", "large"])
    def test_each_size_has_its_files(self, size: str) -> None:
        card = models.card(f"sam2-{size}")
        assert card.weights is not None and card.candidates and card.has_memory and not card.automatic
        for file, name in zip(card.weights.files, ("model.safetensors", "config.json"), strict=True):
            assert file.name == f"facebook/sam2.1-hiera-{size}/{name}"
            hub = f"https://huggingface.co/facebook/sam2.1-hiera-{size}/resolve/"
            assert file.url.startswith(hub) and file.url.endswith(f"/{name}")


def agreement(some: list[Prediction], others: list[Prediction]) -> float:
    """The share of pixels that are on the same side in both."""
    pairs = zip(some, others, strict=True)
    return float(np.mean([((a.matte > 127) == (b.matte > 127)).mean() for a, b in pairs]))
