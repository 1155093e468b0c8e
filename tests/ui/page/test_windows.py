"""Several windows on one session, the list of sessions, and error messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import Server, running_with_stand_ins
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, address, make, on_screen, ready, session, started, upload
from tests.waiting import until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with stand-ins among its models, and no network."""
    # One test has a model fail.
    with running_with_stand_ins(HF_ENDPOINT="http://127.0.0.1:9", but_for="ZeroDivisionError") as server:
        yield server


def dots(page: Page) -> Locator:
    return page.locator(".dot.keep[aria-label]")


def test_marks_set_in_two_windows_are_put_together(server: Server, visit: Visit, clip: Path) -> None:
    one = started(server, visit, clip)
    choose_model(one, "Pointing")
    other = visit(address(server, session(one)))
    ready(other)
    other.route("**/version", lambda route: route.abort())  # it does not hear of what the first one does
    one.mouse.click(*on_screen(one, 80, 90))
    expect(dots(one)).to_have_count(1)
    until(lambda: one.evaluate("document.querySelector('[data-part=picture]').ariaBusy") == "false")
    expect(dots(other)).to_have_count(0)
    other.mouse.click(*on_screen(other, 220, 90))
    expect(dots(other)).to_have_count(2)  # the answer has both
    expect(dots(one)).to_have_count(2)  # and the first one is brought up to date
    other.reload()
    ready(other)
    expect(dots(other)).to_have_count(2)


def test_a_choice_in_one_window_is_seen_in_the_other(server: Server, visit: Visit, long_clip: Path) -> None:
    one = started(server, visit, long_clip)  # its run outlasts the time between two looks
    other = visit(address(server, session(one)))
    ready(other)
    one.locator("#kind").get_by_text("Blur", exact=True).click()
    expect(other.locator("#radius")).to_be_visible()
    one.locator("#make").click()
    expect(other.locator("#cancel")).to_be_visible()
    expect(other.locator("#progress")).to_contain_text("Done in")


def test_a_run_begun_in_another_window_is_seen_in_an_open_list(
    server: Server, visit: Visit, lasting_clip: Path
) -> None:
    one = started(server, visit, lasting_clip)
    choose_model(one, "Dwelling")
    other = visit(server.url)
    other.get_by_role("tab", name="Sessions").click()
    card = other.locator(f'.card[data-id="{session(one)}"]')
    expect(card).to_contain_text("ready")
    one.locator("#make").click()
    expect(card).to_contain_text(re.compile(r"running · [1-9]\d* of 2400 frames"))
    one.locator("#cancel").click()
    expect(card).to_contain_text("cancelled")


