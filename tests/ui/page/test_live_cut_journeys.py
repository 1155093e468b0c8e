"""The background cut end to end: the real server with stand-in models, and a real browser."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.propagation.spool import CHUNK_SECONDS
from tests.ui.conftest import Server, running_with_stand_ins
from tests.ui.page.test_live_cut import SILENCE_MS, label, spans, words
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, on_screen, picture, ready, session, started, upload
from tests.waiting import until

FRAMES = 24
"""Frames of `clip`."""
LONG = 180
"""Frames of `long_clip`."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with stand-ins among its models, which put by each frame for good, and no network."""
    with running_with_stand_ins(HF_ENDPOINT="http://127.0.0.1:9") as server:
        yield server


def move_to(page: Page, index: int) -> None:
    page.locator("[data-part=slider]").fill(str(index))
    expect(page.locator("[data-part=count]")).to_contain_text(f"Frame {index + 1} of")


def ask(server: Server, page: Page) -> dict[str, Any]:
    """Return the state of the background cut, without asking for more of it."""
    with urllib.request.urlopen(f"{server.url}/media/{session(page)}/cut?at=0&on=0") as answer:
        report: dict[str, Any] = json.load(answer)
    return report


def all_cut(server: Server, page: Page, frames: int = FRAMES) -> None:
    """Wait until all is cut as the session now is, and the page says so."""
    until(lambda: ask(server, page)["state"] == "done")
    expect(page.locator("[data-part=band]")).to_have_attribute("data-rev", ask(server, page)["rev"])
    expect(words(page)).to_have_text(f"all {frames} frames cut")


def set_mark(server: Server, page: Page, x: float, y: float) -> str:
    """Click on a pixel of the frame; returns the revision that the mark leads to."""
    before = ask(server, page)["rev"]
    page.mouse.click(*on_screen(page, x, y))
    until(lambda: ask(server, page)["rev"] != before)
    return str(ask(server, page)["rev"])


def is_pulsing(page: Page) -> bool:
    """Return True while the answer to the newest mark is on its way."""
    dots = "[...document.querySelectorAll('.mark .dot')]"
    return bool(page.evaluate(f"() => {dots}.some((dot) => dot.getAnimations().length)"))


def least_alpha(page: Page) -> int:
    """Return the least opacity of the picture on the stage, 0 to 255."""
    return int(
        page.locator(".layer").evaluate(
            """image => {
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const context = canvas.getContext("2d");
              context.drawImage(image, 0, 0);
              const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
              return data.filter((_, i) => i % 4 === 3).reduce((a, b) => Math.min(a, b));
            }"""
        )
    )


@pytest.fixture
def visit(visit: Visit) -> Visit:
    """Open pages with the live cut, as every visitor has it."""
    return partial(visit, live=True)


