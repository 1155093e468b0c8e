"""Enlarging on the page: the size of a picture's result, a small picture behind it, and the weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.pipeline.enlarging import tiny
from tests.rendered import subject_over_background
from tests.ui.conftest import Server, running
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, address, choose, download, make, picture, session, upload


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with stand-ins among its models, and tiny networks that enlarge."""
    with tempfile.TemporaryDirectory(prefix="recorte-page-", ignore_cleanup_errors=True) as folder:
        weights = Path(folder, "weights")
        tiny.save(weights)
        settings = {"RECORTE_WEIGHTS": str(weights), "HF_HOME": str(Path(folder, "cache"))}
        program = ("-m", "tests.ui.stand_in_app")
        with running(Path(folder, "home"), program=program, **settings) as server:
            yield server


def shown(page: Page) -> None:
    expect(page.locator("#side")).to_be_visible()
    expect(picture(page)).to_have_attribute("aria-busy", "false")


def test_a_picture_and_what_is_behind_it_are_enlarged(server: Server, visit: Visit, tmp_path: Path) -> None:
    (frame, *_), _ = subject_over_background(1, 96, 54)
    Image.fromarray(frame).save(tmp_path / "mug.png")
    Image.new("RGB", (48, 27), "navy").save(tmp_path / "behind.png")
    folder = next(Path(server.settings["RECORTE_WEIGHTS"]).iterdir())
    page = visit(server.url)
    upload(page, tmp_path / "mug.png")
    shown(page)
    choose_model(page, "Threshold")
    size, about = page.locator("#size"), page.locator("#enlarging-result")
    expect(size.get_by_label("As the picture")).to_be_checked()
    expect(about).to_be_hidden()
    choose(page, "Picture")
    enlarge = page.locator("#enlarge input")
    expect(enlarge).to_be_hidden()  # there is no picture yet
    page.locator("#pictures input[type=file]").set_input_files(tmp_path / "behind.png")
    expect(enlarge).to_be_visible()
    away = folder.rename(folder.with_name("away"))
    try:
        enlarge.check()
        expect(page.locator("#enlarging-background")).to_contain_text("Swin2SR ×2 (Apache-2.0)")
        expect(page.locator("#download-enlarging-background")).to_be_visible()
        size.get_by_text("2 ×").click()
        expect(about).to_contain_text("its weights are needed")
        expect(page.locator("#download-enlarging-result")).to_be_visible()
        page.locator("#make").click()  # said at once, and nothing is queued
        expect(page.locator(".toast-body")).to_contain_text("weights of Swin2SR ×2 are not here yet")
        expect(page.locator("#cancel")).to_be_hidden()
    finally:
        away.rename(folder)
    other = visit(address(server, session(page)))
    shown(other)
    expect(other.locator("#size").get_by_label("2 ×")).to_be_checked()
    expect(other.locator("#enlarge input")).to_be_checked()
    expect(other.locator("#enlarging-result")).to_contain_text("Until then it is shown as it is")
    expect(other.locator("#download-enlarging-result")).to_be_hidden()
    make(other)
    made = tmp_path / "made.png"
    download(other, "PNG").save_as(made)
    with Image.open(made) as result:
        assert result.size == (192, 108)
    # A choice in one window is seen in the other.
    other.locator("#enlarge input").uncheck()
    expect(other.locator("#enlarging-background")).to_be_hidden()
    expect(page.locator("#enlarge input")).not_to_be_checked()
