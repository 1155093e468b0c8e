"""Login file: takes over the login sessions that earlier versions kept in a file of the data folder."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from db import login_sessions
from db.engine import Database
from ui.server.login.login_sessions import LIFETIME_SECONDS

log = logging.getLogger(__name__)

NAME = "signed-in.json"
_DAMAGED = "signed-in.damaged.json"
_TOKEN_HASH, _AUTH_HASH = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{1,64}")


class _Entry(NamedTuple):
    token_hash: str
    user_id: UUID
    auth_hash: str
    expires_at: float
    """Seconds since 1970, by this machine's clock."""


def take_over(home: Path, database: Database, clock: Callable[[], float] = time.time) -> None:
    """Move the login sessions of a data folder's file into the database; nothing to do without the file.

    The file is removed after all that is in it was committed: killed in between, it is taken over again, and
    what is there already stays as it is. A file that is damaged is renamed, and everybody signs in again. The
    file stays where the database has none of its users, for that may be another database than the folder's.

    Raises:
        DatabaseAway: nothing was taken over.
        OSError: the file cannot be read or removed. Nobody may be served then: who signs out would be signed
            in again by the file at the next start.
    """
    file = home / NAME
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    try:
        entries = _parse(data)
    except (ValueError, OverflowError, RecursionError):
        file.rename(home / _DAMAGED)
        log.warning("%s cannot be read and is now %s: everybody has to sign in again", NAME, _DAMAGED)
        return
    now = clock()
    alive = [entry for entry in entries if entry.expires_at > now]
    with database.begin() as tx:
        taken = 0
        for token_hash, user_id, auth_hash, expires_at in alive:
            left = min(expires_at - now, LIFETIME_SECONDS)
            taken += login_sessions.restore(
                tx,
                token_hash=token_hash,
                user_id=user_id,
                auth_hash=auth_hash,
                age=LIFETIME_SECONDS - left,
                seconds_left=left,
            )
    if alive and not taken:
        log.warning("%s stays where it is: the database has none of the users in it", NAME)
        return
    file.unlink()
    log.info("%d login sessions of %s are in the database now", taken, NAME)


def _parse(data: bytes) -> list[_Entry]:
    """Return the entries of the file. Raises ValueError where it is damaged or of an unknown version."""
    stored = json.loads(data)
    if not isinstance(stored, dict):
        raise ValueError("no object")
    return [_parse_entry(token_hash, entry) for token_hash, entry in stored.items()]


def _parse_entry(token_hash: str, entry: object) -> _Entry:
    match entry:
        case {"user": str(user), "stamp": str(auth_hash), "until": int() | float() as until} if (
            math.isfinite(until) and _TOKEN_HASH.fullmatch(token_hash) and _AUTH_HASH.fullmatch(auth_hash)
        ):
            return _Entry(token_hash, UUID(user), auth_hash, until)
    raise ValueError("no login session")
