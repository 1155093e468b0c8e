"""Enlarging: tiles without seams, whatever the picture's size, depth and transparency; and its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from pipeline.arrays import Floats, Pixels
from pipeline.enlarging import loading, tiles
from pipeline.enlarging.tiles import Tile, enlarge
from pipeline.errors import WeightsError
from pipeline.generators import complete
from pipeline.models import helpers
from pipeline.networks import swin2sr
from tests.pipeline.enlarging import tiny

CREATE = swin2sr.create


def network(scale: int = 2) -> swin2sr.Swin2sr:
    return swin2sr.Swin2sr(tiny.create(scale), torch.device("cpu"))


class Doubler:
    """Repeats each pixel, in place of a network, and notes what it was given."""

    scale = 2

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, image: Floats) -> Floats:
        self.seen.append(image.shape)
        return image.repeat(2, 0).repeat(2, 1)


def noise(height: int, width: int, depth: int = 3) -> Pixels:
    drawn = np.random.default_rng(1).integers(0, 256, (height, width, depth), np.uint8)
    return np.asarray(drawn, np.uint8)


def at_once(image: Pixels, scale: int = 2) -> Floats:
    return network(scale)(np.asarray(image, np.float32) / 255).clip(0, 1) * 255


@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_make_the_picture_that_is_made_at_once(scale: int) -> None:
    image = noise(200, 420)
    made, whole = complete(enlarge(image, network(scale))), at_once(image, scale)
    assert made.shape == (200 * scale, 420 * scale, 3) and made.dtype == np.uint8
    assert made.std() > 5
    assert np.abs(made - whole).max() < 1


def test_without_a_margin_there_would_be_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(200, 420)
    monkeypatch.setattr(tiles, "MARGIN", 0)
    assert np.abs(complete(enlarge(image, network())) - at_once(image)).max() > 3


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (8, 8), (9, 7)])
def test_pictures_of_any_size_are_enlarged(size: tuple[int, int]) -> None:
    made = complete(enlarge(noise(*size), network()))
    assert made.shape == (size[0] * 2, size[1] * 2, 3)


def test_sixteen_bits_stay_and_solid_alpha_stays_solid() -> None:
    image = noise(64, 64, 4).astype(np.uint16) * 257
    image[:, :20, 3], image[:, 40:, 3] = 0, 65535
    made = complete(enlarge(image, network()))
    assert made.dtype == np.uint16 and made.shape == (128, 128, 4)
    assert len(np.unique(made[..., :3] % 257)) > 1  # more than 8 bits of it
    assert not made[:, :36, 3].any() and (made[:, 84:, 3] == 65535).all()
    plain = complete(enlarge(np.ascontiguousarray(image[..., :3]), network()))
    assert np.array_equal(made[..., :3], plain)


def test_the_network_never_sees_more_than_a_tile_and_its_margin() -> None:
    doubler = Doubler()
    image = noise(700, 1100)
    steps = enlarge(image, doubler)
    first = next(steps)
    assert first == Tile(0, 24) and not doubler.seen
    made = complete(steps)
    assert np.array_equal(made, image.repeat(2, 0).repeat(2, 1))
    assert len(doubler.seen) == 24 and max(doubler.seen) == (256, 256, 3)


def test_closing_leaves_the_tiles_that_are_not_made() -> None:
    doubler = Doubler()
    steps = enlarge(noise(400, 400), doubler)
    next(steps), next(steps)
    steps.close()
    assert len(doubler.seen) == 1


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("scale", [2, 4])
def test_the_network_is_that_of_the_published_file(scale: int) -> None:
    with torch.device("meta"):
        network = CREATE(scale)
    tensors = network.state_dict()
    (file,) = helpers.SWIN2SR[scale].weights.files
    empty = {name: torch.empty_like(tensor, device="cpu") for name, tensor in tensors.items()}
    assert len(save(empty, {"format": "pt"})) == file.bytes
    assert file.is_pinned and file.on_hub and file.name.endswith(".safetensors")


def test_weights_are_loaded_once_and_missing_or_damaged_ones_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=r"Swin2SR ×4 needs its weights.*download swin2sr-x4"):
        loading.check_loadable(4)
    two, _four = tiny.install(tmp_path / "weights", monkeypatch)
    loading.check_loadable(2)
    loaded = loading.load(2, "cpu")
    assert loaded.scale == 2 and loading.load(2, "cpu") is loaded
    assert loading.load(4, "cpu").scale == 4
    two.write_bytes(two.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=two.name):
        loading.load(2, "cpu")
