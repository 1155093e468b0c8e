"""SAM: its masks equal the package's own predictor's, whatever the frame; and a frame is embedded once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor

from pipeline import models
from pipeline.arrays import Image
from pipeline.errors import RunError, WeightsError
from pipeline.models import OffersCandidates, PromptedFrame
from pipeline.models import sam as product
from pipeline.models.embeddings import Embeddings
from pipeline.models.segmenter import FrameView
from pipeline.networks.sam import Network, resize
from pipeline.prompts import Box, Point, Prompt
from tests.rendered import subject_over_background
from tests.waiting import DEADLINE

SIDE = 128
"""Of the small network's square; the package's networks have 1024."""


def small_sam() -> Sam:
    """The package's network with a small encoder, of random weights that make masks of some size."""
    torch.manual_seed(3)
    sam = Sam(
        ImageEncoderViT(
            img_size=SIDE,
            patch_size=16,
            embed_dim=32,
            depth=2,
            num_heads=2,
            out_chans=256,
            qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            rel_pos_zero_init=False,
            window_size=5,
            global_attn_indexes=(1,),
        ),
        PromptEncoder(256, (SIDE // 16, SIDE // 16), (SIDE, SIDE), 16),
        MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048)),
    )
    return sam.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(small_sam().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def sam(checkpoint: Path) -> Sam:
    sam = small_sam()
    sam.load_state_dict(torch.load(checkpoint, weights_only=True))
    return sam


@pytest.fixture(scope="module")
def network(sam: Sam) -> Network:
    return Network(sam)


def picture(height: int, width: int) -> Image:
    (frame,), _ = subject_over_background(1, width, height)
    return frame


def masks(network: Network, image: Image, prompt: Prompt, *, several: bool = False) -> np.ndarray:
    """Ours, `[N, H, W]` bool, as the product makes them."""
    return asked(network, network.embed(image), image, prompt, several)


def asked(network: Network, embedding: Tensor, image: Image, prompt: Prompt, several: bool) -> np.ndarray:
    size = image.shape[0], image.shape[1]
    answer = network.decode(embedding, size, prompt.points, prompt.box, several=several)
    return np.stack([network.upscale(logits, size) > 0 for logits in answer.logits])


def predicted(sam: Sam, image: Image, prompt: Prompt, *, several: bool = False) -> np.ndarray:
    """The package's."""
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return answered(predictor, prompt, several)


def answered(predictor: SamPredictor, prompt: Prompt, several: bool) -> np.ndarray:
    box = prompt.box
    masks, _, _ = predictor.predict(
        point_coords=np.array([(p.x, p.y) for p in prompt.points]) if prompt.points else None,
        point_labels=np.array([p.keep for p in prompt.points]) if prompt.points else None,
        box=None if box is None else np.array([box.x0, box.y0, box.x1, box.y1]),
        multimask_output=several,
    )
    return np.asarray(masks)


def marks(height: int, width: int) -> dict[str, Prompt]:
    keep, other = Point(0.5 * width, 0.6 * height), Point(0.3 * width + 0.3, 0.8 * height)
    remove = Point(0.1 * width, 0.2 * height, keep=False)
    box = Box(0.25 * width, 0.1 * height, 0.8 * width + 0.7, 0.95 * height)
    return {
        "one point": Prompt(points=(keep,)),
        "points": Prompt(points=(keep, remove, other)),
        "box": Prompt(box=box),
        "box and points": Prompt(points=(remove, keep), box=box),
    }


@pytest.mark.parametrize("size", [(211, 317), (317, 211), (96, 128), (77, 53), (128, 128), (300, 470)])
def test_masks_equal_those_of_the_reference_predictor(
    network: Network, sam: Sam, size: tuple[int, int]
) -> None:
    image = picture(*size)
    embedding, predictor = network.embed(image), SamPredictor(sam)
    predictor.set_image(image)
    for prompt in marks(*size).values():
        for several in (False, True):
            ours = asked(network, embedding, image, prompt, several)
            assert ours.shape == (3 if several else 1, *size)
            assert np.array_equal(ours, answered(predictor, prompt, several))
            assert 0.02 < ours.mean() < 0.98  # else there is nothing to compare


def test_frames_of_any_memory_layout_are_accepted(network: Network) -> None:
    image = picture(96, 128)
    turned = np.ascontiguousarray(image[::-1])[::-1]
    fixed = image.copy()
    fixed.flags.writeable = False
    assert all(torch.equal(network.embed(image), network.embed(other)) for other in (turned, fixed))


def test_labels_follow_their_points(network: Network, sam: Sam) -> None:
    image = picture(211, 317)
    points = marks(211, 317)["points"].points
    turned = tuple(Point(p.x, p.y, not p.keep) for p in points)
    mixed = points[::-1]
    one, other, again = (masks(network, image, Prompt(points=given)) for given in (points, turned, mixed))
    assert (one != other).mean() > 0.01  # they matter
    assert np.array_equal(other, predicted(sam, image, Prompt(points=turned)))
    assert np.array_equal(again, predicted(sam, image, Prompt(points=mixed)))


def test_an_earlier_mask_changes_the_prediction(network: Network, sam: Sam) -> None:
    image, prompt = picture(211, 317), marks(211, 317)["one point"]
    embedding = network.embed(image)
    before = network.decode(embedding, (211, 317), prompt.points)
    after = network.decode(embedding, (211, 317), prompt.points, mask=before.logits[0])
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    place, label = np.array([(p.x, p.y) for p in prompt.points]), np.array([1])
    _, scores, logits = predictor.predict(place, label, mask_input=before.logits, multimask_output=False)
    assert np.array_equal(after.logits, logits) and np.array_equal(after.scores, scores)
    assert not np.array_equal(after.logits, before.logits)


@pytest.mark.parametrize("size", [(96, 128), (211, 317), (317, 211)])
def test_mask_inputs_are_aligned_with_mask_outputs(network: Network, size: tuple[int, int]) -> None:
    y, x = np.mgrid[: size[0], : size[1]]
    disc = (
        (8 - np.hypot(x - 0.6 * size[1], y - 0.4 * size[0]) / min(size) * 40).clip(-8, 8).astype(np.float32)
    )
    low = network.reduce(disc, size)
    assert low.shape == (SIDE // 4, SIDE // 4)
    back = network.upscale(low, size)
    assert ((back > 0) != (disc > 0)).mean() < 0.01


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((108, 192), (58, 102)),
        ((217, 123), (102, 58)),
        ((37, 19), (102, 52)),
        ((64, 64), (64, 64)),
        ((5, 300), (2, 102)),
        ((1, 9), (11, 102)),
    ],
)
def test_frames_are_resized_exactly_as_by_pillow(size: tuple[int, int], target: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for image in (random.integers(0, 256, (*size, 3)), 255 * random.integers(0, 2, (*size, 3))):
        image = image.astype(np.uint8)
        expected = Pictures.fromarray(image).resize(target[::-1], Pictures.Resampling.BILINEAR)
        assert np.array_equal(resize(torch.from_numpy(image), *target).numpy(), np.asarray(expected))


def test_a_single_click_has_three_candidates_and_the_chosen_one_is_used(network: Network, sam: Sam) -> None:
    image = picture(211, 317)
    click = marks(211, 317)["one point"]
    model = product.Sam(network)
    assert isinstance(model, OffersCandidates)
    given = model.candidates(PromptedFrame(image, click))
    answer = network.decode(network.embed(image), (211, 317), click.points, several=True)
    assert [c.score for c in given] == pytest.approx(answer.scores.clip(0, 1).tolist())
    for chosen in range(3):
        (prediction,) = model.predict(iter([PromptedFrame(image, replace(click, candidate=chosen))]))
        assert np.array_equal(prediction.matte, given[chosen].matte)
        assert prediction.confidence == given[chosen].score
    (best,) = model.predict(iter([PromptedFrame(image, click)]))
    assert np.array_equal(best.matte, given[int(np.argmax(answer.scores))].matte)
    (one,) = model.candidates(PromptedFrame(image, marks(211, 317)["box"]))
    assert not any(np.array_equal(one.matte, c.matte) for c in given)


def test_only_the_edge_of_the_matte_differs_from_the_mask() -> None:
    (frame,), (alpha,) = subject_over_background(1, 640, 360)
    known = cv2.GaussianBlur((alpha > 127).astype(np.float32), (0, 0), 3) * 20 - 10
    view = FrameView(frame, Network(small_sam()), lambda image: None)
    matte = view.matte(cv2.resize(known, view.grid[::-1], interpolation=cv2.INTER_AREA))
    near = cv2.dilate(alpha, np.ones((25, 25))) != cv2.erode(alpha, np.ones((25, 25)))
    assert np.array_equal(matte[~near] > 127, known[~near] > 0)
    assert ((matte > 127) != (alpha > 127)).mean() < 0.004
    assert 0 < ((matte > 0) & (matte < 255)).mean() < 0.05


def test_the_smallest_frames_are_accepted(network: Network) -> None:
    model = product.Sam(network)
    random = np.random.default_rng(0)
    for size in [(1, 1), (2, 90), (33, 17)]:
        frames = [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(3)]
        for prompt in (Prompt(points=(Point(0, 0),)), Prompt(box=Box(0, 0, 1, 1))):
            predictions = list(
                model.predict(iter([PromptedFrame(frames[0], prompt), *map(PromptedFrame, frames[1:])]))
            )
            assert [f.matte.shape for f in predictions] == [size] * 3


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sam]]:
    """The package's ViT-B of random weights, and its checkpoint."""
    torch.manual_seed(0)
    sam = sam_model_registry["vit_b"]()
    path = tmp_path_factory.mktemp("weights") / "sam_vit_b_01ec64.pth"
    torch.save(sam.state_dict(), path)
    yield path, sam
    path.unlink()  # 375 MB


