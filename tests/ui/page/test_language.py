"""The choice of the page's language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import address, ready, session, started
from ui import text

Visit = Callable[..., Page]


def choose_language(page: Page, name: str) -> None:
    page.locator("#languages summary").click()
    page.locator("#languages").get_by_role("button", name=name).click()


def expect_language(page: Page, code: str) -> None:
    expect(page.locator("html")).to_have_attribute("lang", code)


def test_a_chosen_language_is_kept_for_page_and_server(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    id = session(page)
    expect(page.locator("#languages summary")).to_have_text("English")
    choose_language(page, "Deutsch")
    expect_language(page, "de")
    ready(page)  # the session stays where it is
    assert session(page) == id
    german = text.LOCALES["de"]
    expect(page.locator("#languages summary")).to_have_accessible_name("Sprache: Deutsch")
    expect(page.locator("#make")).to_have_text(german.page["make"])
    expect(page.locator("[data-view=cutout]")).to_have_text(german.stage["cutout"])
    expect(page.locator("#about-model")).to_contain_text(german.model_purposes["recorte"])  # by the server
    page.get_by_role("tab", name=german.page["tab_sessions"]).click()
    expect(page.locator(f'.card[data-id="{id}"]')).to_contain_text(german.cards["ready"])

    page.goto(address(server, "nonsense"))
    expect(page.get_by_test_id("toast-body")).to_contain_text(german.page["gone"])
    refused = page.request.get(f"{server.url}/media/{id}/frames/99")
    assert refused.json()["error"] == german.errors["video"]["no_such_frame"].format(
        name="figure.mp4", index=99
    )
    choose_language(page, "English")
    expect_language(page, "en")
    expect(page.locator("#sample")).to_have_text("Try the sample clip")


def test_the_languages_are_those_of_the_locales_and_reached_by_keys(server: Server, visit: Visit) -> None:
    page = visit(server.url, locale="es-ES")
    opener = page.locator("#languages summary")
    expect(opener).to_have_text("Español")
    opener.focus()
    page.keyboard.press("Enter")
    names = page.locator("#languages button")
    expect(names).to_have_text([locale.name for locale in text.LOCALES.values()])
    expect(page.locator("#languages [aria-current]")).to_have_text("Español")
    page.keyboard.press("Tab")
    expect(names.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(names.first).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_language(page, "en")
