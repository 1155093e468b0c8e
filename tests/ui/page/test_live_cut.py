"""The background cut as the stage shows it, in a real browser, with a stand-in for the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.ui.page.test_stage import FRAMES, Fake, click, move_to, picture, settled
from tests.ui.page.test_stage import address as address
from tests.ui.page.test_stage import fake as fake
from tests.ui.page.test_stage import opened as opened
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SILENCE_MS = 3500
"""Longer than the longest time between two questions."""

Opened = Callable[..., Page]


@pytest.fixture
def tab(chrome: Browser) -> Iterator[Page]:
    """A page of its own for each test: what it stores and how it is seen does not outlive it."""
    context = chrome.new_context(viewport={"width": 1024, "height": 900}, locale="en-GB")
    yield context.new_page()
    context.close()


def report(*ready: tuple[int, int], state: str = "cutting", **changes: Any) -> dict[str, Any]:
    done = sum(past - first for first, past in ready)
    basis = {"checks": [], "done": done, "total": FRAMES, "rate": 0.0, "left": None, "message": ""}
    basis |= {"estimate": ""}
    return basis | {"state": state, "ready": list(ready)} | changes


def band(page: Page) -> Locator:
    return page.get_by_role("progressbar", name="Cut in the background")


def words(page: Page) -> Locator:
    return page.locator("span[data-part=cutting]")


def label(page: Page) -> Locator:
    return page.locator("[data-part=uncut]")


def spans(page: Page, kind: str, frames: int = FRAMES) -> list[tuple[float, float]]:
    """Return the first and the last frame of each bar of a kind, as far as their places say."""
    bars = page.locator(f"[data-part=band] .{kind}").evaluate_all(
        "bars => bars.map((b) => [parseFloat(b.style.left), parseFloat(b.style.width)])"
    )
    last = frames - 1
    return [(round(left / 100 * last, 2), round((left + width) / 100 * last, 2)) for left, width in bars]


def brightness(page: Page) -> float:
    """Return how bright the stage's picture is shown, beside itself."""
    filters = page.evaluate("() => getComputedStyle(document.querySelector('.layer:not(.before)')).filter")
    return 0.5 if "brightness(0.5)" in filters else 1.0


def is_quiet(page: Page, fake: Fake) -> bool:
    asked = len(fake.looks)
    page.wait_for_timeout(SILENCE_MS)
    return len(fake.looks) == asked


def test_the_band_says_which_frames_are_cut_and_how_fast(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 4), (8, 18), rate=12.4, left=9.2)
    page = opened()
    expect(words(page)).to_have_text("14 of 40 cut · 12/s · 10 s left")
    assert spans(page, "ready") == [(0, 3.5), (7.5, 17.5)]
    expect(band(page)).to_have_attribute("aria-valuemin", "0")
    expect(band(page)).to_have_attribute("aria-valuemax", str(FRAMES))
    expect(band(page)).to_have_attribute("aria-valuenow", "14")
    expect(band(page)).to_have_attribute("aria-valuetext", "14 of 40 cut · 12/s · 10 s left")
    fake.report = report((0, 4), (8, 24), rate=4.25, left=240)
    expect(words(page)).to_have_text("20 of 40 cut · 4.3/s · 4 min left")
    until(lambda: spans(page, "growing") == [(23.5, 24.5)])
    assert "on=1" in fake.looks[0] and "at=0" in fake.looks[0]


def test_the_estimate_follows_the_cut(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 4), estimate="A minute or so.")
    page = opened()
    page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<div id=estimate><p></p></div>')")
    expect(page.locator("#estimate")).to_have_text("A minute or so.")
    fake.report = report((0, 24), estimate="A few seconds.")
    expect(page.locator("#estimate")).to_have_text("A few seconds.")


def test_the_frames_around_the_shown_one_are_asked_for(opened: Opened, fake: Fake) -> None:
    fake.report = report()
    page = opened()
    move_to(page, 23)
    until(lambda: "at=23" in fake.looks[-1])


def test_an_idle_page_asks_nothing_once_all_is_cut(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, FRAMES), state="done")
    page = opened()
    expect(words(page)).to_have_text("all 40 frames cut")
    assert is_quiet(page, fake)
    move_to(page, 5)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    assert is_quiet(page, fake)
    assert len(fake.looks) == 1


@pytest.mark.parametrize("state", ["idle", "failed"])
def test_nothing_is_asked_where_nothing_is_cut(opened: Opened, fake: Fake, state: str) -> None:
    fake.report = report(state=state, message="For some reason.")
    page = opened()
    expect(words(page)).to_have_text("For some reason.")
    assert is_quiet(page, fake)


