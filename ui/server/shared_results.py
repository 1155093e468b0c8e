"""Shared results: the forms that make and revoke links to them, and the page that a link leads to.

    /share/SESSION/RESULT         makes a link, and shows it once
    /share/SESSION/LINK/revoke    revokes it
    /shared/TOKEN                 the page of a result, for whoever has the link
    /shared/TOKEN/file            its file, or a part of it (`Range`)

A token that was never given, has expired or was revoked is answered like one of a result that was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline import formats
from pipeline.errors import InputError
from ui import text
from ui.addresses import SHARE_PREFIX, SHARED_PREFIX
from ui.server import html_pages
from ui.server.login.throttle import AddressThrottle
from ui.server.middleware.headers import STATIC_PAGE_POLICY
from ui.server.permissions import not_found
from ui.sessions.service import SessionService
from ui.sessions.sharing.share_links import SharedResult
from ui.visitor import language_of, user_id_of

_THREADS = 4
_UNSEEN = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}
"""Headers that keep a link's token from search engines and other sites."""
_PLAYER = {"Content-Security-Policy": f"{STATIC_PAGE_POLICY}; media-src 'self'"}


def router(service: SessionService, throttle: AddressThrottle | None = None) -> APIRouter:
    """Build the routes; the database is read in threads of their own."""
    routes = APIRouter()
    throttle = throttle or AddressThrottle()
    limiter = CapacityLimiter(_THREADS)

    @routes.post(SHARE_PREFIX + "/{id}/{result}")
    async def share(id: str, result: str, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=2)
        days = form.get("days")
        make = partial(_create, service, id, result, days if isinstance(days, str) else "", request)
        return await to_thread.run_sync(_answer, request, make, limiter=limiter)

    @routes.post(SHARE_PREFIX + "/{id}/{link}/revoke")
    async def revoke(id: str, link: str, request: Request) -> Response:
        return await to_thread.run_sync(
            _answer, request, partial(_revoke, service, id, link, request), limiter=limiter
        )

    @routes.api_route(SHARED_PREFIX + "/{token}", methods=["GET", "HEAD"])
    async def page(token: str, request: Request) -> Response:
        return await answer_shared(token, request, partial(_render_shared, request, token))

    @routes.api_route(SHARED_PREFIX + "/{token}/file", methods=["GET", "HEAD"])
    async def file(token: str, request: Request) -> Response:
        return await answer_shared(token, request, partial(_serve_file, request))

    async def answer_shared(
        token: str, request: Request, render: Callable[[SharedResult], Response]
    ) -> Response:
        """Respond with what a token leads to; addresses that guess have to wait."""
        client = request.client.host if request.client else ""
        wait = throttle.register_attempt("", client)
        if wait > 0:
            return _render_failure(
                request, 429, "wait", {"Retry-After": str(int(wait) + 1)}, seconds=int(wait) + 1
            )

        def respond() -> Response:
            try:
                found = service.share_links.find(token)
                response = render(found)
            except DatabaseAway:
                response = _render_failure(request, 503, "away")
            except (NotFound, FileNotFoundError):
                return _render_failure(request, 404, "shared_gone")
            throttle.forgive("", client)
            return response

        return await to_thread.run_sync(respond, limiter=limiter)

    return routes


def back_address(id: str) -> str:
    """Return the address of the page with a session in it."""
    return f"/?session={id}"


def _answer(request: Request, make: Callable[[], Response]) -> Response:
    """Return the response of `make`, or a page with the error that it raised; without an account nothing."""
    if user_id_of(request) is None:
        return not_found(request)
    language = language_of(request)
    try:
        return make()
    except NotFound:
        return not_found(request)
    except DatabaseAway:
        return _render_failure(request, 503, "away")
    except InputError as error:
        sentence = html_pages.escape(error.message.render(language))
        return html_pages.render_page(
            language, "Recorte", f'<main><h1>Recorte</h1><p class="failure">{sentence}</p></main>', 422
        )


def _create(service: SessionService, id: str, result: str, days: str, request: Request) -> Response:
    """Make a link and show it: later nobody can, for only the hash of its token is stored."""
    theirs = service.for_owner(user_id_of(request))
    made = theirs.share_links.create(id, result, int(days) if re.fullmatch("[0-9]{1,3}", days) else 0)
    _, _, name = theirs.result(id, result)
    address = f"{str(request.base_url).rstrip('/')}{SHARED_PREFIX}/{made.token}"
    say = _sayer(request)
    until = text.format_moment(made.link.expires_at)
    return html_pages.render_page(
        language_of(request),
        text.translate_access(language_of(request), "share_made", name=name),
        f"""<main class="narrow"><h1>{say("share_made", name=name)}</h1>
<label for="link">{say("link")}</label>
<input id="link" value="{html_pages.escape(address)}" readonly autofocus>
<p class="quiet">{say("share_once", time=until)}</p>
<p><a href="{back_address(str(made.link.session_id))}">{say("back")}</a></p></main>""",
        headers=_UNSEEN,
    )


def _revoke(service: SessionService, id: str, link: str, request: Request) -> Response:
    service.for_owner(user_id_of(request)).share_links.revoke(id, link)
    return RedirectResponse(back_address(id), 303, headers={"Cache-Control": "no-store"})


def _render_shared(request: Request, token: str, shared: SharedResult) -> Response:
    """Return the page of a result: a player where browsers have one, format, size and a download."""
    language, say = language_of(request), _sayer(request)
    form = formats.by_key(shared.result.format)
    address = f"{SHARED_PREFIX}/{token}/file"
    name = html_pages.escape(shared.name)
    if form.mime in ("video/mp4", "video/webm"):
        player = (
            f'<video src="{address}" controls playsinline preload="metadata" aria-label="{name}"></video>'
        )
    elif form.mime.startswith("image/"):
        player = f'<img src="{address}" alt="{name}">'
    else:
        player = f'<p class="quiet">{say("shared_unplayable")}</p>'
    label = text.translate_format_name(language, form.key, form.label)
    download = say("shared_download", format=label, size=text.format_size(shared.result.bytes, language))
    return html_pages.render_page(
        language,
        shared.name,
        f"""<main class="shared"><h1>{name}</h1>
{player}
<p><a class="button" href="{address}?download" download>{download}</a></p>
<p class="quiet">{say("shared_until", time=text.format_moment(shared.expires))}</p></main>""",
        headers=_UNSEEN | _PLAYER,
    )


def _serve_file(request: Request, shared: SharedResult) -> Response:
    return FileResponse(
        shared.path,
        media_type=formats.by_key(shared.result.format).mime,
        filename=shared.name,
        content_disposition_type="attachment" if "download" in request.query_params else "inline",
        headers=_UNSEEN | {"Cache-Control": "private, no-cache"},
        stat_result=shared.path.stat(),
    )


def _render_failure(
    request: Request, status: int, key: str, headers: dict[str, str] | None = None, **fields: object
) -> Response:
    body = f'<main class="narrow"><h1>Recorte</h1><p>{_sayer(request)(key, **fields)}</p></main>'
    return html_pages.render_page(
        language_of(request), str(status), body, status, headers=_UNSEEN | (headers or {})
    )


def _sayer(request: Request) -> Callable[..., str]:
    """Return a function that returns a text of the plain pages, as HTML."""
    language = language_of(request)

    def say(key: str, **fields: object) -> str:
        return html_pages.escape(text.translate_access(language, key, **fields))

    return say
