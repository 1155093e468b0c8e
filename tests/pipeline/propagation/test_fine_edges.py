"""Fine edges of a stream: behind a model, steadied, resumed, and only with weights."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline import devices, models
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import helpers
from pipeline.networks import vitmatte
from pipeline.process import process
from pipeline.prompts import Box, Prompt
from pipeline.propagation import fine_edges
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.stream import run_model
from pipeline.video.reading.frames import Frame
from pipeline.weights import locate
from pipeline.weights.spec import Weights
from tests import ffprobe
from tests.pipeline import stand_in


class Disc:
    """Marks a square in the middle, and carries on from any frame."""

    def predict(
        self, frames: Iterator[models.PromptedFrame], state: object = None
    ) -> Iterator[models.Prediction]:
        for frame in frames:
            matte = np.zeros(frame.image.shape[:2], np.uint8)
            matte[40:100, 60:140] = 255
            yield models.Prediction(matte, state=dict)


def noisy(count: int = 6) -> list[Frame]:
    """Frames of one texture, which stands still."""
    random = np.random.default_rng(5)
    texture = random.integers(0, 256, (140, 200, 3), np.uint8)
    return [Frame(n, texture) for n in range(count)]


class Flickering:
    """Finds another alpha at each call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.full(trimap.shape, 0.2 if self.calls % 2 else 0.8, np.float32)


def bands(**options: object) -> list[np.ndarray]:
    pairs = run_model(Disc(), iter(noisy()), {}, matting=Flickering(), **options)  # type: ignore[arg-type]
    return [prediction.matte for _, prediction in pairs]


def test_edges_are_found_anew_behind_a_model_and_steadied_in_the_band() -> None:
    plain, steady = bands(steadied=False), bands()
    edge, inside = (70, 60), (70, 100)
    assert [int(matte[edge]) for matte in plain] == [51, 204] * 3
    swing = np.ptp([int(matte[edge]) for matte in steady[1:]])
    assert 0 < swing < 0.7 * (204 - 51)
    assert all(matte[inside] == 255 and matte[5, 5] == 0 for matte in [*plain, *steady])


def test_a_stream_continues_behind_any_frame_to_the_bit() -> None:
    def run(frames: list[Frame], state: object = None, calls: int = 0) -> list[FramePrediction]:
        matting = Flickering()
        matting.calls = calls
        return list(run_model(Disc(), iter(frames), {}, state, matting=matting, deflickered=True))  # type: ignore[arg-type]

    whole = run(noisy())
    behind = whole[2][1].state
    assert behind is not None
    rest = run(noisy()[3:], behind(), calls=3)
    for (_, one), (_, other) in zip(whole[3:], rest, strict=True):
        assert np.array_equal(one.matte, other.matte)


# ---------------------------------------------------------------- network


CREATE = vitmatte.create


def tiny(**_changes: int) -> vitmatte.VitMatteForImageMatting:
    torch.manual_seed(0)
    network = CREATE(hidden_size=24, num_attention_heads=2, num_hidden_layers=3)
    for weights in network.parameters():  # as they are drawn, every alpha would be a half
        if weights.dim() > 1:
            torch.nn.init.kaiming_normal_(weights)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return network


def test_the_network_takes_any_size() -> None:
    find = vitmatte.VitMatte(tiny(), torch.device("cpu"))
    random = np.random.default_rng(0)
    for height, width in ((64, 96), (37, 130), (512, 512)):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        trimap = random.choice(np.array([0, 128, 255], np.uint8), (height, width))
        alpha = find(image, trimap)
        assert alpha.shape == (height, width) and alpha.dtype == np.float32
        assert alpha.min() >= 0 and alpha.max() <= 1 and np.ptp(alpha) > 0


