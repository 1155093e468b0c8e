"""Back, forward and reload: they go through the sessions and the tabs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import ready, session
from tests.ui.page.test_sessions_tab import card, start_two
from tests.waiting import until

Visit = Callable[..., Page]


def tab(page: Page) -> str:
    """Return the name of the open tab."""
    return page.locator("[role=tab][aria-selected=true]").inner_text()


def entries(page: Page) -> int:
    return int(page.evaluate("history.length"))


def test_back_and_forward_go_through_sessions_and_tabs(server: Server, visit: Visit, clip: Path) -> None:
    page, first, second = start_two(server, visit, clip)
    page.evaluate("window.sameDocument = true")
    start = entries(page)
    page.get_by_role("tab", name="Sessions").click()
    until(lambda: entries(page) == start + 1)
    card(page, first).get_by_role("button", name="Open").click()
    ready(page)
    until(lambda: session(page) == first and entries(page) == start + 2)
    assert tab(page) == "Cut out"

    page.go_back()
    until(lambda: tab(page) == "Sessions")
    page.go_back()
    until(lambda: tab(page) == "Cut out" and session(page) == second)
    expect(page.locator("#current textarea")).to_have_value(second)
    page.go_back()  # where there was no session, between the two uploads
    expect(page.locator("#drop")).to_be_visible()
    page.go_back()
    expect(page.locator("#current textarea")).to_have_value(first)
    ready(page)
    page.go_back()
    expect(page.locator("#drop")).to_be_visible()
    assert "session=" not in page.url

    # Faster than any of them is opened: the last one counts.
    for _ in range(2):
        page.evaluate("history.forward()")
        until(lambda: page.evaluate("history.state.tab") == "cut")
    page.evaluate("history.forward()")
    expect(page.locator("#current textarea")).to_have_value(second)
    ready(page)
    page.go_forward()
    until(lambda: tab(page) == "Sessions")
    page.go_forward()
    expect(page.locator("#current textarea")).to_have_value(first)
    until(lambda: tab(page) == "Cut out")
    assert entries(page) == start + 2  # going through the entries makes none
    assert page.evaluate("window.sameDocument") is True


def test_a_reload_keeps_the_session_and_the_tab(server: Server, visit: Visit, clip: Path) -> None:
    page, _, second = start_two(server, visit, clip)
    before = entries(page)
    page.get_by_role("tab", name="Sessions").click()
    until(lambda: entries(page) == before + 1)
    page.reload()
    until(lambda: tab(page) == "Sessions")
    expect(card(page, second)).to_be_visible()
    page.reload()
    until(lambda: tab(page) == "Sessions")
    expect(page.locator("#current textarea")).to_have_value(second)
    assert entries(page) == before + 1 and session(page) == second
    page.go_back()
    until(lambda: tab(page) == "Cut out")
    ready(page)


def test_the_entry_of_a_deleted_session_becomes_that_of_the_empty_page(
    server: Server, visit: Visit, clip: Path
) -> None:
    page, first, second = start_two(server, visit, clip)
    page.get_by_role("tab", name="Sessions").click()
    card(page, second).get_by_role("button", name="Delete").click()
    expect(card(page, second)).to_have_count(0)
    page.go_back()
    expect(page.get_by_test_id("toast-body")).to_contain_text("This session does not exist")
    expect(page.locator("#drop")).to_be_visible()
    until(lambda: "session=" not in page.evaluate("location.href"))
    page.go_back()
    page.go_back()
    expect(page.locator("#current textarea")).to_have_value(first)
