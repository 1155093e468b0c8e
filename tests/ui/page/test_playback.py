# ruff: noqa: F811
"""Playing on the stage and in the result's player, in a real browser; the session is that of `test_stage`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response
from playwright.sync_api import Browser, Locator, Page, expect

from tests import rendered
from tests.hearing import write_melody
from tests.ui.conftest import serve
from tests.ui.page.test_stage import (  # noqa: F401
    FRAMES,
    HEIGHT,
    RATE,
    WIDTH,
    Fake,
    application,
    click,
    drag,
    fake,
    move_to,
    on_screen,
    opened,
    picture,
    settled,
)
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Opened = Callable[..., Page]

SOUNDS = """
    window.sounds = [];
    const Sound = window.Audio;
    window.Audio = function () { const sound = new Sound(); window.sounds.push(sound); return sound; };
"""
"""Script that lets a test look at the page's sounds, which are nowhere in its document."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four seconds of sound, and a result of as many frames as the session's clip."""
    folder = tmp_path_factory.mktemp("media")
    write_melody(folder / "sound.wav", FRAMES / RATE)
    grey = np.full((HEIGHT // 4, WIDTH // 4, 3), 90, np.uint8)
    rendered.write_clip(folder / "film.webm", [grey] * FRAMES, rate=Fraction(int(RATE)), codec="libvpx")
    return folder


@pytest.fixture(scope="module")
def address(fake: Fake, media: Path) -> Iterator[str]:
    extra = APIRouter()

    @extra.get("/media/{name}/sound")
    def sound(name: str) -> Response:
        fake.asked.append(f"/media/{name}/sound")
        if name == "silent":
            return JSONResponse({"error": "This video has no sound."}, 404)
        return FileResponse(media / "sound.wav", media_type="audio/wav")

    @extra.get("/media/{name}/results/film.webm")
    def film(name: str) -> Response:
        return FileResponse(media / "film.webm", media_type="video/webm")

    app = application(fake)
    app.router.routes[:0] = extra.routes  # before the page, which takes every address
    with serve(app) as address:
        yield address


@pytest.fixture(scope="module")
def tab(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1024, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.add_init_script(SOUNDS)
    yield page
    context.close()


@pytest.fixture
def stage(opened: Opened) -> Opened:
    """Show a session on the stage, as `opened` does, with sound on and without repeating."""

    def load(**changes: Any) -> Page:
        page = opened(**changes)
        for name in ("Repeat", "Mute"):
            pressed = page.get_by_role("button", name=name, pressed=True)
            if pressed.count():
                pressed.click()
        page.mouse.click(2, 2)
        return page

    return load


def count(page: Page) -> Locator:
    return page.locator("[data-part=count]")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def playing(page: Page) -> Locator:
    return button(page, "Pause")


def stopped(page: Page) -> Locator:
    return button(page, "Play")


def speed(page: Page) -> Locator:
    return page.locator("[data-part=speed]")


def shown_frame(page: Page) -> int:
    return int(page.locator("[data-part=slider]").input_value())


def sound_of(page: Page, name: str) -> Any:
    return page.evaluate(f"window.sounds.at(-1).{name}")


def keep(page: Page, first: int, last: int) -> None:
    """Set both ends of the part to keep, by keys."""
    move_to(page, first)
    page.keyboard.press("i")
    move_to(page, last)
    page.keyboard.press("Shift+O")


def test_keys_set_the_ends_of_the_part_and_go_to_them(stage: Opened, fake: Fake) -> None:
    page = stage()
    keep(page, 10, 29)
    until(lambda: fake.edits and (fake.edits[-1]["start"], fake.edits[-1]["end"]) == (1.0, 3.0))
    for key, frame in (("Home", 11), ("Home", 1), ("Home", 11), ("End", 30), ("End", 40), ("End", 30)):
        page.keyboard.press(key)
        expect(count(page)).to_have_text(f"Frame {frame} of 40")
    page.keyboard.press("o")
    expect(button(page, "Original")).to_have_attribute("aria-pressed", "true")


def test_playing_goes_on_to_the_end_where_no_picture_comes_in_time(stage: Opened, fake: Fake) -> None:
    page = stage()
    keep(page, 25, 31)
    settled(page, fake, 2)
    move_to(page, 25)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    fake.thought.clear()
    page.keyboard.press("Space")
    expect(count(page)).to_have_text("Frame 32 of 40")
    expect(stopped(page)).to_be_visible()
    fake.thought.set()
    expect(picture(page)).to_have_attribute("aria-busy", "false")


def test_narrower_pictures_are_asked_for_while_it_plays(stage: Opened, fake: Fake) -> None:
    page = stage()
    fake.asked.clear()
    button(page, "Repeat").click()
    page.keyboard.press("l")
    until(lambda: sum("&w=" in url for url in fake.asked) > 5)
    width = int(re.findall(r"&w=(\d+)", " ".join(fake.asked))[0])
    assert width == 960 and all("view=mask&rev=r0" in url for url in fake.asked if "&w=" in url)
    page.keyboard.press("c")
    until(lambda: any("view=cutout&rev=r0&w=960" in url for url in fake.asked))
    page.keyboard.press("k")
    expect(stopped(page)).to_be_visible()
    until(lambda: f"/media/one/frames/{shown_frame(page)}?view=cutout&rev=r0" in fake.asked)


def test_both_sides_of_the_split_play(stage: Opened, fake: Fake) -> None:
    page = stage()
    page.keyboard.press("s")
    expect(page.locator("[data-part=pan] .before")).to_be_attached()
    button(page, "Repeat").click()
    page.keyboard.press("l")
    until(lambda: {"over", "original"} <= set(re.findall(r"view=(\w+)&rev=\w+&w=", " ".join(fake.asked))))
    expect(page.locator("[data-part=pan] .layer")).to_have_count(2)


def test_keys_play_both_ways_and_faster(stage: Opened) -> None:
    page = stage(sound=True)
    button(page, "Repeat").click()
    move_to(page, 20)
    page.locator("body").click(position={"x": 2, "y": 2})
    for key, told in (("l", "1×"), ("l", "2×"), ("l", "2×"), ("j", "−1×"), ("j", "−2×"), ("l", "1×")):
        page.keyboard.press(key)
        expect(speed(page)).to_have_text(told)
        expect(playing(page)).to_be_visible()
    page.keyboard.press("k")
    expect(stopped(page)).to_be_visible()
    expect(speed(page)).to_have_text("")
    page.keyboard.press("b")
    page.keyboard.press("k")
    expect(button(page, "Keep")).to_have_attribute("aria-pressed", "true")


def test_it_plays_backwards_to_the_start(stage: Opened) -> None:
    page = stage(start=1.0, end=2.0)
    move_to(page, 12)
    page.keyboard.press("j")
    expect(count(page)).to_have_text("Frame 11 of 40")
    expect(stopped(page)).to_be_visible()
    page.evaluate("""() => {
        window.seen = [];
        const count = document.querySelector("[data-part=count]");
        const note = () => window.seen.push(Number(count.textContent.match(/\\d+/)[0]));
        new MutationObserver(note).observe(count, { childList: true, characterData: true, subtree: true });
    }""")
    page.keyboard.press("j")  # from the other end
    page.wait_for_function("window.seen.at(-1) === 11 && Math.max(...window.seen) > 11")
    seen = page.evaluate("window.seen")
    seen = seen[seen.index(max(seen)) :]
    assert seen == sorted(seen, reverse=True) and set(seen) <= set(range(11, 21))
    expect(stopped(page)).to_be_visible()


def test_it_plays_again_from_the_start_where_that_is_chosen(stage: Opened) -> None:
    page = stage(start=2.0, end=2.6)
    button(page, "Repeat").click()
    page.evaluate("""() => {
        window.turns = 0;
        let before = 0;
        const slider = document.querySelector("[data-part=slider]");
        const watch = () => {
            const now = Number(slider.value);
            if (now < before) window.turns += 1;
            if (now < 20 || now > 25) window.turns = -99;
            before = now;
            if (window.turns < 3) requestAnimationFrame(watch);
        };
        slider.value = 20;
        watch();
    }""")
    move_to(page, 20)
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    page.wait_for_function("window.turns === 3")
    assert page.evaluate("JSON.parse(localStorage.getItem('recorte.playing')).loop") is True
    button(page, "Repeat").click()
    expect(stopped(page)).to_be_visible()
    expect(count(page)).to_have_text("Frame 26 of 40")


def test_the_sound_plays_along_and_stops_with_it(stage: Opened, fake: Fake) -> None:
    page = stage(sound=True, start=2.0, media="/media/another")  # whose sound no other test has fetched
    assert "/media/another/sound" not in fake.asked, "what nobody plays is not fetched"
    button(page, "Repeat").click()
    page.keyboard.press("l")
    page.wait_for_function("!window.sounds.at(-1).paused && window.sounds.at(-1).currentTime > 2")
    assert "/media/another/sound" in fake.asked
    page.keyboard.press("l")
    page.wait_for_function("window.sounds.at(-1).playbackRate === 2")
    page.keyboard.press("j")
    page.wait_for_function("window.sounds.at(-1).paused")
    page.keyboard.press("l")
    page.wait_for_function("!window.sounds.at(-1).paused && window.sounds.at(-1).playbackRate === 1")
    page.keyboard.press("k")
    page.wait_for_function("window.sounds.at(-1).paused")


def test_the_pictures_follow_the_sound(stage: Opened) -> None:
    page = stage(sound=True)
    page.keyboard.press("Space")
    page.wait_for_function("window.sounds.at(-1).currentTime > 0.2")
    # A sound that leaps and then hardly moves: no clock of the page's own would do that.
    page.evaluate("""() => {
        const sound = window.sounds.at(-1);
        sound.playbackRate = 0.0625;
        sound.currentTime = 3;
    }""")
    page.wait_for_function("Number(document.querySelector('[data-part=slider]').value) >= 30")
    page.evaluate("window.sounds.at(-1).playbackRate = 1")
    expect(stopped(page)).to_be_visible()
    expect(count(page)).to_have_text("Frame 40 of 40")


def test_the_volume_is_chosen_and_remembered(stage: Opened) -> None:
    page = stage()
    expect(page.get_by_role("button", name="Mute")).to_be_hidden()
    page = stage(sound=True, rev="again")
    page.get_by_role("slider", name="Volume").fill("40")
    page.get_by_role("button", name="Mute").click()
    page.keyboard.press("l")
    page.wait_for_function("window.sounds.at(-1).volume === 0.4 && window.sounds.at(-1).muted")
    kept = page.evaluate("JSON.parse(localStorage.getItem('recorte.playing'))")
    assert (kept["volume"], kept["muted"]) == (0.4, True)
    page.get_by_role("button", name="Mute").click()
    page.wait_for_function("!window.sounds.at(-1).muted")
    page.get_by_role("slider", name="Volume").fill("100")


def test_a_refused_sound_is_told_and_the_pictures_play(stage: Opened, fake: Fake) -> None:
    page = stage(sound=True, media="/media/silent")
    button(page, "Repeat").click()
    page.keyboard.press("l")
    expect(page.locator("[data-part=message]")).to_have_text("This video has no sound.")
    page.wait_for_function("Number(document.querySelector('[data-part=slider]').value) > 2")
    expect(playing(page)).to_be_visible()
    page.keyboard.press("k")
    expect(stopped(page)).to_be_visible()


def test_a_click_marks_the_frame_that_is_seen(stage: Opened, fake: Fake) -> None:
    page = stage()
    button(page, "Repeat").click()
    page.keyboard.press("l")
    until(lambda: sum("&w=" in url for url in fake.asked) > 3)
    page.wait_for_function("Number(document.querySelector('[data-part=slider]').value) > 2")
    click(page, 320, 90)
    expect(stopped(page)).to_be_visible()
    settled(page, fake, 1)
    assert fake.prompts[0]["time"] == pytest.approx(shown_frame(page) / RATE)
    expect(page.locator(".mark")).to_have_count(1)


# ---------------------------------------------------------------- the result


@pytest.fixture
def result_page(stage: Opened, fake: Fake) -> Page:
    """A page on frame 21 of 40, with a result of the frames from the 11th on that is not shown."""
    page = stage(start=1.0)
    url = "/media/one/results/film.webm"
    result = {"url": url, "type": "video/webm", "plays": True, "transparent": False, "outdated": False}
    fake.value = Fake.session("one", rev="r9", result=result, start=1.0)
    page.locator("#push").click()
    expect(page.locator("video")).to_be_visible()
    page.wait_for_function("document.querySelector('video').readyState > 0")
    move_to(page, 20)
    expect(page.locator("video")).to_be_hidden()
    page.mouse.click(2, 2)
    return page


def test_stage_and_result_stand_at_the_same_time(result_page: Page) -> None:
    page = result_page
    page.keyboard.press("r")
    page.wait_for_function("Math.abs(document.querySelector('video').currentTime - 1) < 0.02")
    expect(count(page)).to_have_text("Frame 21 of 40")
    page.evaluate("document.querySelector('video').currentTime = 2.05")
    expect(count(page)).to_have_text("Frame 31 of 40")
    page.keyboard.press("ArrowRight")
    expect(count(page)).to_have_text("Frame 32 of 40")
    page.wait_for_function("Math.abs(document.querySelector('video').currentTime - 2.1) < 0.02")
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('video').currentTime === 0")
    expect(count(page)).to_have_text("Frame 11 of 40")
    expect(page.locator("video")).to_be_visible()
    page.evaluate("document.querySelector('video').currentTime = 2.55")
    expect(count(page)).to_have_text("Frame 36 of 40")
    page.keyboard.press("m")
    expect(page.locator("video")).to_be_hidden()
    expect(count(page)).to_have_text("Frame 36 of 40")


def test_the_timeline_follows_the_result_while_it_plays(result_page: Page) -> None:
    page = result_page
    button(page, "Repeat").click()
    page.keyboard.press("r")
    page.keyboard.press("l")
    expect(playing(page)).to_be_visible()
    page.wait_for_function("Number(document.querySelector('[data-part=slider]').value) > 22")
    page.keyboard.press("l")
    expect(speed(page)).to_have_text("2×")
    page.keyboard.press("Home")
    page.keyboard.press("l")
    page.keyboard.press("k")
    expect(stopped(page)).to_be_visible()
    page.wait_for_function("document.querySelector('video').paused")


def test_the_frames_that_a_result_was_made_from_are_shown_beside_it(result_page: Page, fake: Fake) -> None:
    page = result_page
    compare = button(page, "Before / after")
    expect(compare).to_be_hidden()
    page.keyboard.press("r")
    expect(compare).to_have_attribute("aria-pressed", "false")
    compare.click()
    before = page.locator("[data-part=before] img")
    expect(before).to_have_attribute("src", re.compile(r"/frames/20\?view=original&rev=0$"))
    covered = "e => getComputedStyle(e).clipPath"
    assert before.evaluate(covered) == "inset(0px 50% 0px 0px)"
    drag(page, WIDTH / 2, 40, WIDTH / 4, 40)
    assert before.evaluate(covered) == "inset(0px 75% 0px 0px)"
    assert page.locator("video").evaluate("video => video.controls") is False
    move_to(page, 25)
    expect(before).to_have_attribute("src", re.compile(r"/frames/25\?view=original"))
    expect(page.locator("video")).to_be_visible()
    button(page, "Repeat").click()
    page.mouse.click(*on_screen(page, 500, 200))
    expect(playing(page)).to_be_visible()
    until(lambda: any("view=original&rev=0&w=" in url for url in fake.asked))
    page.keyboard.press("k")
    expect(stopped(page)).to_be_visible()
    compare.click()
    expect(page.locator("[data-part=before]")).to_be_hidden()
    assert page.locator("video").evaluate("video => video.controls") is True
    assert not fake.edits, "the line is no mark"
