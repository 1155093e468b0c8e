"""The notification at the end of a run, and the switch that asks the browser for its permission."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import Server, running_with_stand_ins
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import make, ready, started, upload
from tests.waiting import until

Visit = Callable[..., Page]

STAND_IN = """() => {
  window.shown = [];
  window.asked = 0;
  window.Notification = class {
    static permission = "default";
    static async requestPermission() {
      window.asked += 1;
      return (Notification.permission = window.answer ?? "granted");
    }
    constructor(title, { body }) { window.shown.push([title, body]); }
  };
}"""
"""In place of the browser's own notifications, which a browser without a screen has not."""

HIDE = "() => Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })"

WATCH = """() => {
  window.appeared = false;
  const look = () => { window.appeared ||= !document.querySelector("#notify [data-part=switch]").hidden; };
  new MutationObserver(look).observe(document.querySelector("#notify"), { subtree: true, attributes: true });
}"""
"""Notes whether the switch is ever shown, however short the run is."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_with_stand_ins() as server:
        yield server


def switch(page: Page) -> Locator:
    return page.get_by_role("switch", name="Notify me when it is done")


def test_permission_is_asked_by_the_switch_alone_and_what_was_cancelled_is_no_news(
    server: Server, visit: Visit, lasting_clip: Path
) -> None:
    page = started(server, visit, lasting_clip)
    page.evaluate(STAND_IN)
    expect(switch(page)).to_be_hidden()
    choose_model(page, "Dwelling")
    page.locator("#make").click()
    expect(switch(page)).not_to_be_checked()
    assert page.evaluate("asked") == 0
    switch(page).check()
    until(lambda: page.evaluate("asked") == 1)
    expect(switch(page)).to_be_checked()
    assert page.evaluate("localStorage.getItem('recorte.notify')") == "on"
    switch(page).uncheck()
    assert page.evaluate("localStorage.getItem('recorte.notify')") is None

    page.evaluate("() => { Notification.permission = 'default'; window.answer = 'denied'; }")
    switch(page).click()
    expect(page.locator("#notify")).to_contain_text("does not allow notifications")
    expect(switch(page)).to_be_disabled()
    expect(switch(page)).not_to_be_checked()

    page.evaluate(
        "() => { Notification.permission = 'granted'; localStorage.setItem('recorte.notify', 'on'); }"
    )
    page.evaluate(HIDE)
    page.locator("#cancel").click()
    expect(page.locator("#make")).to_be_visible()
    expect(switch(page)).to_be_hidden()
    assert page.evaluate("shown") == []


def test_a_notification_tells_of_the_end_of_a_run_in_a_hidden_tab(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    page.evaluate(STAND_IN)
    page.evaluate(
        "() => { Notification.permission = 'granted'; localStorage.setItem('recorte.notify', 'on'); }"
    )
    page.evaluate(WATCH)
    make(page)  # in a tab that is seen
    assert page.evaluate("appeared") is True
    assert page.evaluate("shown") == []
    page.evaluate(HIDE)
    page.locator("#quality").get_by_text("Small", exact=True).click()
    page.locator("#make").click()
    until(lambda: page.evaluate("shown") == [["The video is made", "figure.mp4"]])
    assert page.evaluate("asked") == 0


def test_without_notifications_there_is_no_switch(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url)
    page.context.add_init_script("delete window.Notification")
    page.reload()
    upload(page, clip)
    ready(page)
    page.evaluate(WATCH)
    make(page)
    assert page.evaluate("appeared") is False
