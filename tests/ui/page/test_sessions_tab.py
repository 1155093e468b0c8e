"""The order of the cards in the tab with the sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import choose, ready, session, started, upload
from tests.waiting import until

Visit = Callable[..., Page]


def card(page: Page, id: str) -> Locator:
    return page.locator(f'.card[data-id="{id}"]')


def listed(page: Page) -> list[str]:
    """Return the ids of the listed sessions, from the top."""
    ids: list[str] = page.locator(".card").evaluate_all("cards => cards.map((card) => card.dataset.id)")
    return ids


def start_two(server: Server, visit: Visit, clip: Path) -> tuple[Page, str, str]:
    """Return a page with the second of two new sessions, and both of their ids."""
    page = started(server, visit, clip)
    first = session(page)
    page.locator("#another").click()
    expect(page.locator("#drop")).to_be_visible()
    upload(page, clip)
    ready(page)
    until(lambda: session(page) != first)
    return page, first, session(page)


def test_the_session_that_was_changed_last_is_on_top(server: Server, visit: Visit, clip: Path) -> None:
    page, older, newer = start_two(server, visit, clip)
    page.get_by_role("tab", name="Sessions").click()
    expect(card(page, newer)).to_be_visible()
    assert listed(page)[:2] == [newer, older]

    star = card(page, older).get_by_role("button", name="Star")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert listed(page)[:2] == [newer, older]  # a card does not leave the hand that stars it

    card(page, older).get_by_role("button", name="Open").click()
    ready(page)
    until(lambda: session(page) == older)
    choose(page, "Blur")
    expect(page.locator("#radius")).to_be_visible()
    page.get_by_role("tab", name="Sessions").click()
    until(lambda: listed(page)[:2] == [older, newer])
