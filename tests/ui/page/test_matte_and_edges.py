"""A matte of another tool and fine edges on the page."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests.rendered import write_clip
from tests.ui.conftest import Server
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, make, ready, started


@pytest.fixture
def matte(clip: Path, tmp_path: Path) -> Path:
    """A video of a disc, one picture for each frame of the clip."""
    probed = probe_clip(clip)
    picture = np.zeros((probed.height, probed.width, 3), np.uint8)
    cv2.circle(picture, (probed.width // 2, probed.height // 2), 40, (255, 255, 255), cv2.FILLED)
    return write_clip(tmp_path / "disc.mp4", [picture] * len(load_index(clip).pts))


def test_a_matte_is_uploaded_read_the_other_way_round_and_used(
    server: Server, visit: Visit, clip: Path, matte: Path
) -> None:
    page = started(server, visit, clip)
    expect(page.locator("#matte-in")).to_be_hidden()
    choose_model(page, "Your own matte")
    expect(page.locator("#matte-in-about")).to_contain_text("A video, or a ZIP file")
    expect(page.locator("#matte-in-invert")).to_be_hidden()
    page.locator("#matte-in input[type=file]").set_input_files(matte)
    invert = page.get_by_label("White is the background")
    expect(invert).to_be_visible()
    expect(page.locator("#matte-in-file")).to_contain_text("Another matte")
    ready(page)
    make(page)
    invert.check()
    page.reload()
    ready(page)
    expect(invert).to_be_checked()
    choose_model(page, "GrabCut")
    expect(page.locator("#matte-in")).to_be_hidden()


def test_a_matte_of_another_shape_is_refused_with_a_sentence(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Your own matte")
    square = write_clip(tmp_path / "square.mp4", [np.zeros((64, 64, 3), np.uint8)] * 4)
    page.locator("#matte-in input[type=file]").set_input_files(square)
    expect(page.get_by_test_id("toast-body")).to_contain_text("another shape")
    expect(page.locator("#matte-in-invert")).to_be_hidden()


def test_fine_edges_offer_the_weights_that_they_need(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    fold = page.locator("#edges").get_by_role("button", name="Edges")
    switch = page.get_by_label("Fine edges")
    fold.click()
    expect(page.locator("#download-hair")).to_be_hidden()
    switch.check()
    expect(page.locator("#hair-missing")).to_contain_text("ViTMatte")
    expect(page.locator("#download-hair")).to_contain_text("103")
    page.reload()
    ready(page)
    fold.click()
    expect(switch).to_be_checked()
    switch.uncheck()
    expect(page.locator("#download-hair")).to_be_hidden()


def test_classes_are_chosen_from_a_list(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    expect(page.locator("#classes")).to_be_hidden()
    choose_model(page, "Classes")
    chosen = page.locator("#classes")
    expect(chosen).to_contain_text("Person")
    chosen.locator("input").click()
    page.get_by_role("option", name="Dog").click()
    expect(chosen).to_contain_text("Dog")
    page.reload()
    ready(page)
    expect(chosen).to_contain_text("Person")
    expect(chosen).to_contain_text("Dog")


def test_a_mask_is_uploaded_for_the_frame_that_is_shown_and_cleared_like_a_mark(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    probed = probe_clip(clip)
    picture = np.zeros((probed.height, probed.width), np.uint8)
    cv2.circle(picture, (probed.width // 2, probed.height // 2), 30, 255, cv2.FILLED)
    assert cv2.imwrite(str(tmp_path / "disc.png"), picture)
    fold = page.locator("#edges").get_by_role("button", name="Edges and light")
    fold.click()
    page.locator("#mask-in input[type=file]").set_input_files(tmp_path / "disc.png")
    expect(page.locator("#mask-in-about")).to_contain_text("Masks from files: 1")
    expect(page.locator("#stage [data-part=diamonds] button")).to_have_count(1)
    ready(page)
    page.locator("#mask-in-invert input").check()
    page.reload()
    ready(page)
    fold.click()
    expect(page.locator("#mask-in-invert input")).to_be_checked()
    page.locator("#stage [data-act=clear]").click()
    expect(page.locator("#stage [data-part=diamonds] button")).to_have_count(0)
    page.reload()
    ready(page)
    fold.click()
    expect(page.locator("#mask-in-about")).not_to_contain_text("Masks from files")

    square = np.zeros((64, 64), np.uint8)
    assert cv2.imwrite(str(tmp_path / "square.png"), square)
    page.locator("#mask-in input[type=file]").set_input_files(tmp_path / "square.png")
    expect(page.get_by_test_id("toast-body")).to_contain_text("another shape")
    choose_model(page, "Your own matte")
    expect(page.locator("#mask-in")).to_be_hidden()
