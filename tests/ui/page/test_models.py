"""Choosing a model on the page: objects, candidates, weights and licences, with stand-in models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Server, running_with_stand_ins
from tests.ui.page.test_page import Visit, choose, make, on_screen, picture, ready, started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with stand-ins among its models."""
    with running_with_stand_ins() as server:
        yield server


def choose_model(page: Page, label: str) -> None:
    page.locator("#model input").click()
    page.get_by_role("option", name=re.compile(f"^{re.escape(label)}")).click()


def test_a_single_click_offers_three_candidates(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Pointing")
    expect(page.locator("#about-model")).to_contain_text("Click on the subject")
    page.mouse.click(*on_screen(page, 100, 90))
    readings = page.locator("[data-part=readings] button")
    expect(readings).to_have_count(3)
    expect(readings.nth(1)).to_contain_text("95")
    expect(readings.nth(1)).to_have_attribute("aria-pressed", "true")  # the best
    # They are asked for again once the choice is kept and its mask is there: nothing is under way then.
    with page.expect_response(re.compile("/candidates")):
        readings.nth(2).click()
    expect(readings.nth(2)).to_have_attribute("aria-pressed", "true")
    page.reload()
    ready(page)
    expect(readings.nth(2)).to_have_attribute("aria-pressed", "true")  # part of what is kept
    page.mouse.click(*on_screen(page, 200, 90))
    expect(page.locator("[data-part=candidates]")).to_be_hidden()  # two clicks are not ambiguous


def test_objects_are_added_named_and_switched_off(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Pointing")
    page.mouse.click(*on_screen(page, 80, 90))
    page.locator("[data-do=add]").click()
    page.mouse.click(*on_screen(page, 220, 90))
    chips = page.locator("[data-part=chips] .chip")
    expect(chips).to_have_count(2)
    chips.nth(1).locator("[data-do=pick]").dblclick()
    chips.nth(1).locator("input").fill("Ball")
    chips.nth(1).locator("input").press("Enter")
    expect(chips.nth(1)).to_contain_text("Ball")
    chips.nth(0).locator("[data-do=toggle]").click()
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    make(page)
    page.reload()
    ready(page)
    expect(chips.nth(1)).to_contain_text("Ball")
    expect(chips.nth(0).locator("[data-do=toggle]")).to_have_attribute("aria-pressed", "false")


def test_frames_to_check_are_marked_on_the_timeline(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Doubting")
    make(page)
    checks = page.locator("[data-part=checks] button")
    expect(checks).to_have_count(2)
    checks.first.click()
    expect(page.locator("[data-part=slider]")).to_have_value("5")


def test_the_restriction_of_a_licence_is_translated(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url, locale="es-ES")
    page.locator("#drop input[type=file]").set_input_files(clip)
    ready(page)
    choose_model(page, "RMBG-1.4")
    expect(page.locator("#about-model")).to_contain_text("solo para uso no comercial")
    choose(page, "Color")


def test_a_model_that_knows_classes_has_a_view_of_them_all_with_a_legend(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    view = page.locator("#stage [data-view=classes]")
    choose_model(page, "GrabCut")
    expect(page.locator("#about-model")).to_contain_text("Needs no weights")
    expect(view).to_be_hidden()
    choose_model(page, "Mapping")
    expect(view).to_be_visible()
    with page.expect_response(re.compile("view=classes")) as answered:
        view.click()
    assert answered.value.ok
    ready(page)
    expect(view).to_have_attribute("aria-pressed", "true")
    legend = page.locator("#class-legend")
    legend.get_by_text("Colours in the map").click()
    expect(legend.get_by_role("listitem")).to_have_text(["Dog", "Person"])
    choose_model(page, "GrabCut")
    expect(view).to_be_hidden()
    expect(legend).to_be_hidden()
    expect(page.locator("#stage [data-view=mask]")).to_have_attribute("aria-pressed", "true")
