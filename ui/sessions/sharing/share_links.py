"""Links to single results: a token that leads whoever has it to one file, until it expires or is revoked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from db import repository, share_links
from db.errors import NotFound
from db.models import Result, ShareLink
from db.tokens import hash_token
from pipeline import formats
from pipeline.errors import InputError
from ui.sessions.session import download_name
from ui.sessions.store import SessionStore

LIFETIMES = (1, 7, 30)
"""For how many days a link may work."""
DEFAULT_LIFETIME = 7

_DAY_SECONDS = 86_400
_TOKEN_BYTES = 32


class NewLink(NamedTuple):
    """Link that was just made, and its token, which is stored nowhere."""

    token: str
    link: ShareLink


class SharedResult(NamedTuple):
    """Result that a link leads to."""

    path: Path
    name: str
    """The name to download it under."""
    result: Result
    expires: datetime


class ShareLinks:
    """Links to the results of one user's sessions; None: the local user, who can make none.

    Every method that takes a session's id raises NotFound for a session that the user does not have.
    """

    def __init__(self, store: SessionStore, owner: UUID | None) -> None:
        self._store = store
        self._owner = owner

    def create(self, id: str, result: str, days: int) -> NewLink:
        """Make a link to a result. Raises InputError for an unknown result or lifetime, or no owner."""
        self._store.check_listed(id)
        with self._store.database.begin() as tx:
            row = repository.get(tx, id=id, owner=self._owner)
            stored = next((each for each in row.results if str(each.id) == result), None)
            if stored is None:
                raise InputError("choices.no_such_result")
            if self._owner is None:
                raise InputError("choices.link_without_account")
            if days not in LIFETIMES:
                known = ", ".join(map(str, LIFETIMES))
                raise InputError("choices.link_days", days=days, known=known)
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            link = share_links.add(
                tx,
                token_hash=hash_token(token),
                owner=self._owner,
                session=row.id,
                result=stored.id,
                seconds=days * _DAY_SECONDS,
            )
        return NewLink(token, link)

    def list_links(self, id: str) -> Sequence[ShareLink]:
        """Return the links to a session's results that work, the newest first."""
        with self._store.database.begin() as tx:
            row = repository.get(tx, id=id, owner=self._owner)
            return share_links.list_links(tx, session=row.id)

    def revoke(self, id: str, link: str) -> None:
        """Delete a link to one of a session's results, if it is there."""
        with self._store.database.begin() as tx:
            row = repository.get(tx, id=id, owner=self._owner)
            for each in share_links.list_links(tx, session=row.id):
                if str(each.id) == link:
                    share_links.remove(tx, id=each.id)

    def find(self, token: str) -> SharedResult:
        """Return what a token leads to, whoever asks. Raises NotFound, always of the same sentence."""
        with self._store.database.begin() as tx:
            found = share_links.find(tx, token_hash=hash_token(token))
        if found is None or found.result.format not in formats.FORMATS:
            raise NotFound("choices.gone")
        if str(found.session.id) in self._store.pending_deletions:
            raise NotFound("choices.gone")
        path = self._store.folder / str(found.session.id) / found.result.file
        if not path.is_file():
            raise NotFound("choices.gone")
        name = download_name(found.session, found.result)
        return SharedResult(path, name, found.result, found.link.expires_at)