def test_a_newcomer_sees_every_frame_cut_without_pressing_anything(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    all_cut(server, page)
    expect(page.locator(".previews figure")).to_have_count(6)
    for image in page.locator(".previews img").all():
        assert image.evaluate("i => i.naturalWidth") == 320
    page.locator("[data-view=cutout]").click()
    for index in range(FRAMES):
        move_to(page, index)
        expect(picture(page)).to_have_attribute("aria-busy", "false")
        expect(label(page)).to_be_hidden()
        expect(page.locator(".layer.uncut")).to_have_count(0)
        assert least_alpha(page) == 0, f"frame {index} is not cut out"


def test_an_idle_page_asks_nothing_of_the_cut(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    all_cut(server, page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(SILENCE_MS)
    # Pictures that the page has already are drawn from its memory.
    assert [url for url in asked if not url.endswith("/version") and not url.startswith("blob:")] == []


def test_a_mark_in_the_middle_makes_only_later_frames_stale(
    server: Server, visit: Visit, long_clip: Path
) -> None:
    page = started(server, visit, long_clip)
    choose_model(page, "Dwelling")
    set_mark(server, page, 100, 68)
    all_cut(server, page, LONG)
    answers: list[dict[str, Any]] = []
    page.on("response", lambda r: answers.append(r.json()) if "/cut?" in r.url else None)
    move_to(page, 90)
    revision = set_mark(server, page, 140, 68)
    until(lambda: spans(page, "stale", LONG) and spans(page, "stale", LONG)[0][0] >= 89.5)
    all_cut(server, page, LONG)
    assert spans(page, "stale", LONG) == []
    # Nothing is known to be ready until the cut continues, from the last state that was stored.
    later = [answer["ready"] for answer in answers if answer["rev"] == revision and answer["ready"]]
    assert later and all(ready[0][0] == 0 for ready in later), later


def test_a_frame_says_that_it_is_not_cut_until_it_is(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    choose_model(page, "Slow")
    move_to(page, 179)
    expect(label(page)).to_have_text("Not cut yet")
    expect(page.locator(".layer.uncut")).to_have_count(1)
    expect(words(page)).to_have_text(re.compile(r"\d+ of 180 cut · [\d.]+/s · \d+ (s|min) left"))
    expect(label(page)).to_be_hidden()
    expect(page.locator(".layer.uncut")).to_have_count(0)


def test_a_run_begins_with_what_is_cut(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    all_cut(server, page)
    page.locator("#make").click()
    expect(page.locator("#progress")).to_contain_text("Done in")
    all_cut(server, page)


def test_after_twenty_marks_the_picture_is_of_the_newest(server: Server, chrome: Browser, clip: Path) -> None:
    # Not by `visit`: a picture of marks that have changed meanwhile may be refused.
    page = chrome.new_context(locale="en-GB").new_page()
    page.goto(server.url)
    upload(page, clip)
    ready(page)
    choose_model(page, "Dwelling")
    for n in range(20):
        page.mouse.click(*on_screen(page, 20 + 14 * n, 40 + 90 * (n % 2)))
    expect(page.locator(".mark")).to_have_count(20)
    until(lambda: not is_pulsing(page))
    all_cut(server, page)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(page.locator(".layer")).to_have_attribute("data-rev", ask(server, page)["rev"])
    expect(page.locator("[data-part=message]")).not_to_have_class(re.compile("error"))
    page.context.close()


def test_a_click_is_answered_while_the_cut_goes_on(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    choose_model(page, "Dwelling")
    until(lambda: 0 < ask(server, page)["done"] < LONG)
    revision = set_mark(server, page, 140, 68)
    expect(page.locator(".layer")).to_have_attribute("data-rev", revision)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    assert ask(server, page)["done"] < LONG, "it did not wait for the cut"


def test_a_page_that_is_opened_again_goes_on_with_the_cut(
    server: Server, visit: Visit, long_clip: Path
) -> None:
    page = started(server, visit, long_clip)
    choose_model(page, "Dwelling")
    address = page.url
    # A segment is stored after some seconds; what was open when the cut was left off may be lost.
    until(lambda: ask(server, page)["done"] > 0)
    page.wait_for_timeout(1000 * CHUNK_SECONDS)
    before = ask(server, page)["done"]
    page.context.close()
    page = visit(address)
    ready(page)
    assert ask(server, page)["done"] >= before > 0
    all_cut(server, page, LONG)


def test_with_the_switch_off_nothing_is_cut(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url, live=False)
    upload(page, clip)
    ready(page)
    expect(words(page)).to_have_text(f"0 of {FRAMES} cut · paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/cut?" in request.url else None)
    move_to(page, 20)
    expect(label(page)).to_have_text("Not cut yet")
    page.wait_for_timeout(SILENCE_MS)
    assert asked == []
    assert ask(server, page)["done"] == 0
    page.get_by_role("switch", name="Cut while I work").check()
    all_cut(server, page)
    expect(label(page)).to_be_hidden()
