"""Static HTML pages without a script, in the style of the main page: login and administration."""

from __future__ import annotations

import html
from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from ui.assets import ASSETS
from ui.server.middleware.headers import STATIC_PAGE_POLICY

_STYLE = ASSETS / "plain.css"

escape = html.escape


def render_page(
    language: str, title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Render a page. `body` is HTML; `title` is plain text."""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · Recorte</title>
<link rel="icon" href="/favicon.ico">
<link rel="stylesheet" href="/plain.css">
</head>
<body>
{body}
</body>
</html>""",
        status,
        {"Content-Security-Policy": STATIC_PAGE_POLICY, "Cache-Control": "no-store", **(headers or {})},
    )


def router() -> APIRouter:
    """Build the route of the pages' style sheet."""
    routes = APIRouter()

    @routes.get("/plain.css")
    def style() -> Response:
        return FileResponse(_STYLE, media_type="text/css", headers={"Cache-Control": "no-cache"})

    return routes
