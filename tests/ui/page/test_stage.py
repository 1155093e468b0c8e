"""The stage in a real browser: a Gradio server in a thread, with pictures drawn here instead of a session."""

from __future__ import annotations

import base64
import copy
import itertools
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from playwright.sync_api import Browser, Locator, Page, expect

from tests import rendered
from tests.ui.conftest import serve
from tests.waiting import DEADLINE, until
from ui import text
from ui.page.blocks import STREAMS
from ui.page.stage import create_stage, on_edit

# Gradio's server runs in this process and uses what pandas is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 40, 10.0


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def frame(index: int, view: str) -> bytes:
    """Draw a disc that moves to the right (HWC uint8, BGR or BGRA), and encode it as PNG for a view."""
    image = np.full((HEIGHT, WIDTH, 4), (90, 80, 70, 255), np.uint8)
    disc = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(disc, (100 + index * 10, 180), 60, 255, -1)
    image[disc > 0] = (200, 120, 40, 255) if view == "mask" else (60, 160, 230, 255)
    if view == "cutout":
        image[..., 3] = disc
    return png(image)


@cache
def video(suffix: str) -> bytes:
    """Return a short video; for the suffix ".broken", the start of a WebM's header."""
    if suffix == ".broken":
        return b"\x1aE\xdf\xa3"
    with tempfile.TemporaryDirectory() as folder:
        grey = np.full((32, 32, 3), 90, np.uint8)
        return rendered.write_clip(Path(folder) / f"a{suffix}", [grey] * 5, codec="libvpx").read_bytes()


def answer_edit(value: Mapping[str, Any], *, rev: str, **changes: Any) -> dict[str, Any]:
    """Return the stage's next value: an edit, as the browser sent it, with a new `rev` and other changes."""
    return {**value, **changes, "rev": rev}


class Fake:
    """The session behind the page: its value, the edits it received, and its delays and errors."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.value: dict[str, Any] | None = self.session("one")
        self.edits: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.read: list[dict[str, Any]] = []  # the stage's value as another control's event saw it
        self.answering = threading.Event()  # until it is set, edits are not answered
        self.answering.set()
        self.answered = 0
        self.fails = 0  # how many of the next edits Python fails to answer
        self.thought = threading.Event()  # until it is set, masks are being thought about
        self.thought.set()
        self.refused: str | None = None  # the sentence with which a mask is refused
        self.uncut: set[int] = set()  # frames whose plain picture stands in for their cut
        self.revision: str | None = None  # that pictures are made for; None: the one they are asked for
        self.report: dict[str, Any] | None = None  # the state of the background cut; None: there is none
        self.looks: list[str] = []  # the queries of the questions about it
        self.corners: list[list[int]] = []  # of the crop's windows, none while they are not known
        self.readings: list[dict[str, Any]] | None = []  # of any lone click; None: that is refused
        self.things: list[list[list[list[int]]]] = []  # the outlines of each thing of any frame
        self.given_up = 0  # how many of the next searches for one are given up

    @staticmethod
    def session(name: str, **changes: Any) -> dict[str, Any]:
        value = {
            "media": f"/media/{name}",
            "width": WIDTH,
            "height": HEIGHT,
            "frames": FRAMES,
            "duration": FRAMES / RATE,
            "prompts": [],
            "rev": "r0",
            "can_point": True,
            "can_box": True,
            "words": [],
            "result": None,
            "message": None,
        }
        return value | changes

    def read_as(self, *scores: float, names: Sequence[str] = ()) -> None:
        """Offer candidates with these scores, and names if any, for every later single click."""
        picture = "data:image/png;base64," + base64.b64encode(png(np.full((9, 16, 3), 90, np.uint8))).decode()
        self.readings = [
            {"score": score, "picture": picture, "name": name}
            for score, name in itertools.zip_longest(scores, names, fillvalue="")
        ]

    def edited(self, value: dict[str, Any]) -> dict[str, Any]:
        self.edits.append(copy.deepcopy(value))
        self.answering.wait(DEADLINE)
        self.answered += 1
        if self.fails:
            self.fails -= 1
            raise gr.Error("Not now.", print_exception=False)
        return answer_edit(value, rev=f"r{len(self.edits)}")

    @property
    def prompts(self) -> list[dict[str, Any]]:
        return self.edits[-1]["prompts"] if self.edits else []

    @property
    def points(self) -> list[dict[str, Any]]:
        return [point for prompt in self.prompts for point in prompt["points"]]


def application(fake: Fake) -> FastAPI:
    app = FastAPI()

    @app.get("/media/{name}/times")
    def times(name: str) -> list[float]:
        return [i / RATE for i in range(FRAMES)]

    @app.get("/media/{name}/strip")
    def strip(name: str) -> Response:
        return Response(png(np.full((45, 960, 3), 90, np.uint8)), media_type="image/png")

    @app.get("/media/{name}/frames/{index}")
    def picture(name: str, index: int, view: str, request: Request, rev: str = "") -> Response:
        fake.asked.append(f"{request.url.path}?{request.url.query}")
        if view != "original":
            fake.thought.wait(DEADLINE)
            if fake.refused:
                return JSONResponse({"error": fake.refused}, 409)
        cut = view == "original" or index not in fake.uncut
        headers = {"Recorte-Cut": str(int(cut)), "Recorte-Revision": quote(fake.revision or rev, safe="")}
        headers["Cache-Control"] = "no-cache"
        return Response(frame(index, view if cut else "original"), media_type="image/png", headers=headers)

    @app.get("/media/{name}/cut")
    def cut(name: str, request: Request) -> Response:
        fake.looks.append(request.url.query)
        if fake.report is None:
            return JSONResponse({"error": "No."}, 422)
        return JSONResponse({"rev": f"r{len(fake.edits)}", **fake.report})

    @app.get("/media/{name}/frames/{index}/candidates")
    def candidates(name: str, index: int, object: int, rev: str, request: Request) -> Response:
        fake.asked.append(f"{request.url.path}?{request.url.query}")
        if fake.readings is None:
            return JSONResponse({"error": "Not this one."}, 422)
        return JSONResponse(fake.readings)

    @app.get("/media/{name}/frames/{index}/thing")
    def thing(name: str, index: int, x: float, y: float, request: Request) -> list[list[list[int]]] | None:
        """Return the last thing whose outlines' bounds hold the place."""
        fake.asked.append(f"{request.url.path}?{request.url.query}")
        if fake.given_up:
            fake.given_up -= 1
            return None
        holding = [
            lines
            for lines in fake.things
            if min(p[0] for p in lines[0]) <= x <= max(p[0] for p in lines[0])
            and min(p[1] for p in lines[0]) <= y <= max(p[1] for p in lines[0])
        ]
        return holding[-1] if holding else []

    @app.get("/media/{name}/crop")
    def crop(name: str) -> dict[str, Any]:
        value = fake.value or {}
        rev = f"r{len(fake.edits)}" if fake.edits else value.get("rev")
        return {"rev": rev, "first": 0, "corners": fake.corners}

    @app.get("/media/{name}/results/{result}")
    def result(name: str, result: str) -> Response:
        fake.asked.append(f"/media/{name}/results/{result}")
        return Response(video(Path(result).suffix), media_type="video/webm")

    with gr.Blocks() as page:
        with gr.Row():
            push = gr.Button("push", elem_id="push")
            read = gr.Button("read", elem_id="read")
            spanish, english = gr.Button("spanish"), gr.Button("english")
            away, back = gr.Button("away"), gr.Button("back")
        component = create_stage()
        gr.Textbox(label="name", elem_id="name")
        on_edit(component, fake.edited)
        page.load(lambda: fake.value, outputs=component, show_progress="hidden")
        # By default Gradio drops a click while the answer to the one before is under way.
        push.click(lambda: fake.value, None, component, show_progress="hidden", trigger_mode="multiple")
        read.click(lambda value: fake.read.append(value), component, trigger_mode="multiple")
        spanish.click(lambda: gr.HTML(language="es"), None, component, show_progress="hidden")
        english.click(lambda: gr.HTML(language="en"), None, component, show_progress="hidden")
        away.click(lambda: gr.HTML(visible=False), None, component)
        back.click(lambda: gr.HTML(visible=True), None, component)
    return gr.mount_gradio_app(app, page, path="/", footer_links=[], head=STREAMS)


