"""Every state of the page by axe, and at every width, in both themes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import ROOT, Server, running_with_stand_ins
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import choose, done, on_screen, picture, ready, upload

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
WIDTHS = (390, 720, 1024, 1440, 2560)
"""Of the window, in CSS pixels; one of 1440 pixels enlarged to 200 % has 720 of them."""

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_with_stand_ins(but_for="ZeroDivisionError") as server:
        yield server


def violations(page: Page) -> list[str]:
    """Return what axe finds: the rule, and the elements that violate it."""
    assert AXE.exists(), "axe is not installed: npm ci"
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))  # no element of the page, whose policy forbids others
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{violation['id']}: {node['target']} {node['any'][0]['message'] if node['any'] else ''}"
        for violation in found
        for node in violation["nodes"]
    ]


def check(page: Page, state: str) -> None:
    """Check one state of the page at all widths."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{state}: scrolls sideways by {overflow} at {width}"
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert violations(page) == [], f"{state}, {size['width']} wide"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_of_the_page_is_accessible(server: Server, visit: Visit, clip: Path, scheme: str) -> None:
    page = visit(server.url, live=True, color_scheme=scheme, reduced_motion="reduce", viewport=WIDE)
    expect(page.locator("#drop")).to_be_visible()
    check(page, "empty")

    upload(page, clip)
    ready(page)
    expect(page.locator("span[data-part=cutting]")).to_have_text(re.compile(r"all \d+ frames cut"))
    check(page, "cut")

    choose_model(page, "Pointing")
    expect(page.locator("#about-model")).to_contain_text("Click on the subject")
    check(page, "nothing marked yet")
    page.mouse.click(*on_screen(page, 100, 90))
    expect(page.locator("[data-part=readings] button")).to_have_count(3)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    check(page, "a click with candidates")
    for view in ("mask", "cutout", "original", "split"):
        page.locator(f"[data-view={view}]").click()
        check(page, f"view {view}")
    page.locator("[data-view=mask]").click()
    page.locator("[data-tool=brush]").click()
    page.mouse.click(*on_screen(page, 60, 60))
    expect(page.locator(".dot.stroke[aria-label]")).to_have_count(1)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    check(page, "painting")
    page.locator("[data-tool=keep]").click()
    for kind in ("Transparent", "Picture", "Video", "Blur"):
        choose(page, kind)
        check(page, f"background {kind}")
    choose(page, "Colour")

    page.keyboard.press("Escape")
    page.evaluate("() => document.activeElement.blur()")  # in a field, it would be typed
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_be_visible()
    check(page, "the keys")
    page.keyboard.press("Escape")

    page.locator("#make").click()
    done(page)
    check(page, "done")

    choose_model(page, "Failing")
    page.locator("#make").click()
    expect(page.locator("#progress [role=alert]")).to_be_visible()
    check(page, "failed")

    choose_model(page, "Slow")
    page.locator("#make").click()
    expect(page.locator("#progress progress")).to_be_visible()
    assert violations(page) == [], "running"
    page.locator("#cancel").click()
    expect(page.locator("#make")).to_be_visible()
    check(page, "cancelled")

    page.get_by_role("tab", name=re.compile("Sessions")).click()
    expect(page.locator(".card").first).to_be_visible()
    check(page, "sessions")