def test_vit_b_predicts_as_the_reference_package(vit_b: tuple[Path, Sam]) -> None:
    path, sam = vit_b
    model = models.card("sam-vit-b").load("cpu", [path])
    assert isinstance(model, product.Sam)
    loaded = model._segmenter._sam  # type: ignore[attr-defined]
    for kind in ("named_parameters", "named_buffers"):
        own, theirs = dict(getattr(loaded, kind)()), dict(getattr(sam, kind)())
        assert own.keys() == theirs.keys() and all(torch.equal(own[name], theirs[name]) for name in own)
    image = picture(180, 320)
    prompt = marks(180, 320)["box and points"]
    (prediction,) = model.predict(iter([PromptedFrame(image, prompt)]))
    assert prediction.matte.shape == (180, 320) and 0 <= prediction.confidence <= 1
    # The encoder, which takes seconds, runs this once: the rest is compared on what it found.
    predictor = SamPredictor(sam)
    predictor.features = model._embed(image).clone()
    predictor.original_size, predictor.input_size, predictor.is_image_set = (180, 320), (576, 1024), True
    network = model._segmenter
    assert isinstance(network, Network)
    ours = asked(network, predictor.features, image, prompt, several=False)
    assert np.array_equal(ours, answered(predictor, prompt, several=False))