@pytest.fixture(scope="module")
def fake() -> Fake:
    return Fake()


@pytest.fixture(scope="module")
def address(fake: Fake) -> Iterator[str]:
    with serve(application(fake)) as address:
        yield address


@pytest.fixture(scope="module")
def tab(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1024, "height": 900}, locale="en-GB")
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture
def opened(fake: Fake, tab: Page, address: str) -> Iterator[Callable[..., Page]]:
    """Show a session on the stage of a page that is loaded once; fail the test on errors in the console."""
    complaints: list[str] = []

    def complain(message: Any) -> None:
        # The browser itself reports a refused picture, which is part of the play, and the sham video.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def failed(error: Any) -> None:
        complaints.append(str(error))

    def load(**changes: Any) -> Page:
        if not tab.url.startswith(address):
            fake.value = None
            tab.goto(address)
        tab.evaluate("sessionStorage.clear()")  # the way back that an earlier test's session had
        fake.value = Fake.session("one", **changes)
        tab.locator("#push").click()
        expect(tab.locator(".layer")).to_have_count(1)
        expect(tab.locator("[data-part=slider]")).to_have_attribute("max", str(FRAMES - 1))
        expect(picture(tab)).to_have_attribute("aria-busy", "false")
        tab.mouse.click(2, 2)  # the keys' focus goes to the page
        return tab

    fake.reset()
    tab.on("console", complain)
    tab.on("pageerror", failed)
    yield load
    if tab.url.startswith(address):  # what the next test finds is what another video leaves: nothing
        fake.value = None
        tab.locator("#push").click()
        expect(tab.locator(".stage.empty")).to_be_visible()
    tab.remove_listener("console", complain)
    tab.remove_listener("pageerror", failed)
    assert complaints == []


def picture(page: Page) -> Locator:
    return page.locator("[data-part=picture]")


