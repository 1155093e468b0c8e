"""Backgrounds made of words on the page: proposals, the choice of one, and cancelling."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.pipeline.generation import tiny
from tests.rendered import subject_over_background
from tests.ui.conftest import Server, running
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, choose, download, make, ready, started, upload

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with stand-ins among its models, and a tiny network for words."""
    with tempfile.TemporaryDirectory(prefix="recorte-page-", ignore_cleanup_errors=True) as folder:
        weights = Path(folder, "weights")
        tiny.save(weights / tiny.REPOSITORY)
        settings = {"RECORTE_WEIGHTS": str(weights), "HF_HOME": str(Path(folder, "cache"))}
        program = ("-m", "tests.ui.stand_in_app")
        with running(Path(folder, "home"), program=program, **settings) as server:
            yield server


def test_four_pictures_are_proposed_and_one_is_chosen(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    expect(page.locator("#background-words")).to_be_hidden()
    choose(page, "Picture")
    layer = page.locator(".layer")
    plain = layer.get_attribute("data-rev") or ""
    expect(page.locator("#fill-around")).to_be_hidden()  # it is for pictures
    page.get_by_label("Words for a background").fill("a sunlit loft")
    page.locator("#propose").click()
    expect(page.locator("#drawing")).to_contain_text(re.compile(r"Drawing pictures: \d of 4"))
    pictures = page.locator(".proposal")
    expect(pictures).to_have_count(4)
    expect(page.locator("#drawing")).to_be_hidden()
    expect(page.locator("#stop-drawing")).to_be_hidden()
    assert (
        page.evaluate(
            "Promise.all([...document.querySelectorAll('.proposal img')].map((img) => img.decode()))"
        )
        == [None] * 4
    )
    page.get_by_role("button", name="Picture 2").click()
    expect(pictures.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(layer).not_to_have_attribute("data-rev", plain)
    expect(layer).to_have_attribute("data-rev", re.compile("background-words-1-"))
    page.reload()
    ready(page)
    expect(pictures.nth(1)).to_have_attribute("aria-pressed", "true")
    # No words are refused with a sentence, and what is there stays.
    page.get_by_label("Words for a background").fill(" ")
    page.locator("#propose").click()
    expect(page.locator(".toast-body")).to_contain_text("Say in words")
    expect(pictures).to_have_count(4)


def test_cancelling_leaves_what_was_proposed(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    choose(page, "Picture")
    words, propose = page.get_by_label("Words for a background"), page.locator("#propose")
    pictures = page.locator(".proposal img")
    words.fill("a sunlit loft")
    propose.click()
    expect(pictures).to_have_count(4)
    expect(page.locator("#drawing")).to_be_hidden()
    addresses = pictures.evaluate_all("all => all.map(picture => picture.src)")
    words.fill(tiny.HELD)
    propose.click()
    expect(page.locator("#drawing")).to_contain_text("Drawing pictures: 0 of 4")
    page.locator("#stop-drawing").click()
    expect(page.locator("#drawing")).to_be_hidden()
    expect(page.locator("#stop-drawing")).to_be_hidden()
    assert pictures.evaluate_all("all => all.map(picture => picture.src)") == addresses
    # The network is free for other words.
    words.fill("a garden")
    propose.click()
    expect(pictures.first).to_have_attribute("src", re.compile("a%20garden"))
    expect(pictures).to_have_count(4)


def test_a_background_is_filled_in_around_a_pictures_subject(
    server: Server, visit: Visit, tmp_path: Path
) -> None:
    (frame, *_), _ = subject_over_background(1, 96, 54)
    Image.fromarray(frame).save(tmp_path / "mug.png")
    page = visit(server.url)
    upload(page, tmp_path / "mug.png")
    expect(page.locator("#side")).to_be_visible()
    choose_model(page, "Threshold")
    choose(page, "Picture")
    words, fill, layer = (
        page.locator("#background-words textarea"),
        page.locator("#fill-around"),
        page.locator(".layer"),
    )
    status, facts = page.locator("#drawing"), page.locator("#product-facts")
    words.fill(tiny.HELD)
    fill.click()
    expect(status).to_contain_text(re.compile(r"Filling in: step \d of 3"))
    expect(facts).to_contain_text(re.compile(r"The subject stands .* covers \d+ % of the picture"))
    page.locator("#stop-drawing").click()
    expect(status).to_be_hidden()
    expect(facts).to_be_hidden()
    expect(page.locator(".toast-body")).to_have_count(0)
    words.fill("a marble counter")
    fill.click()
    expect(layer).to_have_attribute("data-rev", re.compile("background-around-0-"))
    expect(status).to_be_hidden()
    expect(facts).to_be_visible()
    expect(page.locator("#fit").get_by_label("Stretch")).to_be_checked()
    fill.click()  # asked again it is another one
    expect(layer).to_have_attribute("data-rev", re.compile("background-around-1-"))
    expect(status).to_be_hidden()
    page.reload()  # it is the session's, with what was told of it
    expect(layer).to_have_attribute("data-rev", re.compile("background-around-1-"))
    expect(facts).to_contain_text("The subject stands")
    make(page)
    download(page, "PNG").save_as(tmp_path / "made.png")
    with Image.open(tmp_path / "made.png") as made:
        result = np.asarray(made.convert("RGB"))
    assert result.shape == frame.shape
    same = (result == frame).all(axis=2)
    assert 0.02 < same.mean() < 0.9  # the subject's own pixels before another background
    words.fill(" ")
    fill.click()
    expect(page.locator(".toast-body")).to_contain_text("Say in words")


def test_without_the_weights_they_are_offered(server: Server, visit: Visit, clip: Path) -> None:
    folder = Path(server.settings["RECORTE_WEIGHTS"]) / tiny.REPOSITORY
    away = folder.rename(folder.with_name("away"))
    try:
        page = started(server, visit, clip)
        choose(page, "Picture")
        expect(page.locator("#drawing-missing")).to_contain_text("Tiny (Apache-2.0) draws them")
        expect(page.locator("#download-drawing")).to_be_visible()
        expect(page.locator("#background-words")).to_be_hidden()
    finally:
        away.rename(folder)
