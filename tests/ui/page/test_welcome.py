"""The empty page, and what can be dropped or pasted onto any page: journeys of newcomers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_action import is_in_view
from tests.ui.page.test_page import ready, session, started
from tests.waiting import until
from ui.sessions.library import examples

Visit = Callable[..., Page]

DESK = {"width": 1440, "height": 900}


@pytest.mark.timeout(1800)
def test_a_newcomer_has_a_result_after_two_clicks_without_scrolling(server: Server, visit: Visit) -> None:
    page = visit(server.url, viewport=DESK)
    expect(page.get_by_role("heading", level=2).first).to_contain_text("put any background behind them")
    example = page.get_by_role("button", name="A cup")
    until(lambda: is_in_view(example))
    assert is_in_view(page.locator("#sample")) and is_in_view(page.locator("#show video"))
    assert is_in_view(page.locator("#examples dl"))
    example.click()  # one
    ready(page)
    expect(page.locator("#name input, #name textarea")).to_have_value("cup.mp4")
    expect(example).to_be_hidden()
    until(lambda: is_in_view(page.locator("#make")))
    page.locator("#make").click()  # two
    # However slow the machine is: the clip is as large as a newcomer's.
    expect(page.locator("#progress")).to_contain_text("Done in", timeout=1_700_000)
    until(lambda: is_in_view(page.locator("#downloads a")))
    assert page.evaluate("scrollY") == 0
    page.locator("#another").click()
    expect(example).to_be_visible()


def test_every_example_has_its_picture_and_says_what_it_is(server: Server, visit: Visit) -> None:
    page = visit(server.url, viewport=DESK)
    pictures = page.locator(".example img")
    expect(pictures).to_have_count(len(examples.NAMES))
    for picture in pictures.all():
        until(lambda picture=picture: picture.evaluate("i => i.complete && i.naturalWidth") == 320)
    for name in examples.NAMES:
        labels = page.locator(f'.example[data-name="{name}"] span').all_inner_texts()
        assert len(labels) == 2 and name not in labels and not any("_" in label for label in labels)
    facts = page.locator("#examples dl").inner_text()
    assert "MP4, MOV" in facts and "At most 8.4 MB" in facts and "stays on this machine" in facts
    assert server.status("/media/examples/..%2Fsample.mp4") in (404, 422)
    assert server.status("/media/examples/cup.mp4") == 422  # a session takes it, no visitor


def test_before_and_after_moves_unless_no_motion_is_wanted(server: Server, visit: Visit) -> None:
    page = visit(server.url, viewport=DESK)
    video = page.locator("#show video")
    until(lambda: video.evaluate("v => v.currentTime > 0"))
    page.get_by_role("button", name="Pause", exact=True).click()
    assert video.evaluate("v => v.paused")
    calm = visit(server.url, viewport=DESK, reduced_motion="reduce")
    video = calm.locator("#show video")
    until(lambda: video.evaluate("v => v.readyState >= 2"))
    assert video.evaluate("v => v.paused && v.currentTime === 0")
    calm.get_by_role("button", name="Play", exact=True).click()
    until(lambda: video.evaluate("v => v.currentTime > 0"))


def test_the_examples_are_there_again_after_another_video(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    expect(page.locator(".example")).to_have_count(0)
    page.locator("#another").click()
    expect(page.locator(".example")).to_have_count(len(examples.NAMES))
    expect(page.locator("#show figcaption")).to_contain_text("Before")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_link_to_a_session_is_opened_wherever_it_arrives(
    server: Server, visit: Visit, clip: Path, way: str
) -> None:
    page = started(server, visit, clip)
    id = session(page)
    other = visit(server.url)
    expect(other.locator(".example")).to_have_count(len(examples.NAMES))
    send = """([way, link]) => {
        const transfer = new DataTransfer();
        transfer.setData("text/plain", link);
        transfer.setData("text/uri-list", link);
        const more = way === "drop" ? { dataTransfer: transfer } : { clipboardData: transfer };
        const Kind = way === "drop" ? DragEvent : ClipboardEvent;
        const event = new Kind(way, { bubbles: true, cancelable: true, ...more });
        document.querySelector("#drop").dispatchEvent(event);
    }"""
    other.evaluate(send, [way, "https://elsewhere.example/page"])
    other.evaluate(send, [way, f"https://elsewhere.example/?session={id}"])  # by this server all the same
    ready(other)
    assert session(other) == id and other.url.startswith(server.url)


def test_the_first_page_is_in_spanish_and_fits_a_phone(server: Server, visit: Visit) -> None:
    page = visit(server.url, locale="es-ES", viewport={"width": 390, "height": 844}, has_touch=True)
    expect(page.get_by_role("heading", level=2).first).to_contain_text("Recorta personas")
    expect(page.get_by_role("button", name="Un gato")).to_be_visible()
    expect(page.locator("#examples dl")).to_contain_text("se queda en esta máquina", ignore_case=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Dos pelotas").tap()
    ready(page)
    expect(page.locator("#make")).to_have_text("Hacer el vídeo")
    assert is_in_view(page.locator("#make"))
