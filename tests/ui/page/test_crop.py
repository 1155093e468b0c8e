"""The crop of the result, end to end: the real server, the real database, a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests import ffprobe
from tests.ui.conftest import Server
from tests.ui.page.test_page import Visit, address, done, download, make, picture, session, started


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
