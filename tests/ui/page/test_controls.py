"""The page's controls by mouse and keyboard, and uploads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests import ffprobe
from tests.ui.conftest import Server
from tests.ui.page.test_page import (
    choose,
    choose_format,
    chosen_format,
    download,
    make,
    pixels,
    ready,
    session,
    started,
    upload,
)
from tests.waiting import until

Visit = Callable[..., Page]


IS_ON_TOP = """field => {
    field.scrollIntoView({ block: "center" }); // out from under the bar with the buttons
    const { right, top } = field.getBoundingClientRect();
    return document.elementFromPoint(right - 8, top + 8) === field;
}"""


def focused(page: Page) -> str:
    """Return the id of the focused element, or of the nearest element around it that has one."""
    return str(page.evaluate("document.activeElement.closest('[id]:not([id=\"\"])')?.id"))


# ---------------------------------------------------------------- colours


def test_a_colour_is_picked_or_typed(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    well, typed = page.locator("#colour [type=color]"), page.locator("#colour [type=text]")
    for field in (well, typed):
        box = field.bounding_box()
        assert box is not None and box["width"] >= 44 and box["height"] >= 24
        until(lambda field=field: field.evaluate(IS_ON_TOP))  # what is above it may still be drawn
    expect(typed).to_have_value("#00b140")
    well.fill("#c81e1e")  # what the browser's picker does
    expect(typed).to_have_value("#c81e1e")
    for written, read in (("teal", "#008080"), ("0B4", "#00bb44"), ("#102030", "#102030")):
        typed.fill(written)
        typed.press("Enter")
        expect(typed).to_have_value(read)
        expect(well).to_have_value(read)

    first_frame = f"{server.url}/media/{session(page)}/frames/0?view=over"

    def behind() -> np.ndarray:
        return pixels(page, first_frame)[3, 3].astype(int)

    until(lambda: np.abs(behind() - (0x30, 0x20, 0x10)).max() < 12)  # once the choice is answered
    typed.fill("nonsense")
    typed.press("Enter")
    assert "no colour" in typed.evaluate("t => t.validationMessage")
    page.reload()
    ready(page)
    expect(typed).to_have_value("#102030")
    page.locator("#swatch-white").click()
    expect(typed).to_have_value("#ffffff")
    for part in ("#swatch-white", "#colour [type=color]"):  # white on white is seen by its edge
        assert page.locator(part).evaluate("e => getComputedStyle(e).borderTopColor") == "rgb(128, 128, 128)"


def test_a_colour_chosen_while_an_earlier_one_is_handled_is_not_lost(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    well, typed = page.locator("#colour [type=color]"), page.locator("#colour [type=text]")
    sent: list[Route] = []

    def hold_the_first(route: Route) -> None:
        sent.append(route)
        if len(sent) > 1:
            route.continue_()

    page.route("**/queue/join**", hold_the_first)
    well.fill("#c81e1e")
    expect(typed).to_have_value("#c81e1e")
    for written, read in (("teal", "#008080"), ("navy", "#000080")):
        typed.fill(written)
        typed.press("Enter")
        expect(typed).to_have_value(read)
    [first] = sent  # the others wait for its answer
    with page.expect_request(lambda request: "#000080" in (request.post_data or "")):
        first.continue_()
    expect(well).to_have_value("#000080")
    page.wait_for_load_state("networkidle")
    page.reload()
    ready(page)
    expect(well).to_have_value("#000080")


# ---------------------------------------------------------------- what was chosen stays chosen


def test_making_and_previewing_need_the_chosen_kind_of_background(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    choose(page, "Blur")
    expect(page.locator("#radius")).to_be_visible()
    choose(page, "Picture")
    expect(page.locator("#pictures")).to_be_visible()
    expect(page.locator("#radius")).to_be_hidden()
    choose_format(page, "MP4 · HEVC")  # whatever else is chosen
    expect(page.locator("#pictures")).to_be_visible()
    for button in ("#make", "#preview"):
        page.locator(button).click()
        expect(page.get_by_test_id("toast-body")).to_contain_text("Choose a picture to stand behind")
        page.get_by_test_id("toast-close").click()
    expect(page.locator("#kind input:checked")).to_have_attribute("value", "picture")
    expect(page.locator("#make")).to_be_visible()
    page.get_by_role("button", name="City").click()
    expect(page.locator("#fit")).to_be_visible()
    until(lambda: [*(server.sessions / session(page)).glob("background-city.jpg")])


def test_the_format_is_restored_after_a_transparent_background(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    choose_format(page, "MP4 · HEVC")
    choose(page, "Transparent")
    expect(chosen_format(page)).to_have_value(re.compile("WebM"))
    choose(page, "Colour")
    expect(chosen_format(page)).to_have_value("MP4 · HEVC")


def test_another_background_is_seen_at_once_in_place_of_the_result(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    make(page)
    player, word = page.locator("[data-part=video]"), page.locator("[data-part=message]")
    expect(player).to_be_visible()
    page.locator("#quality").get_by_text("Small", exact=True).click()
    expect(page.get_by_text("This result was made before your last change.")).to_be_visible()
    expect(player).to_be_visible()
    with page.expect_response(re.compile("view=over")) as answered:
        page.locator("#swatch-blue").click()
    expect(player).to_be_hidden()
    expect(word).to_contain_text("One frame as it will look")
    assert np.abs(pixels(page, answered.value.url)[3, 3].astype(int) - (0xBB, 0x47, 0)).max() < 12
    make(page)
    expect(player).to_be_visible()
    expect(word).to_have_text("")
    mp4 = tmp_path / "blue.mp4"
    download(page, "MP4").save_as(mp4)
    assert np.abs(ffprobe.frames(mp4)[0, 4, 4].astype(int) - (0, 0x47, 0xBB)).max() < 16


# ---------------------------------------------------------------- by keyboard


def test_a_dropdown_closes_when_it_loses_focus(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    for list, key in (("#format input", "Tab"), ("#model input", "Shift+Tab")):
        page.locator(list).focus()
        expect(page.get_by_role("listbox")).to_be_visible()
        page.keyboard.press(key)
        # Drawn twice: or it might only not have come again yet.
        page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
        )
        expect(page.get_by_role("listbox")).to_have_count(0)


def test_choices_are_groups_with_one_tab_stop_and_arrow_keys(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    page.locator("#edges").get_by_role("button", name="Edges").click()
    expect(page.locator("#despill")).to_be_visible()

    def names(group: str) -> list[str]:
        return page.locator(f"{group} input").evaluate_all("radios => radios.map(radio => radio.name)")

    for group, count in (("#kind", 5), ("#quality", 4), ("#despill", 3)):
        until(lambda group=group: len(set(names(group))) == 1)
        assert len(names(group)) == count
    assert names("#kind")[0] != names("#quality")[0]
    page.locator("#kind input:checked").focus()
    page.keyboard.press("ArrowLeft")  # round the end
    expect(page.locator("#kind input:checked")).to_have_attribute("value", "transparent")
    expect(chosen_format(page)).to_have_value(re.compile("WebM"))
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#kind input:checked")).to_have_attribute("value", "blur")
    expect(page.locator("#radius")).to_be_visible()
    assert focused(page) == "kind"
    page.keyboard.press("Tab")
    assert focused(page) != "kind"  # one stop for all of them
    until(lambda: len(set(names("#kind"))) == 1)


def test_sliders_work_by_keyboard(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    fold = page.locator("#edges").get_by_role("button", name="Edges")
    fold.click()
    page.evaluate("window.recorte.settled()")

    def expect_kept(**pixels: int) -> None:
        page.evaluate("window.recorte.settled()")
        page.reload()
        ready(page)
        fold.click()
        for name, value in pixels.items():
            expect(page.locator(f"#{name} input[type=number]")).to_have_value(str(value))
        page.evaluate("window.recorte.settled()")  # the next answer is that of the next choice

    with page.expect_response(re.compile("queue/join")):
        page.locator("#grow input[type=number]").fill("3")
        page.locator("#grow input[type=number]").press("Enter")
    assert focused(page) == "grow"
    expect_kept(grow=3, feather=0)
    with page.expect_response(re.compile("queue/join")):
        page.locator("#feather input[type=range]").press("ArrowRight")
    expect_kept(grow=3, feather=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_thumbs_of_sliders_are_visible(server: Server, visit: Visit, clip: Path, scheme: str) -> None:
    page = visit(server.url, color_scheme=scheme)
    upload(page, clip)
    ready(page)
    page.locator("#edges").get_by_role("button", name="Edges").click()
    slider = page.locator("#feather input[type=range]")
    slider.scroll_into_view_if_needed()
    drawn = cv2.imdecode(np.frombuffer(slider.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    middle = drawn[drawn.shape[0] // 2].astype(int)
    thumb, ground = middle[8], drawn[1, drawn.shape[1] // 2].astype(int)
    assert np.abs(thumb - ground).max() > 100


def test_groups_have_headings_for_screen_readers(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    for heading in ("Video", "Subject", "Background", "Result"):
        expect(page.get_by_role("heading", name=heading, level=2, exact=True)).to_be_visible()
    spanish = visit(server.url, locale="es-ES")
    upload(spanish, clip)
    ready(spanish)
    expect(spanish.get_by_role("heading", name="Fondo", level=2, exact=True)).to_be_visible()
    assert ";".join(spanish.locator("[data-part=time], #facts").all_inner_texts()).count(",") == 2


# ---------------------------------------------------------------- files on their way


def slow(page: Page) -> None:
    """Slow the connection down, so that uploads take some seconds."""
    tab = page.context.new_cdp_session(page)
    tab.send("Network.enable")
    shape = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    tab.send("Network.emulateNetworkConditions", shape)


@pytest.fixture
def heavy(clip: Path, tmp_path: Path) -> Path:
    """The clip with padding after its end, so that its upload takes a while."""
    file = tmp_path / "heavy.mp4"
    size = 4_000_000
    file.write_bytes(clip.read_bytes() + size.to_bytes(4, "big") + b"free" + bytes(size - 8))
    return file


def test_an_upload_shows_its_progress_and_can_be_cancelled(
    server: Server, visit: Visit, clip: Path, heavy: Path
) -> None:
    page = visit(server.url)
    slow(page)
    before = server.lasting_files()
    upload(page, heavy)
    progress = page.locator("#upload")
    expect(progress).to_contain_text("Uploading heavy.mp4")
    expect(progress).to_contain_text(re.compile(r"[1-9][\d.]* of 4\.\d MB|0\.[1-9] MB of 4\.\d MB"))
    assert "file..." not in page.locator("#drop").inner_text() or page.locator("#drop .uploading").evaluate(
        "e => getComputedStyle(e).visibility == 'hidden'"
    )
    progress.get_by_role("button", name="Cancel").click()
    expect(progress).to_have_count(0)
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    until(lambda: not [p for p in (server.home / "uploads").rglob("part") if p.is_file()])
    assert not set(server.lasting_files()) - set(before)
    upload(page, clip)
    ready(page)
    expect(progress).to_have_count(0)


def test_an_upload_whose_connection_breaks_is_tried_again(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url)
    broken = ["connectionreset", "timedout"]

    def play(route: Route) -> None:
        if broken:
            route.abort(broken.pop())
        else:
            route.continue_()

    page.route("**/gradio_api/upload?**", play)
    upload(page, clip)
    progress = page.locator("#upload")
    for _ in range(2):
        expect(progress).to_contain_text("The connection broke before figure.mp4 was here whole")
        progress.get_by_role("button", name="Try again").click()
    ready(page)
    expect(progress).to_have_count(0)
    page.wait_for_load_state("networkidle")


def test_cancelling_a_background_leaves_the_session_as_it_is(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    page.route("**/gradio_api/upload**", lambda route: route.abort("connectionreset"))
    choose(page, "Picture")
    red = tmp_path / "red.png"
    cv2.imwrite(str(red), np.full((90, 90, 3), (0, 0, 220), np.uint8))
    page.locator("#pictures input[type=file]").set_input_files(red)
    expect(page.locator("#upload")).to_contain_text("red.png")
    page.locator("#upload").get_by_role("button", name="Cancel").click()
    expect(page.locator("#upload")).to_have_count(0)
    page.unroute("**/gradio_api/upload**")
    page.locator("#pictures input[type=file]").set_input_files(red.rename(tmp_path / "again.png"))
    until(lambda: [*(server.sessions / session(page)).glob("background-*.png")])
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    expect(page.locator("#upload")).to_have_count(0)


def drop(page: Page, file: Path, target: str) -> None:
    """Drop a file on an element; return whether the page took it, or left it to the browser."""
    held = page.evaluate_handle(
        """async ([name, type, bytes]) => {
          const held = new DataTransfer();
          held.items.add(new File([new Uint8Array(bytes)], name, { type }));
          return held;
        }""",
        [file.name, "image/png" if file.suffix == ".png" else "video/mp4", [*file.read_bytes()]],
    )
    taken = page.locator(target).evaluate(
        """(target, dataTransfer) => ["dragenter", "dragover", "drop"].map((kind) => !target.dispatchEvent(
          new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true })))""",
        held,
    )
    assert taken[1:] == [True, True]


def test_a_file_dropped_on_the_editor_is_taken(
    server: Server, visit: Visit, clip: Path, small_clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    first = session(page)
    drop(page, small_clip, "[data-part=picture]")
    until(lambda: session(page) != first)
    ready(page)
    expect(page.locator("#name input, #name textarea")).to_have_value("a.mp4")
    red = tmp_path / "red.png"
    cv2.imwrite(str(red), np.full((90, 90, 3), (0, 0, 220), np.uint8))
    drop(page, red, "#side")  # a picture goes behind the subject
    expect(page.locator("#kind input:checked")).to_have_attribute("value", "picture")
    until(lambda: [*(server.sessions / session(page)).glob("background-*.png")])
    page.get_by_role("tab", name="Sessions").click()
    second = session(page)
    expect(page.locator(".card").first).to_be_visible()
    drop(page, clip, ".cards")
    until(lambda: session(page) != second)
    ready(page)
    expect(page.locator("#upload")).to_have_count(0)


def test_nothing_of_gradios_own_progress_is_shown(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url)
    page.evaluate(
        """() => {
          window.seen = [];
          const look = () => {
            const parts = "[data-testid=status-tracker] *";
            const asSeen = { visibilityProperty: true, opacityProperty: true };
            for (const node of document.querySelectorAll(parts)) {
              if (node.checkVisibility(asSeen)) window.seen.push(node.textContent);
            }
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    page.locator("#sample").click()
    ready(page)
    page.locator("#preview").click()
    page.get_by_role("tab", name="Sessions").click()
    page.get_by_label("Search by name").fill("sample")
    expect(page.locator(".card").first).to_be_visible()
    assert json.loads(page.evaluate("JSON.stringify(window.seen)")) == []
