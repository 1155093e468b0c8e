"""Product pictures: facts from the matte, the prompt made of them, and the background around the product."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.arrays import Image, Matte
from pipeline.compositing.background import Words
from pipeline.errors import InputError
from pipeline.generation import backgrounds, cards, filling, loading, product
from pipeline.generation.cards import Generator as Card
from pipeline.generation.drawing import Around, Step
from pipeline.generation.filling import fill_around
from pipeline.generation.product import Facts, find_facts, write_prompt
from pipeline.generators import complete, retell
from tests.pipeline.generation import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

WORDS = Words("a marble counter, morning light", 3)
BLUE = (20, 40, 200)


def ellipse(x: int, y: int, axes: tuple[int, int], angle: float = 0) -> Matte:
    """Return the matte, 160 × 120, of an ellipse: half-axes to the right and down, turned clockwise."""
    matte = np.zeros((120, 160), np.uint8)
    return np.asarray(cv2.ellipse(matte, (x, y), axes, angle, 0, 360, 255, -1), np.uint8)


def photo(matte: Matte, ground: tuple[int, int, int] = (255, 255, 255)) -> Image:
    """Return a picture of a blue product on a plain ground."""
    return np.where(matte[..., None] > 127, np.uint8(BLUE), np.uint8(ground)).astype(np.uint8)


def facts_of(matte: Matte) -> Facts:
    return find_facts(photo(matte), matte)


# ---------------------------------------------------------------- facts


def test_place_and_size_are_those_of_the_product() -> None:
    facts = facts_of(ellipse(40, 90, (20, 20)))
    assert facts.x == pytest.approx(40 / 159, abs=0.01) and facts.y == pytest.approx(90 / 119, abs=0.01)
    assert facts.share == pytest.approx(np.pi * 20 * 20 / (160 * 120), rel=0.05)
    assert facts.elongation == pytest.approx(1, abs=0.03) and facts.side == "none"


@pytest.mark.parametrize(("angle", "axis"), [(0, 0), (20, 20), (-20, -20), (45, 45), (80, 80)])
def test_the_axis_is_told_from_upright(angle: float, axis: float) -> None:
    facts = facts_of(ellipse(80, 60, (12, 40), angle))  # turned clockwise, its upper end goes to the right
    assert facts.axis == pytest.approx(axis, abs=2)
    assert facts.elongation == pytest.approx(40 / 12, rel=0.05)


def test_what_lies_is_ninety_degrees_from_upright() -> None:
    assert abs(facts_of(ellipse(80, 60, (40, 12))).axis) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_product_is_turned_to_where_it_thins_out(side: str) -> None:
    matte = np.zeros((120, 160), np.uint8)
    shoe = np.array([[30, 30], [60, 30], [70, 70], [130, 80], [130, 95], [30, 95]], np.int32)
    cv2.fillPoly(matte, [shoe], 255)
    matte = matte if side == "right" else np.ascontiguousarray(matte[:, ::-1])
    assert facts_of(matte).side == side


@pytest.mark.parametrize(
    ("ground", "white"), [((255, 255, 255), True), ((244, 246, 243), True), ((210, 210, 210), False)]
)
def test_a_white_background_is_told_though_there_is_a_shadow(
    ground: tuple[int, int, int], white: bool
) -> None:
    matte = ellipse(80, 60, (30, 30))
    image = photo(matte, ground)
    image[92:98, 60:110] = 150  # a shadow
    assert find_facts(image, matte).white is white
    assert find_facts(image, np.full_like(matte, 255)).white is False  # there is no background


def test_next_to_nothing_is_no_product() -> None:
    matte = np.zeros((120, 160), np.uint8)
    matte[0, :5] = 255
    with pytest.raises(InputError, match="stands out"):
        facts_of(matte)
    line = np.zeros((120, 160), np.uint8)
    line[:, 80] = 255
    assert facts_of(line).axis == pytest.approx(0) and facts_of(line).elongation > 50


def test_the_prompt_tells_words_place_and_pose() -> None:
    base = Facts(False, 0.5, 0.5, 0.2, 0, 1, "none")
    told = write_prompt("a marble counter.", base)
    assert told.startswith(
        "a marble counter. Photograph of one product in the middle of the picture, standing"
    )
    assert "about 20 %" in told and "lit evenly" not in told and "turned" not in told
    other = write_prompt(
        "a loft", replace(base, white=True, x=0.2, y=0.8, axis=-80, elongation=3, side="left")
    )
    assert "in the lower left of the picture, lying, turned to the left" in other and "lit evenly" in other
    assert "leaning to the right" in write_prompt("a loft", replace(base, axis=30, elongation=2))
    assert "the upper middle" in write_prompt("a loft", replace(base, y=0.1))


# ---------------------------------------------------------------- the background around it


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Card]:
    yield tiny.install(tmp_path / "weights", monkeypatch)
    loading.unload()


def test_the_background_is_filled_in_and_the_product_is_about_as_it_was(card: Card) -> None:
    matte = ellipse(80, 60, (40, 30))
    told: list[Facts | Step] = []
    image = photo(matte)
    filled = complete(retell(fill_around(WORDS, image, matte, "cpu"), told.append))
    assert told[0] == find_facts(image, matte)
    assert told[1:] == [Step(n, 3) for n in range(4)]
    assert filled.shape == (48, 80, 3) and filled.dtype == np.uint8
    small = cv2.resize(matte, (80, 48), interpolation=cv2.INTER_AREA)
    assert filled[small == 0].std() > 5  # the tiny network's noise in place of plain white
    again = complete(fill_around(WORDS, image, matte, "cpu"))
    other = complete(fill_around(replace(WORDS, seed=4), image, matte, "cpu"))
    assert np.array_equal(again, filled)
    # What is kept goes through the network's encoder, whatever the seed is; the rest is another one.
    inside = np.s_[18:30, 30:50]
    assert (small[inside] == 255).all()
    changed = np.abs(other.astype(int) - filled)
    assert changed[inside].mean() < changed[small == 0].mean() / 2


@pytest.mark.parametrize(("ground", "white"), [((255, 255, 255), True), ((0, 160, 0), False)])
def test_the_network_does_not_see_a_background_that_is_to_go(
    card: Card, monkeypatch: pytest.MonkeyPatch, ground: tuple[int, int, int], white: bool
) -> None:
    given: list[Any] = []

    def note(*arguments: Any) -> Generator[Step, None, Image]:
        given.append(arguments)
        yield Step(1, 1)
        return np.zeros((48, 64, 3), np.uint8)

    monkeypatch.setattr(filling, "draw", note)
    matte = ellipse(80, 60, (40, 30))
    image = photo(matte, ground)
    image[100:, :20] = 150  # a shadow, which belongs to a white ground
    complete(fill_around(WORDS, image, matte, "cpu"))
    ((_card, prompt, seed, (width, height), _device, around),) = given
    assert isinstance(around, Around) and seed == 3
    assert prompt == write_prompt(WORDS.text, find_facts(image, matte))
    assert width * height <= card.pixels and around.image.shape == (height, width, 3)
    assert around.mask.shape == (height, width) and set(np.unique(around.mask)) == {0, 255}
    assert around.mask[0, 0] == 255 and around.mask[height // 2, width // 2] == 0
    assert np.abs(around.image[height // 2, width // 2].astype(int) - BLUE).max() < 3
    corner = around.image[height - 1, 0]
    assert corner.max() < 200 if white else corner.min() == 255


def test_closing_ends_the_work(card: Card) -> None:
    matte = ellipse(80, 60, (40, 30))
    steps = fill_around(WORDS, photo(matte), matte, "cpu")
    for _ in range(3):
        next(steps)
    steps.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "draw"]


def test_a_network_of_whole_pictures_and_missing_weights_are_refused(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product.check(WORDS)
    whole = {**cards.GENERATORS, "whole": replace(card, inpaint="")}
    monkeypatch.setattr(cards, "GENERATORS", whole)
    with pytest.raises(InputError, match="draws whole pictures"):
        product.check(replace(WORDS, model="whole"))
    next((tmp_path / "weights").rglob("model.safetensors")).unlink()
    with pytest.raises(InputError, match="download tiny"):
        product.check(WORDS)


@pytest.mark.parametrize("size", [(1920, 1080), (1000, 1000), (1024, 1025), (300, 4000)])
def test_the_network_is_never_given_more_pixels_than_it_takes(size: tuple[int, int]) -> None:
    width, height = backgrounds.filled_size(cards.FLUX2_KLEIN, *size)
    assert width % 16 == height % 16 == 0 and 0.9 * 2**20 < width * height <= 2**20