def test_the_input_is_normalised_as_the_network_was_trained() -> None:
    """Colours -1 to 1, the trimap 0 to 1, and padding at the bottom and right."""
    seen = []

    class Recording(torch.nn.Module):
        def forward(self, pixel_values: torch.Tensor) -> object:
            seen.append(pixel_values)
            return type("Output", (), {"alphas": pixel_values[:, 3:]})

    image = np.full((40, 64, 3), 255, np.uint8)
    image[:, 10:] = 0
    trimap = np.full((40, 64), 128, np.uint8)
    alpha = vitmatte.VitMatte(Recording(), torch.device("cpu"))(image, trimap)  # type: ignore[arg-type]
    (pixels,) = seen
    assert pixels.shape == (1, 4, 64, 64) and pixels[0, 0, 0, 0] == 1 and pixels[0, 2, 0, 20] == -1
    assert pixels[0, 3, 39, 63] == pytest.approx(128 / 255) and not pixels[0, :, 40:].any()
    assert alpha == pytest.approx(128 / 255, abs=0.003)


def test_the_published_network_has_its_known_size() -> None:
    """103 MB of float32 in 258 tensors, as the published file's card says."""
    with torch.device("meta"):
        tensors = vitmatte.create().state_dict()
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert (len(tensors), round(weights / 1e6)) == (258, 103)
    assert 0 < helpers.VITMATTE.weights.bytes - weights < 30_000  # the rest tells of the tensors


# ---------------------------------------------------------------- weights


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Iterator[Job]:
    with stand_in.registered():
        yield Job(clip_path, tmp_path / "out.mp4", "threshold", matte=tmp_path / "m.mkv", end=0.2)


def put_weights(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Have a tiny network's weights where those of ViTMatte are looked for."""
    monkeypatch.setenv("RECORTE_WEIGHTS", str(folder))
    network = tiny()
    monkeypatch.setattr(vitmatte, "create", tiny)
    (published,) = helpers.VITMATTE.weights.files
    path = locate.weights_folder() / published.name
    path.parent.mkdir(parents=True)
    save_file(network.state_dict(), path)
    data = path.read_bytes()
    own = replace(published, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(helpers, "VITMATTE", replace(helpers.VITMATTE, weights=Weights((own,))))
    return path


def test_without_weights_the_edges_stay_and_a_note_says_so(job: Job) -> None:
    *_, last = process(replace(job, hair=True))
    (note,) = last.notes
    assert note.key == "notes.no_fine_edges" and "103.3 MB" in note.render("en")
    *_, plain = process(replace(job, matte=None))
    assert plain.notes == () and matte_key(replace(job, hair=True)) == matte_key(job)
    assert fine_edges.find_matting(replace(job, hair=True)) is None


def test_with_weights_the_matte_has_other_edges_and_another_key(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    *_, _last = process(job)
    assert job.matte is not None
    plain = ffprobe.frames(job.matte, "gray")
    put_weights(monkeypatch, tmp_path / "weights")
    assert fine_edges.find_matting(job) is None
    fine = replace(job, hair=True, matte=tmp_path / "fine.mkv")
    assert matte_key(fine) != matte_key(job)
    # A stand-in for the network's judgement of what is sharp: everything is found anew.
    monkeypatch.setattr("pipeline.imaging.fine_edges._is_sharp", lambda *_: False)
    *_, last = process(fine)
    assert last.notes == () and fine.matte is not None
    found = ffprobe.frames(fine.matte, "gray")
    assert found.shape == plain.shape and (found != plain).any()
    matting = fine_edges.find_matting(fine)
    assert isinstance(matting, vitmatte.VitMatte) and fine_edges.find_matting(fine) is matting


def test_hair_goes_with_marks_as_well(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_weights(monkeypatch, tmp_path / "weights")
    marked = replace(job, model="grabcut", prompts=(Prompt(box=Box(90, 30, 230, 178)),), hair=True)
    *_, last = process(marked)
    assert last.done == last.total and devices.pick("cpu").type == "cpu"
