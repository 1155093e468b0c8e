"""Composition of the ASGI application: the page, the server's routes, and the middleware before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from ui.addresses import API_PREFIX
from ui.page import blocks
from ui.server import html_pages, media, shared_results
from ui.server.api.application import create_api
from ui.server.login import login_pages
from ui.server.login.api_tokens import ApiTokens, NoApiTokens, TokenAuthenticator
from ui.server.login.authentication import CookieAuthenticator, NoAccounts
from ui.server.login.login_sessions import NoLoginSessions
from ui.server.middleware import connections
from ui.server.middleware.access import AccessMiddleware
from ui.server.middleware.language import LanguageMiddleware
from ui.server.uploads import Uploads
from ui.sessions.service import SessionService


def create_application(
    service: SessionService,
    *,
    upload_bytes: int,
    uploads: Uploads | None = None,
    authenticator: CookieAuthenticator | None = None,
    tokens: ApiTokens | None = None,
    hosts: Iterable[str] = (),
    open: bool = False,
    routers: Iterable[APIRouter] = (),
    on_response: Callable[[int], None] = lambda status: None,
) -> ASGIApp:
    """Build the page with its media, uploads, login pages and `routers`, and the API.

    All of it is behind the access middleware.

    Without an `authenticator` there is one visitor, who need not sign in; unless the server is `open`, their
    requests have to come from this machine. `hosts` and `on_response` are as for `AccessMiddleware`.
    """
    uploads = uploads or Uploads(Path(blocks.upload_folder()), upload_bytes)
    authenticator = authenticator or CookieAuthenticator(NoAccounts(), NoLoginSessions())
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for routes in (
        media.router(service),
        uploads.router(blocks.UPLOAD_PROGRESS),
        login_pages.router(authenticator),
        html_pages.router(),
        shared_results.router(service),
        *routers,
    ):
        server.include_router(routes)
    server.mount(API_PREFIX, create_api(service, uploads))  # before the page, which answers every address
    blocks.mount(server, service, upload_bytes)
    return AccessMiddleware(
        LanguageMiddleware(server),
        authenticator=TokenAuthenticator(authenticator, tokens or NoApiTokens()),
        hosts=hosts,
        open=open,
        uploads=uploads.folder_of,
        on_response=on_response,
        max_requests=connections.max_connections() - connections.RESERVED,
    )
