"""The page end to end: the real server, the real database, a real browser."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
from playwright.sync_api import Download, Locator, Page, Route, expect

from tests import ffprobe
from tests.ui.conftest import Server
from tests.waiting import until

Visit = Callable[..., Page]

WIDTH, HEIGHT = 320, 180

SILENCE_MS = 300
"""Time in which what must not be sent would be."""


# ---------------------------------------------------------------- what a hand does


def upload(page: Page, file: Path) -> None:
    page.locator("#drop input[type=file]").set_input_files(file)


def ready(page: Page) -> None:
    """Wait until a session is on the stage and its picture is loaded."""
    expect(page.locator("#side")).to_be_visible()
    expect(page.locator("[data-part=slider]")).not_to_have_attribute("max", "0")
    expect(picture(page)).to_have_attribute("aria-busy", "false")


def picture(page: Page) -> Locator:
    return page.locator("[data-part=picture]")


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    picture(page).scroll_into_view_if_needed()
    box = picture(page).bounding_box()
    assert box is not None
    return box["x"] + x * box["width"] / WIDTH, box["y"] + y * box["height"] / HEIGHT


def choose(page: Page, kind: str) -> None:
    page.locator("#kind").get_by_text(kind, exact=True).click()


def choose_format(page: Page, label: str) -> None:
    page.locator("#format input").click()
    page.get_by_role("option", name=label, exact=True).click()


def chosen_format(page: Page) -> Locator:
    return page.locator("#format input")


def make(page: Page) -> None:
    page.locator("#make").click()
    done(page)


def done(page: Page) -> None:
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#progress")).to_contain_text("Done in")


def download(page: Page, label: str) -> Download:
    with page.expect_download() as waiting:
        page.locator("#downloads a", has_text=label).click()
    return waiting.value


def session(page: Page) -> str:
    """Return the session id in the page's address."""
    page.wait_for_url(re.compile("session="))
    return page.url.split("session=")[1].split("&")[0]


def address(server: Server, id: str) -> str:
    return f"{server.url}/?session={id}"


def started(server: Server, visit: Visit, file: Path) -> Page:
    """Open a page and upload a clip to it."""
    page = visit(server.url)
    upload(page, file)
    ready(page)
    return page


# ---------------------------------------------------------------- arriving


def test_the_sample_is_one_click_away(server: Server, visit: Visit) -> None:
    page = visit(server.url)
    expect(page).to_have_title("Recorte")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.locator("#sample").click()
    ready(page)
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#name input, #name textarea")).to_have_value("sample.mp4")
    facts = page.locator("#facts").inner_text()
    assert re.fullmatch(r"\d+ × \d+ · [\d.:]+ (s|min) · [\d.]+/s · with sound", facts.strip()), facts


