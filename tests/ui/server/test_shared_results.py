"""Links to single results: who makes them, what they show, and when they end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete, func, select, update
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from db.engine import Database
from db.ledger import Ledger
from db.models import ShareLink, User
from pipeline.errors import InputError
from tests.ui import line
from tests.ui.conftest import Server
from tests.ui.server.test_access import user
from ui import text
from ui.page.share_forms import share_forms
from ui.server import html_pages, media, shared_results
from ui.server.login.throttle import AddressThrottle
from ui.server.middleware.access import AccessMiddleware
from ui.server.visitors import LOCAL, Visitor
from ui.sessions.service import SessionService

pytestmark = pytest.mark.usefixtures("at_once")
UNKNOWN = "A" * 43


class HeaderAuthenticator:
    """Believes a header: `x-user` is an id; "local" is the user of a server without accounts."""

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        name = request.headers.get("x-user")
        if name is None:
            return None
        return LOCAL if name == "local" else Visitor(UUID(name), "Ana")


class Shop(NamedTuple):
    """A server with two users and a session of the first, which has two results."""

    service: SessionService
    database: Database
    ana: UUID
    ben: UUID
    session: str
    results: list[str]
    client: Callable[..., TestClient]

    def share(self, result: int = 0, days: str = "7") -> str:
        """Make a link as Ana and return its token."""
        made = self.post(f"/share/{self.session}/{self.results[result]}", days=days)
        assert made.status_code == 200
        return re.findall(r'value="http://127\.0\.0\.1:7860/shared/([\w-]+)"', made.text)[0]  # type: ignore[no-any-return]

    def post(self, path: str, who: UUID | str | None = None, **form: str) -> Any:
        return self.client(str(who or self.ana)).post(path, data=form)

    def get(self, path: str, **headers: str) -> Any:
        """Ask as somebody without an account, from an address of its own."""
        return self.client(address="10.0.0.9").get(path, headers=headers)


@pytest.fixture
def shop(database: Database, small_clip: Path, tmp_path: Path) -> Iterator[Shop]:
    with database.begin() as tx:
        rows = [User(name=f"sharer {n}", password="") for n in range(2)]
        tx.add_all(rows)
        tx.flush()
        ana, ben = (row.id for row in rows)
    with closing(Ledger(database)) as ledger:
        service = line.make_service(tmp_path, database, line.ManualRunner(ledger))
        id = line.session_maker(tmp_path, database, small_clip)(ana, "Ana's <cat>.mp4")
        results = [line.add_result(database, tmp_path, id, f"result-{n}.mp4") for n in (1, 2)]
        for n in (1, 2):
            (tmp_path / "sessions" / id / f"result-{n}.mp4").write_bytes(b"%d" % n * 1000)
        served = FastAPI()
        for routes in (shared_results.router(service), media.router(service), html_pages.router()):
            served.include_router(routes)
        app = AccessMiddleware(served, authenticator=HeaderAuthenticator())

        def client(who: str = "", address: str = "127.0.0.1") -> TestClient:
            return TestClient(
                app,
                base_url="http://127.0.0.1:7860",
                headers={"x-user": who} if who else {},
                follow_redirects=False,
                client=(address, 1),
            )

        yield Shop(service, database, ana, ben, id, results, client)
    with database.begin() as tx:
        tx.execute(delete(User).where(User.id.in_([ana, ben])))


def links(shop: Shop) -> list[ShareLink]:
    return list(shop.service.for_owner(shop.ana).share_links.list_links(shop.session))


def gone(shop: Shop, token: str) -> None:
    """Check that a token is answered like one that was never given, on both addresses."""
    for path in ("", "/file"):
        answer, unknown = (shop.get(f"/shared/{each}{path}") for each in (token, UNKNOWN))
        assert answer.status_code == unknown.status_code == 404
        assert answer.text == unknown.text and "This link leads nowhere" in answer.text


def test_a_link_shows_one_result_to_anybody(shop: Shop) -> None:
    token = shop.share()
    page = shop.get(f"/shared/{token}")
    assert page.status_code == 200
    assert "Ana&#x27;s &lt;cat&gt;-recorte.mp4" in page.text and "<cat>" not in page.text
    assert f'<video src="/shared/{token}/file" controls' in page.text
    assert "Download MP4 · H.264 · 1 kB" in page.text
    for hidden in (shop.session, *shop.results, str(shop.ana)):
        assert hidden not in page.text
    file = shop.get(f"/shared/{token}/file?download")
    assert file.content == b"1" * 1000 and file.headers["content-type"] == "video/mp4"
    assert file.headers["content-disposition"].startswith("attachment")
    for answer in (page, file):
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] in ("no-store", "private, no-cache")
    assert "media-src 'self'" in page.headers["content-security-policy"]
    head = shop.client(address="10.0.0.9").head(f"/shared/{token}/file")
    assert head.status_code == 200 and head.headers["content-length"] == "1000"


def test_only_the_hash_of_a_token_is_stored(shop: Shop) -> None:
    token = shop.share()
    assert len(token) == 43  # 32 bytes
    (link,) = links(shop)
    assert token not in repr(vars(link)) and re.fullmatch("[0-9a-f]{64}", link.token_hash)


def test_parts_of_the_file_are_served(shop: Shop) -> None:
    part = shop.get(f"/shared/{shop.share()}/file", range="bytes=10-19")
    assert (part.status_code, part.content) == (206, b"1" * 10)
    assert part.headers["content-range"] == "bytes 10-19/1000"


def test_nothing_else_of_the_session_is_reached_by_a_link(shop: Shop) -> None:
    token = shop.share(1)
    assert shop.get(f"/shared/{token}/file").content == b"2" * 1000
    for path in (
        f"/media/{shop.session}/results/{shop.results[0]}",
        f"/media/{shop.session}/times",
        f"/media/{token}/times",
    ):
        assert shop.get(path).status_code == 401
    for path in (f"/shared/{token}/times", f"/shared/{token}/file/x", "/shared/", f"/shared/{token}/../.."):
        assert shop.get(path).status_code in (401, 404)
    assert shop.client(address="10.0.0.9").post(f"/shared/{token}").status_code == 404


def test_a_link_is_followed_from_other_sites_but_not_embedded_by_them(shop: Shop) -> None:
    token = shop.share()
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "video"}
    assert shop.get(f"/shared/{token}", accept="text/html", **followed).status_code == 200
    assert shop.get(f"/shared/{token}/file", **embedded).status_code == 403


@pytest.mark.parametrize(("days", "seconds"), [("1", 86_400), ("7", 604_800), ("30", 2_592_000)])
def test_a_link_expires_by_the_clock_of_the_database(shop: Shop, days: str, seconds: int) -> None:
    token = shop.share(days=days)
    with shop.database.begin() as tx:
        (link,) = tx.scalars(select(ShareLink).where(ShareLink.owner_id == shop.ana))
        assert link.expires_at - link.created_at == timedelta(seconds=seconds)
        tx.execute(
            update(ShareLink)
            .where(ShareLink.id == link.id)
            .values(expires_at=func.now() + timedelta(seconds=60))
        )
    assert shop.get(f"/shared/{token}").status_code == 200
    with shop.database.begin() as tx:
        tx.execute(update(ShareLink).where(ShareLink.id == link.id).values(expires_at=func.now()))
    gone(shop, token)
    assert links(shop) == []
    shop.share()  # which deletes the expired ones
    with shop.database.begin() as tx:
        kept = tx.scalars(select(ShareLink.id).where(ShareLink.owner_id == shop.ana)).all()
    assert len(kept) == 1 and link.id not in kept


def test_a_revoked_link_ends(shop: Shop) -> None:
    first, second = shop.share(), shop.share()
    made = links(shop)
    assert len(made) == 2
    answer = shop.post(f"/share/{shop.session}/{made[1].id}/revoke")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?session={shop.session}")
    gone(shop, first)
    assert shop.get(f"/shared/{second}").status_code == 200
    assert [link.id for link in links(shop)] == [made[0].id]


@pytest.mark.parametrize("how", ["session", "session later", "user", "file"])
def test_a_link_ends_with_what_it_leads_to(shop: Shop, how: str) -> None:
    token, mine = shop.share(), shop.service.for_owner(shop.ana)
    if how == "session":
        mine.delete(shop.session)
    elif how == "session later":
        mine.delete_later(shop.session)
    elif how == "user":
        with shop.database.begin() as tx:
            tx.delete(tx.get_one(User, shop.ana))
    else:
        (mine.result(shop.session, shop.results[0])[0]).unlink()
    gone(shop, token)
    if how == "session later":
        mine.undelete(shop.session)
        assert shop.get(f"/shared/{token}").status_code == 200


def test_others_neither_make_nor_revoke_links(shop: Shop) -> None:
    token = shop.share()
    (link,) = links(shop)
    make = f"/share/{shop.session}/{shop.results[0]}"
    for who in (shop.ben, "local"):
        for path in (make, f"/share/{shop.session}/{link.id}/revoke"):
            assert shop.post(path, who, days="7").status_code == 404
    assert shop.client().post(make, data={"days": "7"}).status_code == 401
    foreign = shop.client(str(shop.ana)).post(make, data={"days": "7"}, headers={"origin": "https://x.org"})
    assert foreign.status_code == 403
    assert [each.id for each in links(shop)] == [link.id]
    assert shop.get(f"/shared/{token}").status_code == 200


@pytest.mark.parametrize("days", ["", "0", "2", "365", "-7", "7.5", "٧", "9" * 5000])
def test_no_other_lifetime_is_taken(shop: Shop, days: str) -> None:
    answer = shop.post(f"/share/{shop.session}/{shop.results[0]}", days=days)
    assert answer.status_code == 422 and links(shop) == []


def test_an_unknown_result_and_the_local_user_get_no_link(shop: Shop) -> None:
    assert shop.post(f"/share/{shop.session}/{shop.session}", days="7").status_code == 422
    with pytest.raises(InputError, match="There is no such result"):
        shop.service.for_owner(shop.ana).share_links.create(shop.session, "", 7)
    assert links(shop) == []


def test_an_address_that_guesses_has_to_wait(shop: Shop) -> None:
    token = shop.share()
    for n in range(20):
        assert shop.get(f"/shared/{n:043}").status_code == 404
    shop.get(f"/shared/{UNKNOWN}")
    waiting = shop.get(f"/shared/{token}")
    assert waiting.status_code == 429 and int(waiting.headers["retry-after"]) >= 1
    assert shop.client(address="10.0.0.10").get(f"/shared/{token}").status_code == 200


def test_links_that_work_are_no_guesses() -> None:
    throttle = AddressThrottle(lambda: 1000.0)
    for _ in range(100):
        assert throttle.register_attempt("", "10.0.0.1") == 0
        throttle.forgive("", "10.0.0.1")


@pytest.mark.parametrize("language", text.LOCALES)
def test_pages_are_in_the_language_of_the_reader(shop: Shop, language: str) -> None:
    answer = shop.get(f"/shared/{UNKNOWN}", **{"accept-language": language})
    assert f'<html lang="{language}">' in answer.text
    assert html_pages.escape(text.ACCESS[language]["shared_gone"]) in answer.text
    page = shop.get(f"/shared/{shop.share()}", **{"accept-language": language})
    assert text.ACCESS[language]["shared_until"].partition("{")[0] in page.text


@pytest.mark.parametrize("language", text.LOCALES)
def test_the_forms_beside_the_result_make_and_revoke(shop: Shop, language: str) -> None:
    mine = shop.service.for_owner(shop.ana)
    session = mine.open(shop.session)
    shop.share()
    (link,) = links(shop)
    shown = share_forms(session, [link], language)
    newest = session.row.results[0].id
    assert re.findall('action="([^"]*)"', shown) == [
        f"/share/{shop.session}/{newest}",
        f"/share/{shop.session}/{link.id}/revoke",
    ]
    assert re.findall('value="([0-9]+)"', shown) == ["1", "7", "30"] and '"7" selected' in shown
    assert text.format_moment(link.expires_at) in shown
    assert html_pages.escape(text.PAGE[language]["share_revoke"]) in shown


# ---------------------------------------------------------------- in a browser


def test_a_result_is_shared_seen_and_revoked(
    tmp_path: Path, chrome: Browser, clip: Path, watched: Callable[[Page], list[str]]
) -> None:
    home = tmp_path / "home"
    user(home, "add", "Ana", password="ana's password")
    server = Server(home, program=("-m", "tests.ui.stand_in_app"))
    server.start()
    context, guests = chrome.new_context(locale="de-DE"), chrome.new_context(locale="en-US")
    try:
        page = context.new_page()
        complaints = watched(page)
        page.goto(server.url)
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Passwort").fill("ana's password")
        page.get_by_role("button", name="Anmelden").click()
        page.locator("#drop input[type=file]").set_input_files(clip)
        expect(page.locator("#side")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("#shares")).to_be_hidden()
        page.locator("#make").click()
        expect(page.locator("#progress")).to_contain_text("Fertig in")
        page.locator("#shares summary").click()
        page.get_by_role("button", name="Link erstellen").click()
        address = page.get_by_label("Link", exact=True).input_value()
        assert address.startswith(f"{server.url}/shared/")

        guest = guests.new_page()
        complaints_of_guest = watched(guest)
        guest.goto(address)
        expect(guest.get_by_role("heading")).to_contain_text("figure-recorte.mp4")
        guest.wait_for_function("document.querySelector('video').readyState > 0")
        expect(guest.get_by_text("This link works until")).to_be_visible()
        with guest.expect_download() as started:
            guest.get_by_role("link", name="Download").click()
        assert started.value.suggested_filename == "figure-recorte.mp4"
        assert guest.context.cookies() == []

        page.get_by_role("link", name="Zurück zur Seite").click()
        page.get_by_role("button", name="Widerrufen").click()
        expect(page.locator("#shares summary")).to_have_text("Teilen")
        assert guest.reload() is not None
        expect(guest.get_by_text("This link leads nowhere")).to_be_visible()
        assert complaints == [] and complaints_of_guest == []
    finally:
        context.close()
        guests.close()
        server.stop()
