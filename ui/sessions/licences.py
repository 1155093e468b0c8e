"""Acknowledgements of what a model's licence forbids, by user.

Without accounts that is a file beside the weights, as at the command line. With them it is kept by user in
the database as well; the file then only says that somebody has, and the process with the models loads them.
"""

from __future__ import annotations

from uuid import UUID

from db import users
from db.engine import Database
from pipeline.models import Card
from pipeline.weights import licences


class Licences:
    """Acknowledgements, cached for good once given. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[tuple[UUID, str]] = set()

    def has_accepted(self, owner: UUID | None, card: Card) -> bool:
        """Return True if a user (None: the local one) has acknowledged it, or it forbids nothing."""
        if not card.acknowledged or not card.restriction or owner is None:
            return card.acknowledged
        which = owner, card.licence_url
        if which not in self._known:
            with self._database.begin() as tx:
                if not users.has_acknowledged(tx, id=owner, model=card.key, licence_url=card.licence_url):
                    return False
            self._known.add(which)
        return True

    def accept(self, owner: UUID | None, card: Card) -> None:
        """Save an acknowledgement. Raises WeightsError if it cannot be saved."""
        if not card.restriction:
            return
        licences.acknowledge(card.key, card.licence_url)
        if owner is not None:
            with self._database.begin() as tx:
                users.acknowledge(tx, id=owner, model=card.key, licence_url=card.licence_url)