def test_an_upload_shows_the_videos_properties(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    expect(page.locator("#facts")).to_have_text("320 × 180 · 1.0 s · 24/s · with sound")
    expect(page.locator("#size")).to_be_hidden()  # which only a picture's result has
    folder = server.sessions / session(page)
    assert (folder / "source.mp4").read_bytes() == clip.read_bytes()
    left = [p for p in (server.home / "uploads").rglob("*") if p.is_file() and p.stat().st_size]
    assert left == []
    assert server.status(f"/gradio_api/file={folder / 'source.mp4'}") in (403, 404)


def test_a_file_that_is_no_video_is_refused_with_a_sentence(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "letter.mp4"
    bad.write_text("Dear all, this is no video.\n" * 40)
    before = server.lasting_files()
    page = visit(server.url)
    upload(page, bad)
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("letter.mp4")
    assert not set(server.lasting_files()) - set(before)
    assert [p for p in (server.home / "uploads").rglob("*") if p.is_file() and p.stat().st_size] == []
    upload(page, clip)  # and the page goes on
    ready(page)
    expect(page.locator("#facts")).to_contain_text("320 × 180")


def test_no_event_is_lost_that_arrives_as_the_one_before_it_ends(
    server: Server, visit: Visit, clip: Path
) -> None:
    """The list of sessions is opened while the page's load event is still being handled."""
    page = started(server, visit, clip)
    mine = session(page)
    for _ in range(10):
        page.goto(f"{server.url}/?session={uuid4()}")
        expect(page.locator("#drop")).to_be_visible()
        page.get_by_role("tab", name="Sessions").click()
        expect(page.locator(f'.card[data-id="{mine}"]')).to_be_visible()
        page.wait_for_load_state("networkidle")  # its stream is closed, and not cut off by leaving


# ---------------------------------------------------------------- saying what to keep


def test_marks_change_the_mask_and_stay(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    asked: list[str] = []
    page.on("response", lambda r: asked.append(r.url) if "view=mask" in r.url and r.ok else None)
    page.mouse.click(*on_screen(page, 170, 130))
    page.mouse.click(*on_screen(page, 20, 20), button="right")
    page.mouse.move(*on_screen(page, 90, 20))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 200, 90))
    page.mouse.move(*on_screen(page, 260, 175))
    page.mouse.up()
    expect(page.locator(".dot.keep[aria-label]")).to_have_count(1)
    expect(page.locator(".dot.remove[aria-label]")).to_have_count(1)
    expect(page.locator(".boxes .box")).to_have_count(1)

    def follows_the_marks() -> bool:
        expect(picture(page)).to_have_attribute("aria-busy", "false")  # the page is heard while it is asked
        if not asked:
            return False
        shown = pixels(page, asked[-1])
        plain = pixels(page, re.sub(r"view=mask.*", "view=original", asked[-1]))
        tinted = np.abs(shown.astype(int) - plain).max(axis=2) > 24
        inside, outside = tinted[120:140, 160:180].mean(), tinted[:15, :40].mean()
        return bool(0.05 < tinted.mean() < 0.7 and inside > 0.9 and outside < 0.1)

    until(follows_the_marks)

    slider = page.locator("[data-part=slider]")
    slider.fill("12")
    expect(page.locator(".boxes .box")).to_have_count(0)
    slider.fill("0")
    expect(page.locator(".boxes .box")).to_have_count(1)
    expect(page.locator(".dot.keep[aria-label]")).to_have_count(1)

    page.reload()
    ready(page)
    expect(page.locator(".boxes .box")).to_have_count(1)
    expect(page.locator(".dot.remove[aria-label]")).to_have_count(1)


def pixels(page: Page, url: str) -> np.ndarray:
    response = page.request.get(url)
    assert response.ok, response.text()
    image = cv2.imdecode(np.frombuffer(response.body(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


# ---------------------------------------------------------------- what stands behind


def test_backgrounds_and_formats_agree(server: Server, visit: Visit, clip: Path, tmp_path: Path) -> None:
    page = started(server, visit, clip)
    expect(chosen_format(page)).to_have_value(re.compile("MP4"))
    page.locator("#swatch-blue").click()
    choose(page, "Blur")
    expect(page.locator("#radius")).to_be_visible()
    expect(page.locator("#colours")).to_be_hidden()
    choose(page, "Picture")
    expect(page.locator("#pictures")).to_be_visible()
    red = tmp_path / "red.png"
    cv2.imwrite(str(red), np.full((90, 90, 3), (0, 0, 220), np.uint8))
    page.locator("#pictures input[type=file]").set_input_files(red)
    until(lambda: list((server.sessions / session(page)).glob("background-*.png")))
    page.locator("#fit").get_by_text("Stretch").click()
    studio = page.get_by_role("button", name="Studio")
    expect(studio).to_have_css("background-image", re.compile("/media/scenes/studio"))
    assert pixels(page, server.url + "/media/scenes/studio").shape[:2] == (108, 192)
    assert server.status("/media/scenes/..%2Fsample") == 404 and server.status("/media/scenes/x") == 422
    studio.click()
    expect(studio).to_have_class(re.compile(r"\bchosen\b"))
    until(lambda: (server.sessions / session(page) / "background-studio.jpg").exists())

    choose(page, "Transparent")
    expect(chosen_format(page)).to_have_value(re.compile("WebM"))
    choose_format(page, "MP4 · H.264")
    expect(page.locator("#kind input:checked")).to_have_attribute("value", "colour")
    expect(chosen_format(page)).to_have_value(re.compile("MP4"))
    expect(page.locator("#colours")).to_be_visible()


def test_a_preview_gives_six_pairs(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    page.locator("#preview").click()
    expect(page.locator(".previews figure")).to_have_count(6)
    expect(page.locator("#gallery [role=status]")).to_have_count(0)
    for image in page.locator(".previews img").all():
        image.scroll_into_view_if_needed()
        until(lambda image=image: image.evaluate("i => i.complete"))
        assert image.evaluate("i => i.naturalWidth") == WIDTH
    over = page.locator(".previews img").first.get_attribute("src")
    assert over is not None
    corner = pixels(page, server.url + over)[5, 5]
    assert np.abs(corner.astype(int) - (64, 177, 0)).max() < 12  # laid over the green


# ---------------------------------------------------------------- the result


def test_a_run_can_be_watched_and_cancelled(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    folder = server.sessions / session(page)
    page.locator("#make").click()
    line = page.locator("#progress")
    expect(line).to_contain_text(
        re.compile(r"Cutting out: \d+ of 180 frames · [\d.]+/s · [\d.:]+ (s|min) left")
    )
    expect(page.locator("#make")).to_be_hidden()
    first = int(re.search(r": (\d+) of", line.inner_text())[1])  # type: ignore[index]
    until(lambda: int(re.search(r": (\d+) of", line.inner_text())[1]) > first)  # type: ignore[index]
    page.locator("#cancel").click()
    expect(line).to_contain_text("Cancelled")
    until(lambda: not [p for p in folder.iterdir() if p.name.startswith(".")])
    expect(page.locator("#make")).to_be_visible()
    assert not list(folder.glob("result-*"))
    assert page.locator("#downloads a").count() == 0


def test_a_run_waits_for_a_choice_that_is_being_saved(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url)
    upload(page, clip)
    ready(page)
    sent: list[Route] = []
    page.route("**/queue/join*", lambda route: sent.append(route))
    with page.expect_request("**/queue/join*"):
        choose(page, "Transparent")
    page.locator("#make").click()
    page.wait_for_timeout(SILENCE_MS)
    (saving,) = sent
    saving.continue_()
    page.unroute("**/queue/join*")
    done(page)
    expect(page.locator("#downloads")).to_contain_text("WebM")


def test_results_are_downloaded_and_another_background_is_cheap(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    folder = server.sessions / session(page)
    make(page)
    expect(page.locator("[data-part=video]")).to_have_attribute("src", re.compile("/results/"))
    matte = (folder / "matte.mkv").stat().st_mtime_ns

    got = download(page, "MP4")
    assert got.suggested_filename == "figure-recorte.mp4"
    mp4 = tmp_path / "out.mp4"
    got.save_as(mp4)
    assert ffprobe.stream(mp4)["codec_name"] == "h264"
    assert ffprobe.frame_times(mp4) == ffprobe.frame_times(clip)
    assert ffprobe.stream(mp4, "audio")["codec_name"] == "aac"
    green = ffprobe.frames(mp4)[:, 4, 4]
    assert np.abs(green.astype(int) - (0, 177, 64)).max() < 16

    old = page.get_by_text("This result was made before your last change.")
    expect(old).to_have_count(0)
    said: list[str] = []
    choose(page, "Transparent")
    expect(old).to_be_visible()
    expect(chosen_format(page)).to_have_value(re.compile("WebM"))
    page.locator("#make").click()
    until(lambda: said.append(page.locator("#progress").inner_text()) or "Done in" in said[-1])
    assert not any("Cutting out" in line for line in said), said
    assert (folder / "matte.mkv").stat().st_mtime_ns == matte
    expect(page.locator("#downloads a")).to_have_count(2)
    expect(old).to_have_count(0)

    got = download(page, "WebM")
    assert got.suggested_filename == "figure-recorte.webm"
    webm = tmp_path / "out.webm"
    got.save_as(webm)
    assert ffprobe.stream(webm)["codec_name"] == "vp9"
    assert ffprobe.stream(webm, "audio")["codec_name"] == "opus"
    alpha = ffprobe.frames(webm, "rgba")[..., 3]
    assert len(alpha) == 24
    assert alpha[:, 4, 4].max() < 10 and (alpha > 240).mean() > 0.02


def test_a_part_is_kept_by_handle_and_by_typing(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    with until_handled(page):
        page.locator(".handle.start").fill("6")
    with until_handled(page):
        page.get_by_label("to", exact=True).fill("0:00.75")
        page.get_by_label("to", exact=True).press("Enter")
    expect(page.locator("[data-part=count]")).to_have_text("Frame 18 of 24")
    make(page)
    part = tmp_path / "part.mp4"
    download(page, "MP4").save_as(part)
    assert ffprobe.frame_times(part) == ffprobe.frame_times(clip)[:12]
    kept = ffprobe.frames(clip)[6:18, 60:, 100:220].astype(int)  # where the figure is
    same = np.abs(ffprobe.frames(part)[:, 60:, 100:220].astype(int) - kept).max(axis=3) < 24
    assert same.mean(axis=(1, 2)).min() > 0.2
    assert float(ffprobe.sound_duration(part)) < 0.6
    page.reload()
    ready(page)
    expect(page.get_by_label("From", exact=True)).to_have_value("00:00.25")
    expect(page.get_by_label("to", exact=True)).to_have_value("00:00.75")


@contextmanager
def until_handled(page: Page) -> Iterator[None]:
    """Wait, after a change on the page, until the server has handled it."""
    with page.expect_event("requestfinished", lambda r: "/gradio_api/queue/data" in r.url):
        yield


def test_a_video_behind_edges_and_a_small_gif(
    server: Server, visit: Visit, clip: Path, long_clip: Path, tmp_path: Path
) -> None:
    page = started(server, visit, clip)
    folder = server.sessions / session(page)
    choose(page, "Video")
    bad = tmp_path / "letter.mp4"
    bad.write_text("Dear all, this is no video.\n" * 40)
    film = page.locator("#footage input[type=file]")
    film.set_input_files(bad)
    expect(page.get_by_test_id("toast-body")).to_contain_text("letter.mp4")
    film.set_input_files(long_clip)
    until(lambda: [p for p in folder.glob("background-*") if p.stat().st_size == long_clip.stat().st_size])
    page.get_by_text("Hold its last frame").click()
    expect(page.locator("#whose")).to_be_hidden()
    expect(page.locator("#sound")).to_be_visible()
    film.set_input_files(clip)  # this one is heard
    expect(page.locator("#whose")).to_be_visible()
    expect(page.locator("#sound")).to_be_hidden()

    page.locator("#preview").click()
    shown = page.locator(".previews img").first
    expect(page.locator(".previews figure")).to_have_count(6)
    before = shown.get_attribute("src")
    page.locator("#edges").get_by_role("button", name="Edges").click()
    page.get_by_label("Take the old background's colour out").click()
    expect(shown).not_to_have_attribute("src", str(before))

    expect(page.locator("#quality")).to_be_visible()
    choose_format(page, "PNG sequence")
    expect(page.locator("#quality")).to_be_hidden()
    choose_format(page, "GIF")
    expect(page.locator("#whose")).to_be_hidden()
    with until_handled(page):
        page.locator("#quality").get_by_text("Small").click()
    page.locator("#advanced").get_by_role("button", name="Advanced").click()
    page.locator("#rate input").click()
    with until_handled(page):
        page.get_by_role("option", name="50", exact=True).click()
    make(page)
    expect(page.locator("[data-part=still]")).to_be_visible()
    gif = tmp_path / "out.gif"
    download(page, "GIF").save_as(gif)
    assert ffprobe.stream(gif)["codec_name"] == "gif" and len(ffprobe.frames(gif)) == 50


# ---------------------------------------------------------------- coming back


def test_a_run_continues_when_its_tab_is_closed(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    page.locator("#swatch-black").click()
    page.locator("#make").click()
    expect(page.locator("#progress")).to_contain_text("of 180 frames")
    id = session(page)
    page.context.close()

    page = visit(server.url)  # without the session's address: what runs is found
    expect(page.locator("#progress")).to_contain_text("of 180 frames")
    assert session(page) == id
    page.reload()
    done(page)
    expect(page.locator("#downloads a")).to_have_count(1)

    page = visit(address(server, id))
    ready(page)
    expect(page.locator("#downloads a")).to_have_count(1)
    expect(page.locator("[data-part=video]")).to_be_visible()


def test_sessions_are_listed_opened_and_deleted(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    older = session(page)
    make(page)
    page.locator("#another").click()
    expect(page.locator("#drop")).to_be_visible()
    upload(page, clip)
    ready(page)
    until(lambda: session(page) != older)
    newer = session(page)
    name = page.locator("#name input, #name textarea")
    name.fill("A beach, with <b>people</b>")
    name.press("Enter")
    choose(page, "Blur")
    expect(page.locator("#radius")).to_be_visible()

    page.get_by_role("tab", name="Sessions").click()
    cards = page.locator(".card")
    expect(cards.first).to_have_attribute("data-id", newer)
    expect(cards.nth(1)).to_have_attribute("data-id", older)
    expect(cards.first.locator("h3")).to_have_text("A beach, with <b>people</b>")
    expect(cards.first).to_contain_text("Recorte")
    expect(cards.first).to_contain_text("blur")
    expect(cards.first).to_contain_text("ready")
    expect(cards.nth(1)).to_contain_text("done")
    expect(cards.nth(1)).to_contain_text(re.compile(r"took [\d.]+ s"))
    expect(cards.nth(1)).to_contain_text(re.compile(r"\d\d?/\d\d?/20\d\d"))
    until(lambda: cards.nth(1).locator("img").evaluate("i => i.naturalWidth") > 0)

    page.get_by_label("Search by name").fill("beach")
    expect(cards).to_have_count(1)
    page.get_by_label("Search by name").fill("")
    expect(cards.nth(1)).to_be_visible()

    star = cards.nth(1).get_by_role("button", name="Star")
    for pressed in ("true", "false", "true"):
        star.click()
        expect(star).to_have_attribute("aria-pressed", pressed)

    cards.nth(1).get_by_role("button", name="Open").click()
    ready(page)
    until(lambda: session(page) == older)
    expect(page.locator("#downloads a")).to_have_count(1)

    page.get_by_role("tab", name="Sessions").click()
    card = page.locator(f'.card[data-id="{older}"]')
    card.get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    assert (server.sessions / older).exists()  # for as long as it can be brought back
    page.get_by_role("tab", name="Cut out").click()
    expect(page.locator("#drop")).to_be_visible()  # it was the one on the stage

    page = visit(address(server, older))
    expect(page.get_by_test_id("toast-body")).to_contain_text("This session does not exist")
    expect(page.locator("#drop")).to_be_visible()


def test_actions_on_a_session_deleted_meanwhile_are_refused_with_a_sentence(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    gone = session(page)
    elsewhere = visit(server.url)
    elsewhere.get_by_role("tab", name="Sessions").click()
    card = elsewhere.locator(f'.card[data-id="{gone}"]')
    page.route("**/version", lambda route: route.abort())  # it would be told of it
    card.get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    toast = page.get_by_test_id("toast-body")
    for ask in (
        lambda: page.mouse.click(*on_screen(page, 170, 130)),
        lambda: page.locator("#quality").get_by_text("Small", exact=True).click(),
        lambda: choose(page, "Blur"),
        lambda: page.locator("#make").click(),
    ):
        ask()
        expect(toast).to_contain_text(f"There is no session {gone}.")
        page.get_by_test_id("toast-close").click()
        expect(toast).to_have_count(0)


def test_an_unknown_session_gives_a_message(server: Server, visit: Visit) -> None:
    page = visit(address(server, "nonsense"))
    expect(page.get_by_test_id("toast-body")).to_contain_text("This session does not exist")
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator("#side")).to_be_hidden()


def test_a_killed_server_restarts_with_its_sessions(
    server: Server, visit: Visit, clip: Path, long_clip: Path
) -> None:
    page = started(server, visit, clip)
    make(page)
    finished = session(page)
    page.locator("#another").click()
    upload(page, long_clip)
    ready(page)
    until(lambda: session(page) != finished)
    cut_short = session(page)
    page.locator("#make").click()
    expect(page.locator("#progress")).to_contain_text("of 180 frames")
    page.context.close()
    server.stop(signal.SIGKILL)
    server.start()

    page = visit(address(server, cut_short))
    ready(page)
    expect(page.locator("#progress [role=alert]")).to_contain_text("stopped before this was finished")
    expect(page.locator("#make")).to_be_visible()
    page.get_by_role("tab", name="Sessions").click()
    expect(page.locator(f'.card[data-id="{cut_short}"]')).to_contain_text("interrupted")
    expect(page.locator(f'.card[data-id="{finished}"]')).to_contain_text("done")
    assert not list((server.sessions / cut_short).glob("result*"))


# ---------------------------------------------------------------- all kinds of visitors


def test_the_page_is_shown_in_spanish(server: Server, visit: Visit, clip: Path) -> None:
    page = visit(server.url, locale="es-ES")
    expect(page.locator("#sample")).to_have_text("Probar el vídeo de muestra")
    assert page.evaluate("document.documentElement.lang") == "es"
    upload(page, clip)
    ready(page)
    expect(page.locator("#make")).to_have_text("Hacer el vídeo")
    expect(page.locator("#facts")).to_contain_text("con sonido")
    expect(page.locator("#about-model")).to_contain_text("Viene con la aplicación")
    expect(page.locator("[data-view=cutout]")).to_have_text("Recorte")
    expect(page.get_by_role("tab", name="Sesiones")).to_be_visible()


def test_nothing_scrolls_sideways(server: Server, visit: Visit, clip: Path) -> None:
    widths = (1440, 1024, 390)

    def fits() -> None:
        for width in widths:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width

    page = visit(server.url)
    fits()
    upload(page, clip)
    ready(page)
    fits()
    page.get_by_role("tab", name="Sessions").click()
    expect(page.locator(".card").first).to_be_visible()
    fits()


def test_too_large_an_upload_is_refused_with_a_sentence(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(clip.read_bytes() + bytes(9_000_000))
    before = server.lasting_files()
    page = visit(server.url)
    upload(page, large)
    expect(page.locator("#refused")).to_contain_text("large.mp4: this file is too large")
    assert not set(server.lasting_files()) - set(before)
