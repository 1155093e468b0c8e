"""The outline of what a click would take, under a mouse that rests on the stage."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.page.test_stage import (
    HEIGHT,
    WIDTH,
    Fake,
    click,
    move_to,
    on_screen,
    picture,
    settled,
)
from tests.ui.page.test_stage import address as address
from tests.ui.page.test_stage import fake as fake
from tests.ui.page.test_stage import opened as opened
from tests.ui.page.test_stage import tab as tab
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Opened = Callable[..., Page]

QUIET_MS = 1500
"""Longer than a mouse has to rest."""

SQUARE = [[[128, 90], [256, 90], [256, 180], [128, 180]]]
RING = [
    [[320, 90], [512, 90], [512, 270], [320, 270]],
    [[384, 144], [448, 144], [448, 216], [384, 216]],
]


def outline(page: Page) -> Locator:
    return page.locator("[data-part=thing]")


def hover(page: Page, x: float, y: float) -> None:
    page.mouse.move(*on_screen(page, x, y))


def asked(fake: Fake) -> list[str]:
    return [address for address in fake.asked if "/thing?" in address]


def test_a_mouse_that_rests_on_a_thing_shows_its_outline(opened: Opened, fake: Fake) -> None:
    fake.things = [SQUARE, RING]
    page = opened(splits=True)
    hover(page, 150, 150)
    expect(outline(page)).to_be_visible()
    expect(outline(page).locator("path").first).to_have_attribute("d", outline_path(SQUARE))
    assert len(asked(fake)) == 1 and asked(fake)[0].startswith("/media/one/frames/0/thing?x=1")

    hover(page, 190, 110)  # elsewhere on it: without the server
    expect(outline(page)).to_be_visible()
    hover(page, 340, 120)
    until(lambda: len(asked(fake)) == 2)
    expect(outline(page).locator("path").first).to_have_attribute("d", outline_path(RING))
    hover(page, 400, 200)  # in the hole of the ring
    expect(outline(page)).to_be_hidden()
    page.mouse.move(2, 2)
    expect(outline(page)).to_be_hidden()
    hover(page, 150, 150)
    expect(outline(page)).to_be_visible()


def outline_path(lines: list[list[list[int]]]) -> str:
    """Return the path that draws lines over the whole of the stage."""
    return "".join(
        "M" + "L".join(f"{100 * x / WIDTH:.2f} {100 * y / HEIGHT:.2f}" for x, y in line) + "Z"
        for line in lines
    )


def test_a_place_with_no_thing_is_asked_about_once(opened: Opened, fake: Fake) -> None:
    page = opened(splits=True)
    hover(page, 50, 50)
    until(lambda: len(asked(fake)) == 1)
    for place in ((52, 50), (50, 55), (50, 50)):
        hover(page, *place)
        page.wait_for_timeout(QUIET_MS)
    assert len(asked(fake)) == 1
    expect(outline(page)).to_be_hidden()
    move_to(page, 5)  # another frame
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    hover(page, 51, 50)
    until(lambda: len(asked(fake)) == 2)
    assert "/frames/5/" in asked(fake)[-1]


def test_a_search_that_was_given_up_is_tried_again(opened: Opened, fake: Fake) -> None:
    fake.things, fake.given_up = [SQUARE], 2
    page = opened(splits=True)
    hover(page, 150, 150)
    expect(outline(page)).to_be_visible()
    assert len(asked(fake)) == 3


def test_only_a_first_click_to_keep_is_outlined(opened: Opened, fake: Fake) -> None:
    fake.things = [SQUARE]
    page = opened(splits=True)
    page.get_by_role("button", name="Remove", exact=True).click()
    hover(page, 150, 150)
    page.wait_for_timeout(QUIET_MS)
    assert asked(fake) == []
    page.get_by_role("button", name="Keep", exact=True).click()
    hover(page, 151, 150)
    expect(outline(page)).to_be_visible()
    click(page, 150, 150)
    settled(page, fake, 1)
    assert fake.points[0]["whole"] is True
    expect(outline(page)).to_be_hidden()
    count = len(asked(fake))
    hover(page, 160, 160)
    page.wait_for_timeout(QUIET_MS)
    assert len(asked(fake)) == count


@pytest.mark.parametrize("changes", [{}, {"splits": True, "can_point": False}])
def test_a_model_that_tells_no_things_apart_is_not_asked(
    opened: Opened, fake: Fake, changes: dict[str, bool]
) -> None:
    fake.things = [SQUARE]
    page = opened(**changes)
    hover(page, 150, 150)
    page.wait_for_timeout(QUIET_MS)
    assert asked(fake) == []
    expect(outline(page)).to_be_hidden()


def test_a_finger_asks_for_no_outline(opened: Opened, fake: Fake) -> None:
    fake.things = [SQUARE]
    page = opened(splits=True)
    x, y = on_screen(page, 150, 150)
    picture(page).evaluate(
        """(node, [clientX, clientY]) => node.dispatchEvent(
            new PointerEvent("pointermove", { pointerType: "touch", clientX, clientY, bubbles: true }))""",
        [x, y],
    )
    page.wait_for_timeout(QUIET_MS)
    assert asked(fake) == []
