"""Webhooks of one user: made, listed and removed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from db import webhooks
from db.engine import Database
from db.models import Webhook
from db.webhooks import Event
from pipeline.errors import InputError
from ui.sessions.webhooks.addresses import resolve

MOST = 20
"""Webhooks of one user."""
_SECRET_BYTES = 32


class ListedWebhook(NamedTuple):
    """Webhook with the number of deliveries that it has not taken yet."""

    row: Webhook
    waiting: int


class Webhooks:
    """Webhooks of one user (None: the local one). Raises NotFound for those of others."""

    def __init__(self, database: Database, owner: UUID | None, *, private: bool) -> None:
        """`private`: private, loopback and link-local addresses are allowed."""
        self._database = database
        self._owner = owner
        self._private = private

    def create(self, url: str, events: Sequence[Event]) -> Webhook:
        """Add a webhook, with a secret of its own. Raises InputError for an address that is not allowed."""
        resolve(url, private=self._private)
        with self._database.begin() as tx:
            if len(webhooks.list_webhooks(tx, owner=self._owner)) >= MOST:
                raise InputError("webhooks.too_many", most=MOST)
            secret = secrets.token_urlsafe(_SECRET_BYTES)
            return webhooks.add(
                tx, url=url, events=list(dict.fromkeys(events)), secret=secret, owner=self._owner
            )

    def list_webhooks(self) -> list[ListedWebhook]:
        """Return all webhooks, the oldest first."""
        with self._database.begin() as tx:
            waiting = webhooks.count_waiting(tx, owner=self._owner)
            rows = webhooks.list_webhooks(tx, owner=self._owner)
        return [ListedWebhook(row, waiting.get(row.id, 0)) for row in rows]

    def read(self, id: UUID) -> ListedWebhook:
        """Return a webhook."""
        with self._database.begin() as tx:
            waiting = webhooks.count_waiting(tx, owner=self._owner)
            row = webhooks.get(tx, id=id, owner=self._owner)
        return ListedWebhook(row, waiting.get(row.id, 0))

    def remove(self, id: UUID) -> None:
        """Delete a webhook with what it has not taken yet."""
        with self._database.begin() as tx:
            webhooks.remove(tx, id=id, owner=self._owner)
