"""Light on the page: a drawn shadow, and colours that match."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import Visit, ready, started


def test_a_shadow_is_drawn_kept_and_taken_away(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    fold = page.locator("#edges").get_by_role("button", name="Edges and light")
    switch = page.get_by_label("Draw a shadow")
    strength = page.locator("#shadow-strength input[type=number]")
    layer = page.locator(".layer")
    plain = layer.get_attribute("data-rev")
    assert plain is not None
    fold.click()
    expect(page.locator("#shadow-angle")).to_be_hidden()
    switch.check()
    expect(strength).to_be_visible()
    expect(strength).to_have_value("0.5")
    expect(layer).not_to_have_attribute("data-rev", plain)  # the picture is asked for anew
    expect(page.locator("[data-part=picture]")).to_have_attribute("aria-busy", "false")
    strength.fill("0.8")
    with page.expect_response(lambda response: "queue/join" in response.url):
        strength.press("Enter")
    page.evaluate("window.recorte.settled()")
    page.reload()
    ready(page)
    fold.click()
    expect(switch).to_be_checked()
    expect(strength).to_have_value("0.8")
    switch.uncheck()
    expect(strength).to_be_hidden()
    expect(layer).to_have_attribute("data-rev", plain)


def test_colours_are_matched_either_way(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    layer = page.locator(".layer")
    plain = layer.get_attribute("data-rev")
    assert plain is not None
    page.locator("#edges").get_by_role("button", name="Edges and light").click()
    strength = page.locator("#match input[type=number]")
    expect(page.locator("#match-to")).to_be_hidden()
    strength.fill("0.6")
    strength.press("Enter")
    page.evaluate("window.recorte.settled()")
    expect(layer).not_to_have_attribute("data-rev", plain)
    page.get_by_label("The background, to the subject").check()
    page.evaluate("window.recorte.settled()")
    expect(layer).to_have_attribute("data-rev", re.compile("match=0.6-match_to=subject"))
    strength.fill("0")
    strength.press("Enter")
    expect(page.locator("#match-to")).to_be_hidden()