def box_of(page: Page) -> dict[str, float]:
    picture(page).scroll_into_view_if_needed()
    box = picture(page).bounding_box()
    assert box is not None
    return box  # type: ignore[return-value]


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return the position in the window of a pixel of the frame, without zoom."""
    box = box_of(page)
    return box["x"] + x * box["width"] / WIDTH, box["y"] + y * box["height"] / HEIGHT


def click(page: Page, x: float, y: float, **options: Any) -> None:
    page.mouse.click(*on_screen(page, x, y), **options)


def drag(page: Page, x0: float, y0: float, x1: float, y1: float) -> None:
    page.mouse.move(*on_screen(page, x0, y0))
    page.mouse.down()
    page.mouse.move(*on_screen(page, (x0 + x1) / 2, (y0 + y1) / 2))
    page.mouse.move(*on_screen(page, x1, y1))
    page.mouse.up()


def move_to(page: Page, index: int) -> None:
    page.locator("[data-part=slider]").fill(str(index))


def settled(page: Page, fake: Fake, edits: int) -> None:
    """Wait until Python has had `edits` calls, and the page shows the picture made after the last."""
    until(lambda: len(fake.edits) >= edits)
    expect(picture(page)).to_have_attribute("aria-busy", "false")


def test_a_click_keeps_in_pixels_of_the_frame(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    assert abs(box_of(page)["width"] - WIDTH) > 50, "the picture is shown scaled"
    click(page, 320, 90)
    settled(page, fake, 1)
    (point,) = fake.points
    assert point["keep"] is True
    assert (point["x"], point["y"]) == pytest.approx((320, 90), abs=1)
    assert fake.prompts[0]["time"] == 0.0
    expect(page.get_by_role("button", name="Keep, at 320, 90")).to_be_visible()


def test_right_and_shift_click_and_the_tool_remove(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    click(page, 100, 100, button="right")
    page.keyboard.down("Shift")
    click(page, 200, 100)
    page.keyboard.up("Shift")
    page.get_by_role("button", name="Remove", exact=True).click()
    click(page, 300, 100)
    until(lambda: len(fake.points) == 3)
    assert [point["keep"] for point in fake.points] == [False] * 3


def test_a_drag_draws_the_one_box_of_the_frame(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    drag(page, 300, 250, 100, 50)
    settled(page, fake, 1)
    assert fake.prompts[0]["box"] == pytest.approx([100, 50, 300, 250], abs=1.5)
    assert fake.prompts[0]["points"] == []
    page.get_by_role("button", name="Box", exact=True).click()
    drag(page, 400, 100, 500, 200)
    settled(page, fake, 2)
    assert len(fake.prompts) == 1
    assert fake.prompts[0]["box"] == pytest.approx([400, 100, 500, 200], abs=1.5)
    drag(page, 500, 200, 550, 250)  # by its corner
    settled(page, fake, 3)
    assert fake.prompts[0]["box"] == pytest.approx([400, 100, 550, 250], abs=2)


def test_a_mark_is_moved_and_deleted(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(prompts=[{"time": 0.0, "points": [{"x": 200, "y": 200, "keep": True}]}])
    drag(page, 200, 200, 260, 220)
    settled(page, fake, 1)
    assert (fake.points[0]["x"], fake.points[0]["y"]) == pytest.approx((260, 220), abs=1.5)
    page.mouse.move(*on_screen(page, 260, 220))
    page.get_by_role("button", name="Delete this mark").click()
    settled(page, fake, 2)
    assert fake.prompts == []
    page.keyboard.press("z")
    expect(page.locator(".mark")).to_have_count(1)
    click(page, 260, 220)
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("Delete")
    expect(page.locator(".mark")).to_have_count(0)


def test_undo_redo_clear(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    undo, redo = (page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    expect(undo).to_be_disabled()
    click(page, 100, 100)
    click(page, 200, 100)
    undo.click()
    until(lambda: len(fake.points) == 1)
    redo.click()
    until(lambda: len(fake.points) == 2)
    page.get_by_role("button", name="Clear").click()
    until(lambda: fake.prompts == [])
    undo.click()
    until(lambda: len(fake.points) == 2)
    expect(page.locator(".mark")).to_have_count(2)


def test_marks_stay_with_their_frames(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    click(page, 100, 100)
    move_to(page, 20)
    expect(page.locator(".mark")).to_have_count(0)
    expect(page.locator("[data-part=time]")).to_have_text("00:02.00")
    click(page, 300, 100)
    click(page, 300, 200)
    until(lambda: len(fake.points) == 3)
    assert [(p["time"], len(p["points"])) for p in fake.prompts] == [(0.0, 1), (2.0, 2)]
    expect(page.locator(".diamond")).to_have_count(2)
    page.get_by_role("button", name="Go to the marks at 00:00.00").click()
    expect(page.locator(".mark")).to_have_count(1)
    page.get_by_role("button", name="Go to the marks at 00:02.00").click()
    expect(page.locator(".mark")).to_have_count(2)
    page.keyboard.press("z")
    expect(page.locator(".mark")).to_have_count(1)


def test_no_click_is_lost_while_python_is_slow(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    move_to(page, 7)
    fake.answering.clear()
    for number, x in enumerate((100, 200, 300, 400, 500), 1):
        click(page, x, 100)
        expect(page.locator(".mark")).to_have_count(number)
    until(lambda: fake.edits)
    fake.answering.set()
    until(lambda: len(fake.points) == 5)
    until(lambda: any(f"rev=r{len(fake.edits)}" in url for url in fake.asked))  # the last answer has come
    expect(page.locator(".mark")).to_have_count(5)
    assert len(fake.edits) < 5, "edits made while Python is busy go as one"
    assert "Frame 8 of" in page.locator("[data-part=count]").inner_text()


def test_no_click_is_lost_when_python_fails_once(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    fake.fails = 1
    fake.answering.clear()
    click(page, 100, 100)
    until(lambda: fake.edits)
    click(page, 200, 100)
    expect(page.locator(".mark")).to_have_count(2)
    fake.answering.set()
    until(lambda: len(fake.points) == 2)
    expect(page.locator(".mark")).to_have_count(2)
    # Gradio keeps in mind that one waited, and sends the same again behind the next that is answered.
    settled(page, fake, 3)


def test_an_old_answer_does_not_undo_a_new_mark(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    click(page, 100, 100)
    settled(page, fake, 1)
    old = answer_edit(fake.edits[-1], rev="old", message="From before")
    click(page, 200, 100)
    settled(page, fake, 2)
    until(lambda: any("rev=r2" in url for url in fake.asked))
    fake.value = old
    page.locator("#push").click()
    expect(page.get_by_text("From before")).to_be_visible()
    expect(page.locator(".mark")).to_have_count(2)
    click(page, 300, 100)
    until(lambda: len(fake.points) == 3)


def test_the_servers_own_marks_replace_ours(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    click(page, 100, 100)
    settled(page, fake, 1)
    fake.value = answer_edit(fake.edits[-1], rev="other", prompts=[{"time": 0.0, "box": [10, 10, 90, 90]}])
    page.locator("#push").click()
    expect(page.locator(".box")).to_have_count(1)
    expect(page.locator(".mark")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()


def test_views_ask_for_their_pictures(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    until(lambda: "/media/one/frames/0?view=mask&rev=r0" in fake.asked)
    page.get_by_role("button", name="Cut-out").click()
    until(lambda: "/media/one/frames/0?view=cutout&rev=r0" in fake.asked)
    page.get_by_role("button", name="Original").click()
    until(lambda: any("view=original" in url for url in fake.asked))
    page.get_by_role("button", name="Mask").click()
    click(page, 100, 100)
    until(lambda: "/media/one/frames/0?view=mask&rev=r1" in fake.asked)
    page.get_by_role("button", name="Split").click()
    until(lambda: "/media/one/frames/0?view=over&rev=r1" in fake.asked)
    expect(page.get_by_role("button", name="Result")).to_be_disabled()
    assert len(fake.asked) == len(set(fake.asked)), "what was shown once is not asked for again"


def test_a_slow_mask_blocks_nothing_and_is_shown_on_its_own_frame(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    fake.thought.clear()
    move_to(page, 12)
    until(lambda: any("frames/12?view=original" in url for url in fake.asked))
    expect(page.get_by_text("Thinking…")).to_be_visible()
    click(page, 100, 100)
    click(page, 200, 100)
    expect(page.locator(".mark")).to_have_count(2)
    pulses = "document.querySelectorAll('.mark .dot')[1].getAnimations().length"
    page.wait_for_function(f"{pulses} === 1")
    fake.thought.set()
    page.wait_for_function(f"{pulses} === 0")
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(page.locator(".layer")).to_have_count(1)


def test_an_error_of_a_picture_is_shown(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    fake.refused = "Click the subject first <b>please</b>."
    move_to(page, 3)
    expect(page.locator("[data-part=message]")).to_have_text("Click the subject first <b>please</b>.")
    expect(page.locator("#stage b")).to_have_count(0)
    until(lambda: any("frames/3?view=original" in url for url in fake.asked))
    fake.refused = None
    move_to(page, 4)
    expect(page.locator("[data-part=message]")).not_to_contain_text("first")


def test_a_new_result_takes_the_stage(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    url = "/media/one/results/7.webm"
    fake.value = Fake.session("one", rev="r9", result={"url": url, "type": "video/webm", "transparent": True})
    page.locator("#push").click()
    expect(page.locator("video")).to_be_visible()
    expect(page.locator("video")).to_have_attribute("src", url)
    until(lambda: url in fake.asked)
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_disabled()
    move_to(page, 5)
    expect(page.locator("video")).to_be_hidden()
    page.get_by_role("button", name="Result").click()
    expect(page.locator("video")).to_be_visible()
    fake.value = Fake.session("one", rev="r10")
    page.locator("#push").click()
    expect(page.locator("video")).to_be_hidden()


def test_an_outdated_result_is_replaced_by_a_frame_as_it_will_look(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    result = {"url": "/media/one/results/7.webm", "type": "video/webm", "outdated": False}
    word = page.locator("[data-part=message]")

    def push(rev: str, **changes: Any) -> None:
        fake.asked.clear()
        fake.value = Fake.session("one", rev=rev, result=result | changes)
        with page.expect_event("requestfinished", lambda request: "/queue/data" in request.url):
            page.locator("#push").click()  # a second one before the answer would be left out

    push("r9")
    expect(page.locator("video")).to_be_visible()
    push("r9", outdated=True)  # such as another quality: it looks the same
    expect(page.locator("video")).to_be_visible()
    push("another-background", outdated=True)
    expect(page.locator("video")).to_be_hidden()
    expect(word).to_contain_text("One frame as it will look")
    until(lambda: any("view=over&rev=another-background" in asked for asked in fake.asked))
    button(page, "Result").click()  # the one that there is can still be seen
    expect(page.locator("video")).to_be_visible()
    button(page, "Mask").click()
    expect(word).not_to_contain_text("One frame as it will look")
    button(page, "Result").click()
    push("a-third", outdated=True)
    expect(page.locator("video")).to_be_hidden()
    push("r9")  # as it was made, after all
    expect(page.locator("video")).to_be_visible()


def test_a_format_that_browsers_do_not_play_is_offered_as_a_download(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    url = "/media/one/results/8.zip"
    result = {"url": url, "type": "application/zip", "plays": False, "transparent": True}
    fake.value = Fake.session("one", rev="r9", result=result)
    page.locator("#push").click()
    told = page.locator("[data-part=unplayable]")
    expect(told).to_contain_text("does not play in the browser")
    expect(told.get_by_role("link", name="Download")).to_have_attribute("href", f"{url}?download")
    expect(page.locator("video")).to_be_hidden()
    assert url not in fake.asked
    page.get_by_role("button", name="Mask").click()
    expect(told).to_be_hidden()
    # And what this browser turns out not to play.
    result = {"url": "/media/one/results/9.broken", "type": "video/webm", "plays": True, "transparent": True}
    fake.value = Fake.session("one", rev="r10", result=result)
    page.locator("#push").click()
    expect(told).to_be_visible()
    expect(page.locator("video")).to_be_hidden()


def handle(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=f"{name} of the result")


def kept(fake: Fake) -> tuple[float, float | None]:
    return fake.edits[-1]["start"], fake.edits[-1]["end"]


def test_handles_trim_by_mouse_and_keys(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    start, end = handle(page, "Start"), handle(page, "End")
    track = page.locator(".track").bounding_box()
    assert track is not None
    middle, frame = track["y"] + track["height"] / 2, (track["width"] - 14) / (FRAMES - 1)
    page.mouse.move(track["x"] - 7, middle)
    page.mouse.down()
    page.mouse.move(track["x"] - 7 + 5 * frame, middle, steps=3)
    expect(page.locator("[data-part=count]")).to_have_text("Frame 6 of 40")  # seen while it is dragged
    assert fake.edits == []
    page.mouse.move(track["x"] - 7 + 10 * frame, middle, steps=3)
    page.mouse.up()
    settled(page, fake, 1)
    assert kept(fake) == (1.0, None)
    end.focus()
    page.keyboard.press("ArrowLeft")
    settled(page, fake, 2)
    assert kept(fake) == (1.0, 3.9)
    page.keyboard.press("Shift+ArrowLeft")
    settled(page, fake, 3)
    assert kept(fake) == (1.0, 2.9)
    expect(page.locator("[data-part=count]")).to_have_text("Frame 29 of 40")
    expect(end).to_have_attribute("aria-valuetext", "00:02.90, Frame 29 of 40")
    start.fill("35")  # no farther than the other one
    settled(page, fake, 4)
    assert kept(fake) == (2.8, 2.9)
    page.keyboard.press("z")
    settled(page, fake, 5)
    assert kept(fake) == (1.0, 2.9)
    page.get_by_role("button", name="Whole video").click()
    settled(page, fake, 6)
    assert kept(fake) == (0, None)
    expect(page.get_by_role("button", name="Whole video")).to_be_hidden()
    move_to(page, 7)
    page.keyboard.press("q")
    move_to(page, 12)
    page.keyboard.press("w")
    until(lambda: kept(fake) == (0.7, 1.3))


def test_the_ends_of_the_part_can_be_typed(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(start=0.5, end=3.0)
    first, past = page.get_by_label("From", exact=True), page.get_by_label("to", exact=True)
    expect(first).to_have_value("00:00.50")
    expect(past).to_have_value("00:03.00")
    first.fill("1,24")
    first.press("Enter")
    settled(page, fake, 1)
    assert kept(fake) == (1.2, 3.0)
    expect(first).to_have_value("00:01.20")
    past.fill("0:02.31")
    past.press("Enter")
    settled(page, fake, 2)
    assert kept(fake) == (1.2, 2.3)
    expect(page.locator("[data-part=count]")).to_have_text("Frame 23 of 40")  # the last one that is kept
    past.fill("soon")
    past.press("Enter")
    expect(page.locator("[data-part=message]")).to_contain_text("00:03.20")
    expect(past).to_have_value("00:02.30")
    past.fill("1:00:00")
    past.press("Enter")
    settled(page, fake, 3)
    assert kept(fake) == (1.2, None)
    expect(past).to_have_value("00:04.00")
    fake.value = Fake.session("one", rev="r20", start=2.0, end=2.5)  # the server's own change
    page.locator("#push").click()
    expect(past).to_have_value("00:02.50")
    expect(handle(page, "Start")).to_have_value("20")


def test_keyboard_shortcuts(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    count = page.locator("[data-part=count]")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(count).to_have_text("Frame 2 of 40")
    page.keyboard.press("Shift+ArrowRight")
    expect(count).to_have_text("Frame 12 of 40")
    for key, name in (("c", "Cut-out"), ("o", "Original"), ("m", "Mask"), ("x", "Remove"), ("b", "Box")):
        page.keyboard.press(key)
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("k")
    click(page, 100, 100)
    page.keyboard.press("z")
    expect(page.locator(".mark")).to_have_count(0)
    page.keyboard.press("Shift+Z")
    expect(page.locator(".mark")).to_have_count(1)
    page.locator("#name input, #name textarea").first.click()
    page.keyboard.type("oz")
    expect(page.locator(".mark")).to_have_count(1)
    expect(page.get_by_role("button", name="Mask")).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_alone_can_mark(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.part") == "picture":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Alt+Shift+ArrowDown")
    until(lambda: len(fake.points) == 1 and fake.points[0]["y"] == pytest.approx(190, abs=1))
    assert fake.points[0]["x"] == pytest.approx(320, abs=1)


def test_clicks_hit_the_right_pixel_when_zoomed(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    page.mouse.move(*on_screen(page, 480, 90))
    for _ in range(4):
        page.mouse.wheel(0, -200)
    expect(page.get_by_role("button", name="Fit")).to_be_visible()
    zoom = float(
        page.locator("[data-part=pan]").evaluate("e => new DOMMatrix(getComputedStyle(e).transform).a")
    )
    assert zoom > 3
    at = on_screen(page, 480, 90)  # the wheel turned here, so this pixel stayed
    page.mouse.click(at[0], at[1])
    settled(page, fake, 1)
    page.mouse.click(at[0] + 100, at[1] + 50)
    settled(page, fake, 2)
    scale = WIDTH / box_of(page)["width"] / zoom
    assert (fake.points[0]["x"], fake.points[0]["y"]) == pytest.approx((480, 90), abs=1)
    expected = (480 + 100 * scale, 90 + 50 * scale)
    assert (fake.points[1]["x"], fake.points[1]["y"]) == pytest.approx(expected, abs=1)
    mark = page.locator(".mark .dot").nth(1).bounding_box()
    assert mark is not None
    centre = (mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    assert centre == pytest.approx((at[0] + 100, at[1] + 50), abs=1.5)
    page.keyboard.down("Space")
    page.mouse.move(at[0], at[1])
    page.mouse.down()
    page.mouse.move(at[0] + 60, at[1] + 20)
    page.mouse.up()
    page.keyboard.up("Space")
    assert len(fake.edits) == 2, "panning marks nothing"
    page.get_by_role("button", name="Fit").click()
    expect(page.get_by_role("button", name="Fit")).to_be_hidden()


def test_split_view_shows_before_and_after_on_both_sides_of_a_line(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    page.get_by_role("button", name="Split").click()
    before = page.locator("[data-part=pan] .before")
    expect(before).to_have_attribute("src", re.compile("^blob:"))
    covered = "e => getComputedStyle(e).clipPath"
    assert before.evaluate(covered) == "inset(0px 50% 0px 0px)"
    drag(page, WIDTH / 2, 40, WIDTH / 4, 40)
    assert before.evaluate(covered) == "inset(0px 75% 0px 0px)"
    assert not fake.edits, "the line is no mark"
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-part=count]")).to_have_text("Frame 1 of 40")
    click(page, 0.9 * WIDTH, 100)
    until(lambda: len(fake.edits) == 1)


def test_the_part_to_keep_is_played_to_its_end_and_paused_by_a_click(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    count = page.locator("[data-part=count]")
    page.locator("body").click(position={"x": 2, "y": 2})
    move_to(page, 30)
    page.keyboard.press("w")  # the last frame that is kept
    move_to(page, 25)
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(count).to_have_text("Frame 31 of 40")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_role("button", name="Play").click()  # from the start again
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    click(page, 100, 100)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    settled(page, fake, 2)
    assert len({n for n in range(40) if any(f"frames/{n}?" in url for url in fake.asked)}) > 3


def test_touch_and_a_narrow_page(chrome: Browser, fake: Fake, address: str) -> None:
    fake.reset()
    context = chrome.new_context(viewport={"width": 390, "height": 800}, has_touch=True, locale="es-MX")
    page = context.new_page()
    page.goto(address)
    expect(page.locator(".layer")).to_have_count(1)
    expect(page.get_by_role("button", name="Conservar", exact=True)).to_be_visible()
    page.touchscreen.tap(*on_screen(page, 320, 180))
    settled(page, fake, 1)
    assert (fake.points[0]["x"], fake.points[0]["y"]) == pytest.approx((320, 180), abs=1.5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    pinch(page)
    expect(page.get_by_role("button", name="Ajustar")).to_be_visible()
    assert len(fake.edits) == 1, "two fingers mark nothing"
    context.close()


def pinch(page: Page) -> None:
    """Spread two fingers, by the browser's protocol: Playwright's touchscreen has one finger."""
    x, y = on_screen(page, 320, 180)
    client = page.context.new_cdp_session(page)
    for kind, gap in (("touchStart", 20), ("touchMove", 60), ("touchMove", 90)):
        fingers = [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_other_events_see_marks_that_python_has_not_answered(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    fake.answering.clear()
    click(page, 100, 100)
    click(page, 200, 100)
    page.locator("#read").click()
    until(lambda: fake.read)
    fake.answering.set()
    assert len(fake.read[0]["prompts"][0]["points"]) == 2
    settled(page, fake, 2)


def late_answer(page: Page, fake: Fake) -> None:
    """Let the delayed edit be answered, and wait until the page has the answer.

    Answers come to the page in their order, and that to the change of language is seen there.
    """
    fake.answering.set()
    until(lambda: fake.answered)
    for language in ("es", "en"):
        page.get_by_role("button", name="spanish" if language == "es" else "english").click()
        expect(page.get_by_text(text.STAGE[language]["empty"])).to_be_attached()


def test_an_answer_that_comes_too_late_brings_no_video_back(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    fake.answering.clear()
    click(page, 100, 100)
    until(lambda: fake.edits)
    fake.value = None
    page.locator("#push").click()
    expect(page.locator(".stage.empty")).to_be_visible()
    late_answer(page, fake)
    expect(page.locator(".stage.empty")).to_be_visible()


def test_a_video_opened_again_does_not_take_its_earlier_answers(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    fake.answering.clear()
    click(page, 100, 100)
    until(lambda: fake.edits)
    for value in (None, Fake.session("one", rev="again")):
        fake.value = value
        page.locator("#push").click()
        expect(page.locator(".layer")).to_have_count(0 if value is None else 1)
    late_answer(page, fake)
    expect(page.locator(".mark")).to_have_count(0)
    click(page, 200, 100)
    until(lambda: [point["x"] for point in fake.points] == [pytest.approx(200, abs=1)])


def test_the_language_can_be_chosen(opened: Callable[..., Page]) -> None:
    page = opened(prompts=[{"time": 0.0, "points": [{"x": 200, "y": 200, "keep": True}]}])
    page.get_by_role("button", name="spanish").click()
    expect(page.get_by_role("button", name="Quitar", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Conservar, en 200, 200")).to_be_visible()
    page.get_by_role("button", name="english").click()
    expect(page.get_by_role("button", name="Remove", exact=True)).to_be_visible()


def test_a_second_mount_answers_keys_once(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    click(page, 100, 100)
    settled(page, fake, 1)
    page.get_by_role("button", name="away").click()
    expect(page.locator(".stage")).to_be_hidden()
    page.get_by_role("button", name="back").click()
    expect(page.locator(".mark")).to_have_count(1)
    expect(page.locator("[data-part=slider]")).to_have_attribute("max", str(FRAMES - 1))
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-part=count]")).to_have_text("Frame 3 of 40")


def test_another_video_starts_afresh(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    move_to(page, 9)
    click(page, 100, 100)
    settled(page, fake, 1)
    fake.value = Fake.session("two", can_box=False, width=HEIGHT, height=WIDTH)
    page.locator("#push").click()
    until(lambda: "/media/two/frames/0?view=mask&rev=r0" in fake.asked)
    expect(page.locator(".mark")).to_have_count(0)
    expect(page.locator("[data-part=count]")).to_have_text("Frame 1 of 40")
    expect(page.get_by_role("button", name="Box", exact=True)).to_be_disabled()
    assert box_of(page)["height"] <= 0.68 * 900 + 1
    fake.value = None
    page.locator("#push").click()
    expect(page.get_by_text("Your video will appear here.")).to_be_visible()


PALETTE = ["#2f81f7", "#e8833a"]
MAN, BALL = {"number": 1, "name": "Man", "on": True}, {"number": 2, "name": "Ball", "on": True}


def marks(object: int, *points: tuple[float, float], time: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return points to keep, as the server sends them."""
    told = {"time": time, "points": [{"x": x, "y": y, "keep": True} for x, y in points], **more}
    return told if object == 1 else told | {"object": object}