def test_one_that_waits_says_so_and_asks_now_and_then(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 2), state="waiting")
    page = opened()
    expect(words(page)).to_have_text("2 of 40 cut · waits for a run to end")
    until(lambda: len(fake.looks) > 2)
    fake.report = report((0, 2), rate=2.0, left=19)
    expect(words(page)).to_have_text("2 of 40 cut · 2/s · 19 s left")


def test_on_a_slow_model_the_previews_are_all(opened: Opened, fake: Fake) -> None:
    fake.report = report((3, 4), (9, 10), state="slow", done=0)
    page = opened()
    expect(words(page)).to_have_text("this model is slow here: only the preview frames are cut")
    fake.report = report(*((n, n + 1) for n in range(3, 39, 6)), state="slow", done=0, left=0.0)
    until(lambda: len(spans(page, "ready")) == 6)
    assert is_quiet(page, fake)
    fake.report["again"] = 0.0
    page.reload()
    page.locator("#push").click()
    until(lambda: len(spans(page, "ready")) == 6)
    fake.report = report((0, FRAMES), state="done")  # measured again, it was not slow
    expect(words(page)).to_have_text("all 40 frames cut")


def test_a_frame_that_is_not_cut_says_so_until_it_is(opened: Opened, fake: Fake) -> None:
    fake.uncut = set(range(10, FRAMES))
    fake.report = report((0, 10))
    page = opened(automatic=True)
    expect(label(page)).to_be_hidden()
    move_to(page, 30)
    for view in ("Mask", "Cut-out"):
        page.get_by_role("button", name=view, exact=True).click()
        expect(picture(page)).to_have_attribute("aria-busy", "false")
        expect(label(page)).to_have_text("Not cut yet")
        assert brightness(page) == 0.5
        expect(picture(page)).to_have_attribute("aria-label", "Not cut yet. Picture: 00:03.00. " + MIDDLE)
    page.get_by_role("button", name="Split", exact=True).click()
    expect(page.locator(".layer.before")).to_have_count(1)
    assert brightness(page) == 0.5
    assert page.locator(".layer.before").evaluate("layer => getComputedStyle(layer).filter") == "none"
    page.get_by_role("button", name="Original", exact=True).click()
    expect(label(page)).to_be_hidden()
    assert brightness(page) == 1.0
    page.get_by_role("button", name="Cut-out", exact=True).click()
    expect(label(page)).to_have_text("Not cut yet")

    blanks = page.evaluate_handle(WATCH_BLANKS)
    fake.uncut = set()
    fake.report = report((0, FRAMES), state="done")
    expect(label(page)).to_be_hidden()
    assert brightness(page) == 1.0
    assert blanks.evaluate("seen => seen.length") == 0, "something was shown all along"


MIDDLE = "Enter sets a mark in the middle."

WATCH_BLANKS = """() => {
  const seen = [], pan = document.querySelector("[data-part=pan]");
  new MutationObserver(() => {
    const images = [...pan.querySelectorAll("img")];
    if (!images.length || images.some((image) => !image.complete || !image.naturalWidth)) seen.push(1);
  }).observe(pan, { childList: true });
  return seen;
}"""


def test_a_frame_outside_of_what_is_kept_is_not_promised(opened: Opened, fake: Fake) -> None:
    fake.uncut = set(range(10, FRAMES))
    fake.report = report((0, 10), state="done", total=10)
    page = opened(automatic=True, end=1.0)
    move_to(page, 30)
    expect(label(page)).to_have_text("Outside the part to keep")


def test_to_set_the_first_mark_the_frame_is_seen_as_it_is(opened: Opened, fake: Fake) -> None:
    fake.uncut = set(range(FRAMES))
    fake.report = report(state="idle")
    page = opened(automatic=False)
    expect(label(page)).to_be_hidden()
    assert brightness(page) == 1.0
    page.get_by_role("button", name="Cut-out", exact=True).click()
    expect(label(page)).to_have_text("Not cut yet")
    assert brightness(page) == 0.5
    page.get_by_role("button", name="Mask", exact=True).click()
    click(page, 100, 100)
    settled(page, fake, 1)
    expect(label(page)).to_have_text("Not cut yet")


