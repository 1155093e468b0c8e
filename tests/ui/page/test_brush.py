"""The brush: strokes by mouse, pen, finger and keyboard, in the mask, over undo and a reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import on_screen, picture, pixels, ready, started, until_handled
from tests.waiting import until

Visit = Callable[..., Page]


def handles(page: Page, keep: bool = True) -> Locator:
    return page.locator(f".dot.stroke.{'keep' if keep else 'remove'}[aria-label]")


def chosen(page: Page, tool: str) -> None:
    expect(page.locator(f"[data-tool={tool}]")).to_have_attribute("aria-pressed", "true")


def paint(page: Page, *places: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*on_screen(page, *places[0]))
    page.mouse.down(button=button)  # type: ignore[arg-type]
    for place in places[1:]:
        page.mouse.move(*on_screen(page, *place), steps=5)
    page.mouse.up(button=button)  # type: ignore[arg-type]


def stored(page: Page) -> list[dict[str, object]]:
    """The strokes of the first object on the frame that is shown, as the page keeps them for its history."""
    kept = page.evaluate(
        "() => Object.entries(sessionStorage).filter(([key]) => key.startsWith('recorte-history:'))[0][1]"
    )
    return [stroke for prompt in json.loads(kept)["prompts"] for stroke in prompt.get("strokes", [])]


@contextmanager
def shown(page: Page) -> Iterator[None]:
    """Wait, after a stroke, for its mask: a request whose marks have changed since is refused."""
    with page.expect_response(lambda response: "view=mask" in response.url), until_handled(page):
        yield
    expect(picture(page)).to_have_attribute("aria-busy", "false")


class Mask:
    """The tinted pixels of the newest mask that the page has shown."""

    def __init__(self, page: Page) -> None:
        self._page, self._asked = page, list[str]()
        page.on("response", lambda r: self._asked.append(r.url) if "view=mask" in r.url and r.ok else None)

    def has(self, x: int, y: int) -> bool:
        """Return True if most of the pixels near a place are tinted."""
        if not self._asked:
            return False
        shown = pixels(self._page, self._asked[-1])
        plain = pixels(self._page, re.sub(r"view=mask.*", "view=original", self._asked[-1]))
        tinted = np.abs(shown.astype(int) - plain).max(axis=2) > 24
        return bool(tinted[y - 2 : y + 3, x - 2 : x + 3].mean() > 0.6)

    def until(self, x: int, y: int, inside: bool) -> None:
        def settled() -> bool:
            expect(picture(self._page)).to_have_attribute("aria-busy", "false")
            return self.has(x, y) == inside

        until(settled)


def test_what_is_painted_is_in_the_mask_and_what_is_erased_is_not(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    mask = Mask(page)
    with until_handled(page):
        page.mouse.click(*on_screen(page, 170, 130))
    mask.until(170, 130, True)
    assert not mask.has(75, 70)
    page.keyboard.press("p")
    chosen(page, "brush")
    with until_handled(page):
        paint(page, (60, 70), (95, 70))
    expect(handles(page)).to_have_count(1)
    mask.until(75, 70, True)
    expect(page.locator("[data-part=strokes] polyline")).to_have_count(0)  # the mask shows it
    with until_handled(page):
        page.keyboard.press("e")
        paint(page, (160, 130), (180, 130))
    chosen(page, "erase")
    expect(handles(page, keep=False)).to_have_count(1)
    mask.until(170, 130, False)
    assert mask.has(75, 70)

    # Each stroke is one step back.
    with until_handled(page):
        page.keyboard.press("z")
    expect(handles(page, keep=False)).to_have_count(0)
    mask.until(170, 130, True)
    with until_handled(page):
        page.keyboard.press("z")
    expect(handles(page)).to_have_count(0)
    mask.until(75, 70, False)
    for x, y, inside in ((75, 70, True), (170, 130, False)):
        with until_handled(page):
            page.keyboard.press("Shift+Z")
        mask.until(x, y, inside)

    page.reload()
    ready(page)
    expect(handles(page)).to_have_count(1)
    expect(handles(page, keep=False)).to_have_count(1)
    with until_handled(page):
        page.keyboard.press("z")
    expect(handles(page, keep=False)).to_have_count(0)
    expect(handles(page)).to_have_count(1)


def test_a_stroke_is_drawn_at_once_with_a_ring_of_the_brushs_size(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    ring, slider = page.locator("[data-part=ring]"), page.get_by_role("slider", name="Brush size")
    expect(slider).to_be_hidden()
    page.locator("[data-tool=brush]").click()
    page.mouse.move(*on_screen(page, 100, 100))
    expect(ring).to_be_visible()

    def width() -> float:
        box = ring.bounding_box()
        assert box is not None
        return box["width"]

    first, told = width(), slider.get_attribute("aria-valuetext")
    page.keyboard.press("]")
    assert width() > first and slider.get_attribute("aria-valuetext") != told
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert width() < first
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Alt")
    expect(slider).to_have_attribute("aria-valuetext", str(told))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 140, 110), steps=4)
    line = page.locator("[data-part=strokes] polyline")
    expect(line).to_have_count(1)
    drawn = line.evaluate("node => node.getBoundingClientRect().width")  # without its width
    start, end = on_screen(page, 100, 100), on_screen(page, 140, 110)
    assert abs(drawn - (end[0] - start[0])) < 3
    assert f"{float(line.get_attribute('stroke-width') or 0):g} pixels" == told
    page.keyboard.press("Escape")  # forgets it
    page.mouse.up()
    expect(line).to_have_count(0)
    expect(handles(page)).to_have_count(0)
    page.reload()
    ready(page)
    page.keyboard.press("p")
    expect(slider).to_have_attribute("aria-valuetext", str(told))  # the size is remembered
    page.keyboard.press("k")
    expect(slider).to_be_hidden()
    expect(ring).to_be_hidden()


def test_shift_and_the_second_button_erase_and_strokes_are_deleted(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    page.keyboard.press("p")
    with shown(page):
        paint(page, (60, 60), (90, 60), button="right")
    page.keyboard.down("Shift")
    with shown(page):
        paint(page, (60, 120), (90, 120))
    page.keyboard.up("Shift")
    with shown(page):
        paint(page, (200, 40))
    expect(handles(page, keep=False)).to_have_count(2)
    assert [(s["keep"], len(s["path"])) for s in stored(page)] == [(False, 2), (False, 2), (True, 1)]  # type: ignore[arg-type]
    handle = page.get_by_role("button", name="Brush stroke to keep")
    handle.focus()
    with shown(page):
        page.keyboard.press("Alt+ArrowRight")
    with until_handled(page):
        page.keyboard.press("Delete")
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(handles(page)).to_have_count(0)
    page.keyboard.press("k")
    handles(page, keep=False).first.hover()
    with until_handled(page):
        page.get_by_role("button", name="Delete this mark").first.click()
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(handles(page, keep=False)).to_have_count(1)
    with until_handled(page):
        page.get_by_role("button", name="Clear").click()
    expect(handles(page, keep=False)).to_have_count(0)


def test_a_dot_is_painted_by_keyboard(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    page.keyboard.press("p")
    picture(page).focus()
    page.keyboard.press("ArrowRight")
    expect(picture(page)).to_have_attribute("aria-busy", "false")  # or `shown` would see this frame's answer
    with shown(page):
        page.keyboard.press("Enter")
    handle = page.get_by_role("button", name=re.compile("^Brush stroke to keep, at 160, 90"))
    expect(handle).to_be_focused()
    with until_handled(page):
        page.keyboard.press("Alt+Shift+ArrowLeft")
    expect(page.get_by_role("button", name=re.compile("^Brush stroke to keep, at 150, 90"))).to_have_count(1)


SEND = """([node, type, kind, id, x, y, pressure]) => node.dispatchEvent(new PointerEvent(type, {
  pointerType: kind, pointerId: id, clientX: x, clientY: y, pressure, bubbles: true, cancelable: true,
  button: type === "pointermove" ? -1 : 0, buttons: type === "pointerup" ? 0 : 1, isPrimary: id === 1,
}))"""


@pytest.mark.parametrize("kind", ["pen", "touch"])
def test_a_pen_paints_by_its_pressure_and_a_second_finger_zooms_instead(
    server: Server, visit: Visit, clip: Path, kind: str
) -> None:
    page = started(server, visit, clip)
    page.keyboard.press("p")
    node = picture(page).element_handle()
    # Events that no pointer makes cannot be captured.
    node.evaluate("node => { node.setPointerCapture = () => {}; }")

    def send(type: str, place: tuple[float, float], pressure: float, id: int = 1) -> None:
        page.evaluate(SEND, [node, type, kind, id, *on_screen(page, *place), pressure])

    for row, pressure in ((40, 0.2), (80, 0.5), (120, 1.0)):
        send("pointerdown", (60, row), pressure)
        send("pointermove", (100, row), pressure)
        with shown(page):
            send("pointerup", (100, row), 0)
    expect(handles(page)).to_have_count(3)
    widths = [float(stroke["width"]) for stroke in stored(page)]  # type: ignore[arg-type]
    if kind == "pen":
        assert widths[0] < 0.7 * widths[1] < 0.5 * widths[2]
        return
    assert len(set(widths)) == 1
    send("pointerdown", (60, 60), 0.5)
    send("pointermove", (80, 60), 0.5)
    expect(page.locator("[data-part=strokes] polyline").last).to_be_attached()
    send("pointerdown", (200, 100), 0.5, id=2)
    send("pointermove", (260, 140), 0.5, id=2)
    assert page.locator("[data-part=pan]").evaluate("n => new DOMMatrix(getComputedStyle(n).transform).a") > 1
    send("pointerup", (260, 140), 0, id=2)
    send("pointerup", (80, 60), 0)
    expect(handles(page)).to_have_count(3)
