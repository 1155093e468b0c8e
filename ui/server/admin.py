"""Administration: the page of users, disk and queue, and the button that cancels a run.

`/admin` is for administrators; to others it does not exist.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from db.errors import DatabaseError
from ui import text
from ui.server import html_pages
from ui.server.permissions import is_admin, not_found
from ui.server.status import Account, Run, StatusSource
from ui.visitor import language_of

log = logging.getLogger(__name__)

_THREADS = 4


def router(status: StatusSource, home: Path) -> APIRouter:
    """Build the routes of the administrators' page; they read the database in threads of their own."""
    routes = APIRouter()
    limiter = CapacityLimiter(_THREADS)

    @routes.get("/admin")
    async def admin(request: Request) -> Response:
        return await to_thread.run_sync(_overview, request, limiter=limiter)

    def _overview(request: Request) -> Response:
        if not is_admin(request):
            return not_found(request)
        language = language_of(request)
        try:
            body = _overview_html(language, status, home)
        except DatabaseError:
            failure = text.translate_admin(language, "away")
            body = f'<main><h1>Recorte</h1><p class="failure">{failure}</p></main>'
            return html_pages.render_page(language, text.translate_admin(language, "title"), body, 503)
        return html_pages.render_page(language, text.translate_admin(language, "title"), body)

    @routes.post("/admin/cancel/{session}")
    async def cancel(session: str, request: Request) -> Response:
        return await to_thread.run_sync(_cancel, session, request, limiter=limiter)

    def _cancel(session: str, request: Request) -> Response:
        if not is_admin(request):
            return not_found(request)
        try:
            status.cancel(session)
        except DatabaseError:
            log.info("an admin's cancel came to nothing", extra={"session": session})
        else:
            log.info("cancelled by an admin", extra={"session": session, "user": request.state.user.id})
        return RedirectResponse("/admin", 303)

    return routes


def _overview_html(language: str, status: StatusSource, home: Path) -> str:
    def say(key: str, **fields: object) -> str:
        return html_pages.escape(text.translate_admin(language, key, **fields))

    disk = shutil.disk_usage(home)
    runs, accounts = status.runs(), status.accounts()
    used = f"{disk.used / disk.total:.4f}"
    queue = _table(_RUN_COLUMNS, say, [_run_row(run, say, language) for run in runs]) if runs else ""
    free, total = (text.format_size(count, language) for count in (disk.free, disk.total))
    return f"""<main>
<header><h1>Recorte</h1><p class="quiet"><a href="/">{say("back")}</a></p></header>
<h2>{say("disk")}</h2>
<meter min="0" max="1" high="0.9" value="{used}" aria-label="{say("disk")}"></meter>
<p class="quiet">{say("disk_says", free=free, total=total)}</p>
<h2>{say("queue")}</h2>
{queue or f'<p class="quiet">{say("no_runs")}</p>'}
<h2>{say("users")}</h2>
{_table(_ACCOUNT_COLUMNS, say, [_account_row(account, say, language) for account in accounts])}
</main>"""


_RUN_COLUMNS = ("place", "user", "state", "model", "device", "progress", "since", "")
_ACCOUNT_COLUMNS = ("user", "role", "sessions", "bytes")

_Say = Callable[..., str]


def _table(columns: Sequence[str], say: _Say, rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML; the cells of `rows` are HTML already."""
    names = [say(column) if column else "" for column in columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(names, row, strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table class="stacked">{table}</table></div>'


def _run_row(run: Run, say: _Say, language: str) -> list[str]:
    minutes = max(0, round((datetime.now(UTC) - run.since).total_seconds() / 60))
    far = run.state == "running" and run.total > 0
    return [
        str(run.position or "–"),
        html_pages.escape(run.user) or say("local"),
        say(run.state),
        html_pages.escape(run.model),
        html_pages.escape(run.device) or "–",
        say("frames", done=run.done, total=run.total, rate=text.format_number(run.rate, language))
        if far
        else _waiting(run, language),
        say("minutes", minutes=minutes),
        f'<form method="post" action="/admin/cancel/{html_pages.escape(run.session)}">'
        f'<button class="small">{say("cancel")}</button></form>',
    ]


def _waiting(run: Run, language: str) -> str:
    """Return what a run waits for that has begun, as HTML."""
    return html_pages.escape(run.waits_for.render(language)) if run.waits_for is not None else "–"


def _account_row(account: Account, say: _Say, language: str) -> list[str]:
    return [
        html_pages.escape(account.name) or say("local"),
        say("admin") if account.admin else say("member"),
        str(account.sessions),
        text.format_size(account.bytes, language) if account.bytes else "0",
    ]
