"""Accounts of users, read from the database."""

from __future__ import annotations

import hashlib

from db import users
from db.engine import Database
from db.models import User
from ui.server.visitors import Visitor


class DatabaseAccounts:
    """Accounts in the database; each call is one transaction and raises DatabaseAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, name: str, password: str) -> Visitor | None:
        with self._database.begin() as tx:
            user = users.authenticate(tx, name=name, password=password)
        return None if user is None else visitor_of(user)

    def any(self) -> bool:
        with self._database.begin() as tx:
            return users.count(tx) > 0


def visitor_of(user: User) -> Visitor:
    """Return the visitor who has signed in as a user."""
    # A digest of the password's hash, and no longer than is needed to tell two passwords apart.
    auth_hash = hashlib.sha256(user.password.encode()).hexdigest()[:16]
    return Visitor(user.id, user.name, user.admin, auth_hash)
