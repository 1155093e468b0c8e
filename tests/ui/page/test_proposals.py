"""Backgrounds made of words on the page: proposals, the choice of one, and cancelling."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pipeline.generation import tiny
from tests.ui.conftest import Server, running
from tests.ui.page.test_page import Visit, choose, ready, started

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
