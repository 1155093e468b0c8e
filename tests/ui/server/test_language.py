"""The chosen language, told to the page before anything of it runs."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui import text
from ui.server.middleware.language import LanguageMiddleware

PAGE = "<!doctype html><html><head><script src=a.js></script></head><p>ñ &lt;head&gt; <head></p></html>"


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def parts(_request: Request) -> Response:
    return StreamingResponse(iter([PAGE[:30], PAGE[30:]]), media_type="text/html")


async def plain(_request: Request) -> Response:
    return PlainTextResponse("<head>")


def client(root: object, language: str | None) -> TestClient:
    application = Starlette(routes=[Route("/", root), Route("/other", page)])  # type: ignore[arg-type]
    cookies = {} if language is None else {text.LANGUAGE_COOKIE: language}
    return TestClient(LanguageMiddleware(GZipMiddleware(application, minimum_size=0)), cookies=cookies)


@pytest.mark.parametrize("root", [page, parts])
def test_a_chosen_language_is_the_first_thing_in_the_head(root: object) -> None:
    response = client(root, "es").get("/")
    before, script, rest = response.text.partition("</script>")
    assert before.startswith("<!doctype html><html><head><script>for (const") and '"language", "es"' in before
    assert script + rest == "</script>" + PAGE.removeprefix("<!doctype html><html><head>")
    assert response.headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize("language", [None, "", "xx", '";alert(1);"'])
def test_other_cookies_change_nothing(language: str | None) -> None:
    assert client(page, language).get("/").text == PAGE


def test_nothing_else_is_changed() -> None:
    assert client(plain, "es").get("/").text == "<head>"
    assert client(page, "es").head("/").text == ""
