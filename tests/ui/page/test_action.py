"""The controls of a run stay in view, at every size of the window and at every scroll."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import done, make, picture, started
from tests.waiting import until

Visit = Callable[..., Page]

PHONE = {"width": 390, "height": 844}


def is_in_view(locator: Locator) -> bool:
    """Return True if all of an element lies in the window, with nothing in front of it."""
    return bool(
        locator.evaluate(
            """node => {
                const { left, top, right, bottom } = node.getBoundingClientRect();
                const isInside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
                const front = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
                return isInside && right > left && (node === front || node.contains(front));
            }"""
        )
    )


@pytest.mark.parametrize(
    ("width", "height"), [(1440, 900), (1440, 450), (1024, 768), (720, 450), (390, 844), (390, 500)]
)
def test_make_is_in_view(server: Server, visit: Visit, clip: Path, width: int, height: int) -> None:
    page = visit(server.url, viewport={"width": width, "height": height})
    page.locator("#drop input[type=file]").set_input_files(clip)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    button = page.locator("#make")
    expect(button).to_be_visible()
    for y in (0, 300, 100_000):
        page.evaluate("y => scrollTo(0, y)", y)
        until(lambda: is_in_view(button))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("locale", ["en-GB", "es-ES", "de-DE"])
def test_the_whole_editor_is_in_view_at_1440_by_900(
    server: Server, visit: Visit, clip: Path, locale: str
) -> None:
    page = visit(server.url, locale=locale, viewport={"width": 1440, "height": 900})
    page.locator("#drop input[type=file]").set_input_files(clip)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(page.locator("#make")).to_be_visible()
    boxes = page.evaluate(
        """() => {
            const names = ["picture", "message", "toolbar", "objects", "timeline"];
            const nodes = names.map((name) => document.querySelector(`.stage [data-part=${name}]`));
            return [...nodes, document.querySelector("#make")].map((node) => {
                const { left, top, right, bottom } = node.getBoundingClientRect();
                return [left, top, right, bottom];
            });
        }"""
    )
    assert all(0 <= left < right <= 1440 and 0 <= top < bottom <= 900 for left, top, right, bottom in boxes)
    assert page.evaluate("scrollY") == 0
    for row in ("#format", "#quality", "#crop"):
        assert is_in_view(page.locator(row)), f"{row} lies behind the bar"
    rows = page.locator(".toolbar .group").evaluate_all("all => all.map(node => node.offsetTop)")
    assert len(set(rows[1:])) == 1, "tools, history and views stand in one row"
    height = boxes[0][3] - boxes[0][1]
    assert height > 0.5 * 900, "the picture is the largest thing"


def test_nothing_stays_behind_the_bar_of_a_phone(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url, viewport=PHONE, has_touch=True)
    page.locator("#drop input[type=file]").set_input_files(clip)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    page.evaluate("scrollTo(0, 100000)")
    until(lambda: is_in_view(page.locator("#advanced > button")))


def test_cancel_is_in_view_while_it_runs(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    page.set_viewport_size(PHONE)
    page.evaluate("scrollTo(0, 0)")
    page.locator("#make").click()
    expect(page.locator("#progress")).to_contain_text("of 180 frames")
    assert is_in_view(page.locator("#cancel"))
    expect(page).to_have_title(re.compile(r"^\d+ % · longer\.mp4 – Recorte$"))
    page.set_viewport_size({"width": 1440, "height": 900})
    assert is_in_view(page.locator("#cancel")) and is_in_view(page.locator("#progress progress"))
    page.locator("#cancel").click()
    expect(page.locator("#progress")).to_contain_text("Cancelled")
    expect(page).to_have_title("Recorte")


def test_a_finished_result_scrolls_into_view_on_a_phone(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url, viewport=PHONE, has_touch=True, reduced_motion="reduce")
    page.locator("#drop input[type=file]").set_input_files(clip)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    page.locator("#advanced").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 100000)")
    assert page.evaluate("scrollY") > 200
    make(page)
    expect(page.locator("[data-part=video]")).to_be_visible()
    until(lambda: is_in_view(picture(page)))
    assert is_in_view(page.locator("#downloads a"))
    page.reload()
    done(page)
    assert page.evaluate("scrollY") == 0  # it is there already
