"""The API with a real database, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import delete
from starlette.testclient import TestClient

from db import api_tokens
from db.engine import Database
from db.ledger import Ledger
from db.models import User
from tests.ui import line
from ui.addresses import API_PREFIX
from ui.server import media
from ui.server.api.application import create_api
from ui.server.login.accounts import DatabaseAccounts, visitor_of
from ui.server.login.api_tokens import DatabaseApiTokens, TokenAuthenticator
from ui.server.login.authentication import COOKIE, CookieAuthenticator
from ui.server.login.login_sessions import DatabaseLoginSessions
from ui.server.middleware.access import AccessMiddleware
from ui.server.uploads import Uploads


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Api:
    """The API behind its middleware, with users, tokens, sessions and a line of jobs."""

    def __init__(self, home: Path, database: Database, ledger: Ledger, clip: Path) -> None:
        self.home = home
        self.database = database
        self.clip = clip
        self.line = line.ManualRunner(ledger)
        self.service = line.make_service(home, database, self.line)
        self.make = line.session_maker(home, database, clip)
        self.clock = Clock()
        self.cookies = CookieAuthenticator(
            DatabaseAccounts(database), DatabaseLoginSessions(database), clock=self.clock
        )
        self.authenticator = TokenAuthenticator(self.cookies, DatabaseApiTokens(database), self.clock)
        self.uploads = Uploads(home / "uploads", 10**9, self.service.quota)
        self.inner = FastAPI()
        self.inner.include_router(media.router(self.service))
        self.inner.mount(API_PREFIX, create_api(self.service, self.uploads))
        self.app = AccessMiddleware(self.inner, authenticator=self.authenticator)
        self.users: dict[str, UUID] = {}

    def add_user(self, name: str) -> UUID:
        with self.database.begin() as tx:
            user = User(name=name, password="a hash")
            tx.add(user)
            tx.flush()
            self.users[name] = user.id
        self.cookies.clear_cache()
        return self.users[name]

    def token(self, name: str, days: int | None = None) -> api_tokens.NewToken:
        with self.database.begin() as tx:
            return api_tokens.add(tx, user_id=self.users[name], days=days)

    def client(self, token: str | None = None, address: str = "127.0.0.1", **headers: str) -> TestClient:
        """A program with a token, at an address."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return TestClient(
            self.app,
            base_url=f"http://127.0.0.1:7860{API_PREFIX}",
            headers=sent,
            follow_redirects=False,
            client=(address, 1),
            raise_server_exceptions=False,
        )

    def program(self, name: str, **headers: str) -> TestClient:
        """A program of a user."""
        return self.client(self.token(name).token, **headers)

    def browser(self, name: str) -> TestClient:
        """The page of a user who has signed in."""
        with self.database.begin() as tx:
            visitor = visitor_of(tx.get_one(User, self.users[name]))
        client = self.client()
        client.cookies.set(COOKIE, self.cookies.login_sessions.add(visitor))
        return client


def check_problem(answer: Any, status: int, *, code: str | None = None) -> dict[str, Any]:
    """Check that an answer is a problem of this status, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status and told.get("code") == code
    assert told["type"].startswith("/api/v1/docs#") and told["title"] and told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]
    return told


@pytest.fixture
def api(own: Database, small_clip: Path, tmp_path: Path) -> Iterator[Api]:
    """One without accounts."""
    with closing(Ledger(own)) as ledger:
        yield Api(tmp_path / "home", own, ledger, small_clip)
    with own.begin() as tx:
        tx.execute(delete(User))


@pytest.fixture
def team(api: Api) -> Api:
    """One with two accounts."""
    api.add_user("Ana")
    api.add_user("Ben")
    return api
