"""The keys, the dialog that lists them, and zoom by key, button and slider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import ffprobe
from tests.ui.conftest import Server
from tests.ui.page.test_page import done, on_screen, ready, started, until_handled

Visit = Callable[..., Page]


def scale(page: Page) -> float:
    return float(
        page.locator("[data-part=pan]").evaluate("n => new DOMMatrix(getComputedStyle(n).transform).a")
    )


def test_the_keys_are_listed_in_a_dialog_that_holds_the_focus(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    for sentence in ("Play or pause", "Undo", "Redo", "Make the video", "Nearer and further away"):
        expect(dialog.locator("dt", has_text=sentence).first).to_be_visible()
    row = dialog.locator("dt", has_text="Redo").locator("+ dd kbd")
    expect(row).to_have_text(["Shift", "Z"])
    assert "key_" not in dialog.inner_text() and "does_" not in dialog.inner_text()
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('#desk .toolbar')")
    page.keyboard.press("O")  # acts on nothing behind it
    expect(page.locator("[data-view=mask]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator("[data-part=help]").click()
    expect(dialog).to_be_visible()


def test_zoom_by_keys_buttons_and_slider(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    nearer, further = page.get_by_role("button", name="Zoom in"), page.get_by_role("button", name="Zoom out")
    expect(further).to_be_disabled()
    page.keyboard.press("+")
    assert abs(scale(page) - 1.25) < 0.01
    nearer.click()
    assert abs(scale(page) - 1.5625) < 0.01
    slider = page.get_by_role("slider", name="Zoom")
    slider.fill("100")
    assert abs(scale(page) - 12) < 0.01
    expect(nearer).to_be_disabled()
    expect(slider).to_have_attribute("aria-valuetext", "1200 %")
    slider.evaluate("node => node.blur()")
    page.keyboard.press("-")
    assert abs(scale(page) - 9.6) < 0.01
    page.keyboard.press("0")
    assert scale(page) == 1


def test_a_video_is_marked_and_made_by_keyboard_alone(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    name = page.locator("#name input, #name textarea")
    name.focus()
    page.keyboard.press("Enter")  # ends the field, and makes nothing
    expect(page.locator("#make")).to_be_visible()
    page.locator("[data-part=picture]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # a mark in the middle
    expect(page.locator(".dot.keep[aria-label]")).to_have_count(1)
    page.keyboard.press("Z")
    expect(page.locator(".dot.keep[aria-label]")).to_have_count(0)
    page.keyboard.press("Shift+Z")
    expect(page.locator(".dot.keep[aria-label]")).to_have_count(1)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Enter")
    done(page)
    expect(page.locator("#downloads a")).to_have_count(1)


def tab_to(page: Page, place: str) -> None:
    """Go to an element by the Tab key alone."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("place => document.activeElement.closest(place) !== null", place):
            return
    raise AssertionError(f"{place} is not reached by Tab")


@pytest.mark.timeout(900)
def test_three_videos_in_a_row_are_made_by_keyboard_alone(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = visit(server.url)
    expect(page.locator("#drop")).to_be_visible()
    page.on("filechooser", lambda chooser: chooser.set_files(clip))
    for n in range(3):
        tab_to(page, "#drop")
        page.keyboard.press("Enter")
        ready(page)
        tab_to(page, "[data-part=picture]")
        page.keyboard.press("ArrowRight")
        with until_handled(page):
            page.keyboard.press("Enter")  # a mark in the middle
        page.keyboard.press("C")
        expect(page.locator("[data-view=cutout]")).to_have_attribute("aria-pressed", "true")
        tab_to(page, "#make")
        page.keyboard.press("Enter")
        done(page)
        tab_to(page, "#downloads a")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        made = tmp_path / f"{n}.mp4"
        download.value.save_as(made)
        assert ffprobe.frame_times(made) == ffprobe.frame_times(clip)
        tab_to(page, "#another")
        page.keyboard.press("Enter")
        expect(page.locator("#drop")).to_be_visible()


def test_undo_and_redo_survive_a_reload(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    dots = page.locator(".dot.keep[aria-label]")
    with until_handled(page):
        page.mouse.click(*on_screen(page, 170, 130))
    expect(dots).to_have_count(1)
    page.reload()
    ready(page)
    expect(dots).to_have_count(1)
    with until_handled(page):
        page.keyboard.press("Z")
    expect(dots).to_have_count(0)
    page.reload()
    ready(page)
    expect(dots).to_have_count(0)
    page.keyboard.press("Shift+Z")
    expect(dots).to_have_count(1)
