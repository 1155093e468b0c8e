"""The crop of the result, end to end: the real server, the real database, a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests import ffprobe
from tests.ui.conftest import Server
from tests.ui.page.test_page import Visit, address, done, download, make, picture, session, started
from tests.waiting import until


def test_a_crop_is_shown_made_and_kept(server: Server, visit: Visit, clip: Path, tmp_path: Path) -> None:
    page = started(server, visit, clip)
    choices, window = page.locator("#crop"), page.locator("[data-part=crop]")
    expect(choices.get_by_role("radio")).to_have_count(5)
    expect(choices.get_by_role("radio", name="Whole")).to_be_checked()
    choices.get_by_text("9:16", exact=True).click()
    page.locator("[data-view=cutout]").click()
    expect(window).to_be_visible()
    frame, shown = picture(page).bounding_box(), window.bounding_box()
    assert frame is not None and shown is not None
    assert abs(shown["width"] / frame["width"] - 100 / 320) < 0.01

    make(page)
    download(page, "MP4").save_as(tmp_path / "out.mp4")
    assert ffprobe.frames(tmp_path / "out.mp4").shape == (24, 180, 100, 3)
    assert ffprobe.frame_times(tmp_path / "out.mp4") == ffprobe.frame_times(clip)

    # The matte is there, so the windows of another ratio are known.
    with page.expect_response(re.compile(r"/crop$")) as answered:
        choices.get_by_text("1:1", exact=True).click()
    answer = answered.value.json()
    assert answer["first"] == 0 and len(answer["corners"]) == 24
    assert all(0 <= left <= 140 and top == 0 for left, top in answer["corners"])
    expect(page.get_by_text("This result was made before your last change.")).to_be_visible()
    expect(window).to_have_class("crop")
    link = page.locator("#downloads a")
    before = link.get_attribute("href")
    assert before is not None
    page.locator("#make").click()
    expect(link).not_to_have_attribute("href", before)
    done(page)
    download(page, "MP4").save_as(tmp_path / "out.mp4")
    assert ffprobe.frames(tmp_path / "out.mp4").shape == (24, 180, 180, 3)

    page.goto(address(server, session(page)))
    expect(page.locator("#crop").get_by_role("radio", name="1:1")).to_be_checked()


def laid_out(page: Page) -> list[list[float]]:
    """Return the layout of each preview picture, in pixels of the screen, and the number of its frame.

    That is the frame's width and height, the picture's own width, and what is cut off at its left.
    """
    return list(
        page.locator(".previews .framed").evaluate_all(
            """frames => frames.map((frame) => {
                const [outer, inner] = [frame, frame.firstElementChild].map((n) => n.getBoundingClientRect());
                const number = Number(frame.parentElement.dataset.frame);
                return [outer.width, outer.height, inner.width, outer.left - inner.left, number];
            })"""
        )
    )


def test_previews_show_what_lies_in_the_window(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    make(page)
    page.locator("#preview").click()
    figures = page.locator(".previews figure")
    expect(figures).to_have_count(6)
    expect(page.locator(".cropped")).to_have_count(0)
    assert all(abs(width / height - 320 / 180) < 0.05 for width, height, *_ in laid_out(page))
    with page.expect_response(re.compile(r"/crop$")) as answered:
        page.locator("#crop").get_by_text("9:16", exact=True).click()
    corners = answered.value.json()["corners"]

    def shows_windows() -> bool:
        placed = laid_out(page)
        return len(placed) == 12 and all(  # of each frame as it will look, and as it was
            abs(width / height - 100 / 180) < 0.02
            and abs(whole * 100 / width - 320) < 2
            and abs(left * 100 / width - corners[number][0]) < 2
            for width, height, whole, left, number in placed
        )

    until(shows_windows)
    page.locator("#crop").get_by_text("Whole", exact=True).click()
    expect(page.locator(".cropped")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