def test_a_checkpoint_of_another_size_raises_weights_error(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"small\.pth is not this model's"):
        models.card("sam-vit-b").load("cpu", [checkpoint])


def test_the_cards_name_the_published_files() -> None:
    for size in "blh":
        card = models.card(f"sam-vit-{size}")
        assert card.weights is not None
        (file,) = card.weights.files
        assert file.name.startswith(f"sam_vit_{size}_") and len(file.sha256) == 64
        assert file.url == f"https://dl.fbaipublicfiles.com/segment_anything/{file.name}"
        assert card.points and card.box and card.candidates and not card.automatic and not card.has_memory


class Counting:
    """An embedding that takes a moment, of a kilobyte."""

    def __init__(self) -> None:
        self.calls = 0
        self.at_once = 0
        self.most = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, frame: Image) -> np.ndarray:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.go.wait(DEADLINE)
        self.at_once -= 1
        if not frame.any():
            raise RunError("devices.no_memory")
        return np.full(1024, frame[0, 0, 0], np.uint8)


def frames(count: int) -> Iterator[Image]:
    return (np.full((4, 6, 3), n + 1, np.uint8) for n in range(count))


def test_embeddings_are_shared_between_callers() -> None:
    counting = Counting()
    embed = Embeddings(counting)
    for _ in range(3):
        assert [int(embed(frame)[0]) for frame in frames(5)] == [1, 2, 3, 4, 5]
    assert counting.calls == 5
    embed(np.full((6, 4, 3), 1, np.uint8))  # the same bytes, but another frame
    assert counting.calls == 6


def test_the_least_recently_used_embedding_is_evicted() -> None:
    counting = Counting()
    embed = Embeddings(counting, limit=3 * 1024)
    one, two, three, four = frames(4)
    for frame in (one, two, three, one, four):
        embed(frame)
    assert counting.calls == 4
    for frame in (one, three, four):
        embed(frame)
    assert counting.calls == 4
    embed(two)
    assert counting.calls == 5


def test_concurrent_requests_for_a_frame_share_one_embedding() -> None:
    counting = Counting()
    embed = Embeddings(counting)
    counting.go.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(embed, frame) for frame in [*frames(2)] * 4]
        counting.go.set()
        assert sorted(int(f.result()[0]) for f in asked) == [1] * 4 + [2] * 4
    assert counting.calls == 2 and counting.most == 1


def test_a_cached_frame_does_not_wait_for_another_embedding() -> None:
    counting = Counting()
    embed = Embeddings(counting)
    one, two = frames(2)
    embed(one)
    counting.go.clear()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(embed, two)
        assert int(embed(one)[0]) == 1
        assert not other.done()
        counting.go.set()
        assert int(other.result()[0]) == 2


def test_a_failed_embedding_is_raised_and_not_cached() -> None:
    counting = Counting()
    embed = Embeddings(counting)
    for calls in (1, 2):
        with pytest.raises(RunError):
            embed(np.zeros((4, 6, 3), np.uint8))
        assert counting.calls == calls


def test_later_clicks_on_a_frame_run_only_the_decoder(sam: Sam) -> None:
    class Counted(Network):
        embedded = 0

        def embed(self, image: Image) -> Tensor:
            self.embedded += 1
            return super().embed(image)

    network = Counted(sam)
    model = product.Sam(network)
    image = picture(96, 128)
    for prompt in marks(96, 128).values():
        list(model.predict(iter([PromptedFrame(image, prompt)])))
        model.candidates(PromptedFrame(image, prompt))
    assert network.embedded == 1