def test_while_a_cut_is_fetched_the_frame_is_dimmed(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 20))
    page = opened(automatic=True)
    fake.thought.clear()
    move_to(page, 10)
    expect(label(page)).to_have_text("Loading the cut…")
    assert brightness(page) == 0.5
    move_to(page, 30)
    expect(label(page)).to_have_text("Not cut yet")
    fake.thought.set()
    expect(label(page)).to_be_hidden()
    assert brightness(page) == 1.0


def test_a_mark_makes_stale_what_is_not_cut_again(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, FRAMES), state="done")
    page = opened(automatic=True)
    expect(words(page)).to_have_text("all 40 frames cut")
    fake.report = report((0, 20))
    move_to(page, 20)
    click(page, 300, 100)
    settled(page, fake, 1)
    expect(words(page)).to_have_text("20 of 40 cut")
    assert spans(page, "ready") == [(0, 19.5)]
    assert spans(page, "stale") == [(19.5, FRAMES - 1)]
    fake.report = report((0, 31))
    until(lambda: spans(page, "stale") == [(30.5, FRAMES - 1)])
    fake.report = report((0, FRAMES), state="done")
    expect(words(page)).to_have_text("all 40 frames cut")
    assert spans(page, "stale") == [] and spans(page, "growing") == []


def test_a_report_on_other_pictures_is_ignored(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 5), rev="other")
    page = opened()
    until(lambda: len(fake.looks) > 1)
    expect(words(page)).to_have_text("")
    assert spans(page, "ready") == []


def test_the_switch_turns_it_off_for_good(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 5), rate=2.0, left=17)
    page = opened()
    switch = page.get_by_role("switch", name="Cut while I work")
    expect(switch).to_be_checked()
    switch.click()
    expect(words(page)).to_have_text("5 of 40 cut · paused")
    until(lambda: fake.looks[-1].endswith("on=0"))
    assert is_quiet(page, fake)
    fake.looks.clear()
    page.reload()
    fake.report = report((0, 6))
    page.locator("#push").click()
    expect(words(page)).to_have_text("6 of 40 cut · paused")
    expect(switch).not_to_be_checked()
    assert is_quiet(page, fake)
    assert [query.split("&")[1] for query in fake.looks] == ["on=0"]
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    until(lambda: fake.looks[-1].endswith("on=1"))


def test_nothing_is_asked_by_a_page_that_is_not_seen(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 5))
    page = opened()
    expect(words(page)).to_have_text("5 of 40 cut")
    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_timeout(SILENCE_MS)  # for what was under way
    assert is_quiet(page, fake)
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    asked = len(fake.looks)
    until(lambda: len(fake.looks) > asked)


def test_nothing_is_asked_by_a_stage_that_is_away(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 5))
    page = opened()
    expect(words(page)).to_have_text("5 of 40 cut")
    page.locator(".stage").evaluate("stage => { stage.style.display = 'none' }")
    page.wait_for_timeout(SILENCE_MS)
    assert is_quiet(page, fake)
    page.locator(".stage").evaluate("stage => { stage.style.display = '' }")
    asked = len(fake.looks)
    until(lambda: len(fake.looks) > asked)


def test_the_checks_of_an_unfinished_cut_are_shown(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, 20), checks=[0.5, 1.2])
    page = opened()
    expect(page.locator(".triangle")).to_have_count(2)
    page.keyboard.press("n")
    expect(page.locator("[data-part=time]")).to_have_text("00:00.50")


def test_after_many_marks_the_newest_picture_is_shown(opened: Opened, fake: Fake) -> None:
    fake.report = report((0, FRAMES), state="done")
    page = opened(automatic=True)
    for n in range(20):
        click(page, 60 + 25 * n, 60 + (n % 2) * 200)
    until(lambda: len(fake.points) == 20)
    settled(page, fake, len(fake.edits))
    until(lambda: page.locator(".layer").get_attribute("data-rev") == f"r{len(fake.edits)}")
    expect(words(page)).to_have_text("all 40 frames cut")


def test_a_picture_of_later_marks_is_not_kept_as_one_of_these(opened: Opened, fake: Fake) -> None:
    url = "/media/one/frames/5?view=mask&rev=r0"
    fake.revision = "later"
    page = opened(automatic=True)
    for asked in (1, 2):
        move_to(page, 5)
        until(lambda: fake.asked.count(url) == asked)  # noqa: B023 - called before the loop goes on
        expect(picture(page)).to_have_attribute("aria-busy", "false")
        fake.revision = None
        move_to(page, 0)
        expect(picture(page)).to_have_attribute("aria-busy", "false")
    move_to(page, 5)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    move_to(page, 0)
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    assert fake.asked.count(url) == 2, "this one was kept"