def test_frames_to_check_are_shown_when_a_run_is_done(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Doubting")
    make(page)
    expect(page.locator("#progress")).to_contain_text("but look at 2 places")
    places = page.locator("#progress .places button")
    expect(places).to_have_count(2)
    until(lambda: places.nth(1).locator("img").evaluate("i => i.naturalWidth") > 0)
    places.nth(1).click()
    expect(page.locator("[data-part=slider]")).to_have_value("20")
    expect(page.locator("[data-view=result]")).to_have_attribute("aria-pressed", "false")


def test_marks_that_a_model_does_not_take_are_kept_and_the_page_says_so(
    server: Server, visit: Visit, clip: Path
) -> None:
    page = started(server, visit, clip)
    choose_model(page, "Threshold")
    page.mouse.click(*on_screen(page, 80, 90))
    expect(dots(page)).to_have_count(1)
    expect(page.locator("[data-part=diamonds] button")).to_have_count(1)
    choose_model(page, "Blind")
    expect(page.locator("[data-part=message]")).to_contain_text("takes no marks: yours are kept")
    expect(dots(page)).to_have_count(0)
    expect(page.locator("[data-part=diamonds] button")).to_have_count(0)
    choose_model(page, "Threshold")
    expect(dots(page)).to_have_count(1)
    expect(page.locator("[data-part=message]")).to_have_text("")


def test_a_cancelled_run_is_continued(server: Server, visit: Visit, long_clip: Path) -> None:
    page = started(server, visit, long_clip)
    choose_model(page, "Dwelling")
    page.locator("#make").click()
    expect(page.locator("#progress")).to_contain_text(re.compile(r"[1-9]\d of 180 frames"))
    page.locator("#cancel").click()
    expect(page.locator("#progress")).to_contain_text("is kept, and can be continued")
    expect(page.locator("#make")).to_have_text("Continue")


def test_sessions_are_renamed_deleted_and_restored_in_their_list(
    server: Server, visit: Visit, lasting_clip: Path
) -> None:
    page = started(server, visit, lasting_clip)
    id = session(page)
    choose_model(page, "Dwelling")
    page.locator("#make").click()
    page.get_by_role("tab", name="Sessions").click()
    card = page.locator(f'.card[data-id="{id}"]')
    # It follows the run without being asked.
    expect(card).to_contain_text(re.compile(r"running · [1-9]\d* of 2400 frames"))
    expect(card.get_by_role("progressbar", name="Progress of lasting.mp4")).to_be_visible()
    expect(card).to_contain_text(re.compile(r"of 2400 frames · [\d.:]+ (s|min|h) left"))
    before = card.locator("progress").get_attribute("value")
    until(lambda: card.locator("progress").get_attribute("value") not in (before, None))

    card.get_by_role("button", name="Rename").click()
    name = card.get_by_role("textbox")
    name.fill("Our <b>beach</b>")
    # The list is drawn anew meanwhile, and what is being written stays.
    bar = card.locator("progress")
    drawn = bar.evaluate_all("bars => bars.map((one) => one.value)")
    until(lambda: bar.evaluate_all("bars => bars.map((one) => one.value)") != drawn)
    expect(name).to_have_value("Our <b>beach</b>")
    name.press("Enter")
    expect(card.locator("h3")).to_have_text("Our <b>beach</b>")
    page.get_by_role("tab", name="Cut out").click()
    expect(page.locator("#name input, #name textarea")).to_have_value("Our <b>beach</b>")

    page.get_by_role("tab", name="Sessions").click()
    page.get_by_label("Search by name").fill("nobody's")
    expect(page.locator("#cards")).to_contain_text("No session has “nobody's” in its name.")
    expect(page.locator("#cards")).not_to_contain_text("No sessions yet")
    page.get_by_label("Search by name").fill("")

    card.get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    expect(page.get_by_text("“Our <b>beach</b>” is deleted.")).to_be_visible()
    page.get_by_role("button", name="Undo").last.click()
    expect(card).to_be_visible()
    expect(card).to_contain_text("cancelled")


def test_the_address_of_an_unknown_session_is_not_kept(server: Server, visit: Visit) -> None:
    page = visit(address(server, "00000000-0000-4000-8000-000000000000"))
    expect(page.get_by_test_id("toast-body")).to_contain_text("This session does not exist")
    until(lambda: "session=" not in page.evaluate("location.href"))


def test_errors_are_shown_in_spanish(server: Server, visit: Visit, clip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "carta.mp4"
    bad.write_text("Dear all, this is no video.\n" * 40)
    page = visit(server.url, locale="es-ES")
    upload(page, bad)
    expect(page.get_by_test_id("toast-body")).to_contain_text("carta.mp4: esto no se puede leer como vídeo")
    page.get_by_test_id("toast-close").click()
    upload(page, clip)
    ready(page)
    choose_model(page, "Pointing")
    page.locator("#make").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Haz clic primero en el sujeto")
    choose_model(page, "Failing")
    page.locator("#make").click()
    expect(page.locator("#progress [role=alert]")).to_contain_text("Algo ha fallado dentro del programa")


def test_a_file_of_another_kind_is_refused_in_spanish(
    server: Server, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    letter = tmp_path / "carta.txt"
    letter.write_text("Querida Ana:")
    page = visit(server.url, locale="es-ES")
    refused = page.locator("#refused")
    upload(page, letter)
    expect(refused).to_have_text(
        "carta.txt: esto no es un vídeo ni una imagen. "
        "Elige un archivo MP4, MOV, MKV, WebM, JPEG o PNG, por ejemplo."
    )
    upload(page, clip)
    ready(page)
    expect(refused).to_have_count(0)
    page.locator("#kind").get_by_text("Imagen", exact=True).click()
    page.locator("#pictures input[type=file]").set_input_files(letter)
    expect(refused).to_contain_text("esto no es una imagen")
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


@pytest.mark.parametrize(("locale", "said"), [("en-GB", "cannot be reached"), ("es-ES", "no se llega a")])
def test_without_weights_making_is_disabled_and_the_page_says_why(
    server: Server, visit: Visit, clip: Path, locale: str, said: str
) -> None:
    page = visit(server.url, locale=locale)
    upload(page, clip)
    ready(page)
    expect(page.locator("#make")).to_be_enabled()
    choose_model(page, "SAM 2.1 Tiny")
    expect(page.locator("#make")).to_be_disabled()
    expect(page.locator("#progress")).to_contain_text("SAM 2.1 Tiny")
    page.locator("#download-weights").click()
    failure = page.locator("#fetching [role=alert]")
    expect(failure).to_contain_text(said)
    assert not re.search(r"Errno|python -m|/weights|RECORTE_", failure.inner_text())
    expect(page.locator(".error:visible")).to_have_count(0)
    choose_model(page, "Recorte")
    expect(page.locator("#make")).to_be_enabled()