def of(fake: Fake, object: int) -> list[dict[str, Any]]:
    return [prompt for prompt in fake.prompts if prompt.get("object", 1) == object]


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def chips(page: Page) -> list[str]:
    return page.locator(".chip .name").all_inner_texts()


def test_a_single_object_is_one_chip_and_is_not_written_into_its_marks(
    opened: Callable[..., Page], fake: Fake
) -> None:
    page = opened()
    assert chips(page) == ["Object 1"]
    # Its chip, and the ways to another one: a new object, and words.
    expect(page.locator("[data-part=objects] button:visible")).to_have_count(3)
    click(page, 100, 100)
    settled(page, fake, 1)
    assert "object" not in fake.prompts[0]
    assert fake.edits[0]["objects"] == [{"number": 1, "name": "", "on": True}]
    fake.value = Fake.session("two", can_point=False, can_box=False)
    page.locator("#push").click()
    expect(page.locator("[data-part=objects]")).to_be_hidden()


def test_new_marks_belong_to_the_active_object(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(palette=PALETTE)
    click(page, 100, 100)
    button(page, "+ Object").click()
    expect(button(page, "Object 2")).to_have_attribute("aria-pressed", "true")
    click(page, 300, 100)
    drag(page, 250, 50, 350, 200)
    button(page, "Object 1").click()
    click(page, 120, 120)
    drag(page, 50, 50, 200, 200)
    until(lambda: len(of(fake, 1)) == 1 and of(fake, 1)[0].get("box"))
    assert [len(prompt["points"]) for prompt in of(fake, 1) + of(fake, 2)] == [2, 1]
    assert of(fake, 2)[0]["box"] == pytest.approx([250, 50, 350, 200], abs=1.5), "each has a box of its own"
    assert [thing["number"] for thing in fake.edits[-1]["objects"]] == [1, 2]
    expect(page.locator(".box")).to_have_count(2)
    colours = "nodes => nodes.map(e => getComputedStyle(e).borderTopColor)"
    assert page.locator(".box").evaluate_all(colours) == ["rgb(47, 129, 247)", "rgb(232, 131, 58)"]
    expect(page.get_by_role("button", name="Object 2: Keep, at 300, 100")).to_be_visible()


def test_a_mark_makes_its_object_the_active_one(opened: Callable[..., Page], fake: Fake) -> None:
    prompts = [marks(1, (100, 100)), marks(2, (300, 100), box=[250, 50, 350, 300])]
    page = opened(palette=PALETTE, objects=[MAN, {**BALL, "on": False}], prompts=prompts)
    expect(button(page, "Man")).to_have_attribute("aria-pressed", "true")
    faint = "nodes => nodes.map(e => Number(getComputedStyle(e).opacity))"
    assert page.locator(".mark").evaluate_all(faint) == [1, 0.4], "what is off is hardly there"
    click(page, 300, 100)
    expect(button(page, "Ball")).to_have_attribute("aria-pressed", "true")
    assert not fake.edits, "looking at a mark changes nothing"
    drag(page, 100, 100, 140, 120)
    expect(button(page, "Man")).to_have_attribute("aria-pressed", "true")
    drag(page, 350, 300, 400, 320)  # the other's box, by its corner
    expect(button(page, "Ball")).to_have_attribute("aria-pressed", "true")
    settled(page, fake, 2)
    assert (of(fake, 1)[0]["points"][0]["x"], of(fake, 1)[0]["points"][0]["y"]) == pytest.approx(
        (140, 120), abs=2
    )
    assert of(fake, 2)[0]["box"] == pytest.approx([250, 50, 400, 320], abs=2)


def test_clear_leaves_the_other_objects_and_frames(opened: Callable[..., Page], fake: Fake) -> None:
    prompts = [marks(1, (100, 100)), marks(1, (100, 100), time=1.0), marks(2, (300, 100))]
    page = opened(objects=[MAN, BALL], prompts=prompts)
    button(page, "Clear").click()
    settled(page, fake, 1)
    assert [(p["time"], p.get("object", 1)) for p in fake.prompts] == [(0.0, 2), (1.0, 1)]
    expect(button(page, "Clear")).to_be_disabled()


def test_an_object_is_named_switched_and_deleted(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(objects=[MAN, BALL], prompts=[marks(1, (100, 100)), marks(2, (300, 100))])
    button(page, "Ball").dblclick()
    page.keyboard.type("  Juggling   ball ")
    page.keyboard.press("Enter")
    settled(page, fake, 1)
    assert fake.edits[-1]["objects"][1] == {"number": 2, "name": "Juggling ball", "on": True}
    page.keyboard.press("F2")
    page.keyboard.type("zzz")
    page.keyboard.press("Escape")
    assert chips(page) == ["Man", "Juggling ball"]
    expect(button(page, "Juggling ball")).to_be_focused()
    button(page, "Man is in the result").click()
    settled(page, fake, 2)
    assert [thing["on"] for thing in fake.edits[-1]["objects"]] == [False, True]
    expect(button(page, "Man is in the result")).to_have_attribute("aria-pressed", "false")
    button(page, "Rename Juggling ball").click()
    page.keyboard.press("Delete")
    button(page, "Man").click()  # leaving a name is taking it
    settled(page, fake, 3)
    assert chips(page) == ["Man", "Object 2"]
    button(page, "Delete Man and its marks").click()
    settled(page, fake, 4)
    assert chips(page) == ["Object 2"] and [p["object"] for p in fake.prompts] == [2]
    button(page, "+ Object").click()
    assert chips(page) == ["Object 1", "Object 2"], "the free number is taken"
    for _ in range(4):
        button(page, "Undo").click()
    expect(page.locator(".mark")).to_have_count(2)
    assert chips(page) == ["Man", "Juggling ball"]
    expect(button(page, "Man is in the result")).to_have_attribute("aria-pressed", "true")
    button(page, "Redo").click()
    expect(button(page, "Man is in the result")).to_have_attribute("aria-pressed", "false")
    until(lambda: fake.edits[-1]["objects"] == [{**MAN, "on": False}, {**BALL, "name": "Juggling ball"}])


def test_there_are_nine_objects_at_most(opened: Callable[..., Page]) -> None:
    page = opened()
    for _ in range(8):
        button(page, "+ Object").click()
    expect(button(page, "+ Object")).to_be_disabled()
    assert chips(page) == [f"Object {number}" for number in range(1, 10)]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1024


def test_a_single_click_has_candidates_to_choose_from(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(candidates=True)
    fake.read_as(0.71, 0.93, 1.02)
    before = page.locator(".stage").bounding_box()
    click(page, 100, 100)
    options = page.get_by_role("group", name="Which one?").get_by_role("button")
    expect(options).to_have_count(3)
    mask, candidates = (
        "/media/one/frames/0" + end for end in ("?view=mask&rev=r1", "/candidates?object=1&rev=r1")
    )
    assert fake.asked.index(mask) < fake.asked.index(candidates), "the mask comes first"
    assert page.locator(".stage").bounding_box() == before, "nothing moves"
    expect(page.get_by_role("button", name="Option 3: 100%", pressed=True)).to_be_visible()
    page.keyboard.press("1")
    settled(page, fake, 2)
    assert fake.prompts[0]["candidate"] == 0
    expect(page.get_by_role("button", name="Option 1: 71%", pressed=True)).to_be_visible()
    page.get_by_role("button", name="Option 2").click()
    settled(page, fake, 3)
    assert fake.prompts[0]["candidate"] == 1
    assert len(fake.points) == 1, "a choice is no mark"
    page.keyboard.press("z")
    settled(page, fake, 4)
    assert fake.prompts[0]["candidate"] == 0
    click(page, 200, 100)
    expect(options).to_have_count(0)
    settled(page, fake, 5)
    assert "candidate" not in fake.prompts[0]
    page.keyboard.press("1")
    page.keyboard.press("z")
    settled(page, fake, 6)
    expect(options).to_have_count(3)
    assert fake.prompts[0]["candidate"] == 0
    drag(page, 50, 50, 300, 300)
    settled(page, fake, 7)
    assert "candidate" not in fake.prompts[0]
    expect(options).to_have_count(0)


def test_the_candidates_are_of_the_active_object_on_this_frame(
    opened: Callable[..., Page], fake: Fake
) -> None:
    fake.read_as(0.7, 0.9)
    prompts = [marks(1, (100, 100)), marks(2, (300, 330)), marks(2, (300, 100), time=1.0, candidate=0)]
    page = opened(candidates=True, objects=[MAN, BALL], prompts=prompts)
    row, options = page.locator(".candidates"), page.locator(".reading")
    expect(options).to_have_count(2)
    button(page, "Ball").click()
    until(lambda: "/media/one/frames/0/candidates?object=2&rev=r0" in fake.asked)
    expect(row).to_be_visible()
    place, whole = row.bounding_box(), box_of(page)
    assert place is not None and place["y"] < whole["y"] + whole["height"] / 2, "it does not hide the click"
    move_to(page, 5)
    expect(row).to_be_hidden()
    move_to(page, 10)
    expect(page.get_by_role("button", name="Option 1: 70%", pressed=True)).to_be_visible()
    page.keyboard.press("o")
    expect(row).to_be_hidden()


def test_the_tint_is_chosen_and_remembered(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    tint = page.get_by_role("combobox", name="How the mask is drawn")
    expect(tint).to_have_value("")
    click(page, 100, 100)
    settled(page, fake, 1)
    for style in ("strong", "solid", "outline"):
        tint.select_option(style)
        until(lambda: f"/media/one/frames/0?view=mask-{style}&rev=r1" in fake.asked)  # noqa: B023
    assert page.evaluate("localStorage.getItem('recorte.tint')") == "outline"
    button(page, "Cut-out").click()
    until(lambda: "/media/one/frames/0?view=cutout&rev=r1" in fake.asked)
    page.reload()
    expect(tint).to_have_value("outline")


def test_candidates_with_names_are_called_by_them(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(candidates=True)
    fake.read_as(0.3, 0.2, 1.0, names=("one", "more", "all"))
    click(page, 100, 100)
    options = page.get_by_role("group", name="Which one?").get_by_role("button")
    expect(options).to_have_text(["This one", "With what it holds", "All"])
    expect(page.get_by_role("button", name="Option 3: All", pressed=True)).to_be_visible()
    page.keyboard.press("1")
    settled(page, fake, 2)
    assert fake.prompts[0]["candidate"] == 0
    expect(page.get_by_role("button", name="Option 1: This one", pressed=True)).to_be_visible()


def test_without_candidates_no_choice_is_offered(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    fake.read_as(0.7, 0.9)
    click(page, 100, 100)
    settled(page, fake, 1)
    assert not any("candidates" in url for url in fake.asked), "this model has none"
    for readings in (None, []):
        fake.value = Fake.session("two" if readings is None else "three", candidates=True)
        fake.readings = readings
        page.locator("#push").click()
        expect(page.locator(".mark")).to_have_count(0)
        asked = len(fake.asked)
        click(page, 100, 100)
        until(lambda: any("candidates" in url for url in fake.asked[asked:]))  # noqa: B023
        expect(picture(page)).to_have_attribute("aria-busy", "false")
        expect(page.locator(".candidates")).to_be_hidden()
        expect(page.locator("[data-part=message]")).to_have_text("")


def test_frames_to_check_are_on_the_timeline(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(checks=[3.2, 0.9, 3.2], prompts=[marks(1, (100, 100), time=2.0)])
    count = page.locator("[data-part=count]")
    expect(page.get_by_role("group", name="Frames to check").get_by_role("button")).to_have_count(2)
    button(page, "Check here: 3.2 s").click()
    expect(count).to_have_text("Frame 33 of 40")
    for frame in (10, 33):
        page.keyboard.press("n")
        expect(count).to_have_text(f"Frame {frame} of 40")
    button(page, "Check here: 0.9 s").press("Enter")
    expect(count).to_have_text("Frame 10 of 40")
    page.get_by_role("button", name="Go to the marks at 00:02.00").click()
    expect(count).to_have_text("Frame 21 of 40")
    fake.value = Fake.session("one", rev="r1")
    page.locator("#push").click()
    expect(page.locator(".triangle")).to_have_count(0)


def test_the_first_mask_of_a_frame_is_announced_as_slow(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened(reads=True, model="sam")
    waiting = page.locator("[data-part=thinking]")

    def said(x: float, words: str) -> None:
        fake.thought.clear()
        click(page, x, 100)
        expect(page.locator(".mark")).to_have_count(len(range(100, int(x) + 1, 100)))
        expect(waiting).to_be_visible()
        expect(waiting).to_have_text(words)
        fake.thought.set()
        expect(waiting).to_be_hidden()

    said(100, "Reading the frame…")
    said(200, "Thinking…")
    fake.value = answer_edit(fake.edits[-1], rev="other", model="another", seq=None)
    page.locator("#push").click()
    until(lambda: any("rev=other" in url for url in fake.asked))
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    fake.thought.clear()
    move_to(page, 7)
    expect(waiting).to_have_text("Reading the frame…")
    page.get_by_role("button", name="spanish").click()
    expect(waiting).to_have_text("Leyendo el fotograma…")
    page.get_by_role("button", name="english").click()
    fake.thought.set()


def test_a_crowded_stage_is_no_wider_than_the_page(chrome: Browser, fake: Fake, address: str) -> None:
    fake.reset()
    fake.read_as(0.7, 0.9, 0.8)
    long = {"number": 3, "name": "A name as long as a name may be, and that is sixty characters", "on": False}
    crowd = {"objects": [MAN, BALL, long], "palette": PALETTE, "candidates": True, "checks": [0.0, 1.0, 3.9]}
    fake.value = Fake.session("one", prompts=[marks(1, (100, 100)), marks(3, (300, 300))], **crowd)
    for width in (390, 1024, 1440):
        context = chrome.new_context(viewport={"width": width, "height": 800}, locale="es-MX")
        page = context.new_page()
        page.goto(address)
        expect(page.locator(".reading")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        row, whole = page.locator(".candidates").bounding_box(), box_of(page)
        assert row is not None and row["width"] <= whole["width"] and row["height"] <= whole["height"] / 3
        context.close()


def test_the_stage_has_the_same_text_in_both_languages() -> None:
    assert text.STAGE["en"].keys() == text.STAGE["es"].keys()
    fields = re.compile(r"\{\w+\}")
    for key, english in text.STAGE["en"].items():
        assert sorted(fields.findall(english)) == sorted(fields.findall(text.STAGE["es"][key])), key


def test_the_templates_contain_nothing_that_gradio_replaces() -> None:
    component = create_stage()
    for template in (component.html_template, component.css_template):
        assert not re.search(r"`|\$\{|\{\{|\\|@children", template)


# ---------------------------------------------------------------- the crop

CROP = {"width": 202, "height": 360}


def report_cut(fake: Fake, done: int) -> None:
    """Report that so many frames are cut, and the crop's windows once all are."""
    state = "done" if done == FRAMES else "cutting"
    fake.report = {"state": state, "ready": [[0, done]], "checks": [], "done": done, "total": FRAMES}
    fake.report |= {"rate": 8.0, "left": 1.0, "message": ""}
    fake.corners = [[n * 10, 0] for n in range(FRAMES)] if done == FRAMES else []


def crop_window(page: Page) -> tuple[float, float]:
    """Return left and width of the crop's window, in pixels of the frame."""
    window = page.locator("[data-part=crop]").bounding_box()
    assert window is not None
    box = box_of(page)
    unit = WIDTH / box["width"]
    assert window["height"] == pytest.approx(box["height"], abs=1.5)
    return (window["x"] - box["x"]) * unit, window["width"] * unit


def test_the_crop_is_in_the_middle_until_its_windows_are_known(
    opened: Callable[..., Page], fake: Fake
) -> None:
    report_cut(fake, 10)
    page = opened(crop=CROP)
    window = page.locator("[data-part=crop]")
    expect(window).to_be_hidden()  # in the view of the mask
    button(page, "Cut-out").click()
    expect(window).to_be_visible()
    expect(window).to_have_class("crop guess")
    assert crop_window(page) == pytest.approx((219, 202), abs=2)
    report_cut(fake, FRAMES)
    expect(window).to_have_class("crop")
    assert crop_window(page) == pytest.approx((0, 202), abs=2)
    move_to(page, 12)
    assert crop_window(page) == pytest.approx((120, 202), abs=2)
    button(page, "Original").click()
    expect(window).to_be_hidden()
    # For other marks there are other windows.
    button(page, "Mask").click()
    report_cut(fake, 10)
    click(page, 320, 90)
    settled(page, fake, 1)
    button(page, "Cut-out").click()
    expect(window).to_have_class("crop guess")
    fake.value = Fake.session("one", rev="r9", crop=None)
    page.locator("#push").click()
    expect(window).to_be_hidden()


def test_another_crop_replaces_the_result_by_a_frame_as_it_will_look(
    opened: Callable[..., Page], fake: Fake
) -> None:
    report_cut(fake, FRAMES)
    result = {"url": "/media/one/results/7.webm", "type": "video/webm", "outdated": False}
    page = opened()
    fake.value = Fake.session("one", result=result)
    page.locator("#push").click()
    expect(page.locator("video")).to_be_visible()
    fake.value = Fake.session("one", result=result | {"outdated": True}, crop=CROP)
    page.locator("#push").click()
    expect(page.locator("video")).to_be_hidden()
    expect(page.locator("[data-part=message]")).to_contain_text("One frame as it will look")
    expect(page.locator("[data-part=crop]")).to_have_class("crop")
    move_to(page, 3)
    assert crop_window(page) == pytest.approx((30, 202), abs=2)


def test_a_cropped_result_is_not_compared_with_whole_frames(opened: Callable[..., Page], fake: Fake) -> None:
    page = opened()
    result = {"url": "/media/one/results/7.webm", "type": "video/webm", "outdated": False}  # of 32 × 32
    fake.value = Fake.session("one", result=result, crop=CROP)
    page.locator("#push").click()
    expect(page.locator("video")).to_be_visible()
    expect(page.locator("[data-part=compare]")).to_be_hidden()
