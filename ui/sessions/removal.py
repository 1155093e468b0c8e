"""Removal of sessions' folders together with their rows, so that neither stays without the other.

    with Removal() as removal, database.begin() as tx:
        repository.delete(tx, id=id)
        removal.hide(folder)

If this is interrupted, `SessionService.recover` finishes or undoes it at the next start, by the rows left.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

from db import repository, users
from db.engine import Database
from ui.sessions.limits.quota import uploads_folder

HIDDEN = ".deleted-"
"""Begins the name of a folder that is about to be erased; what follows is its own name."""


class Removal:
    """Folders that are hidden within a block and erased at its end; they are put back where it raises."""

    def __init__(self) -> None:
        self._hidden: dict[Path, Path] = {}

    def hide(self, folder: Path) -> None:
        """Rename the folder, so that nobody finds it any more. One that is not there needs no hiding."""
        hidden = folder.with_name(f"{HIDDEN}{folder.name}")
        with suppress(FileNotFoundError):
            folder.rename(hidden)
            self._hidden[folder] = hidden

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for folder, hidden in self._hidden.items():
            if kind is None:
                shutil.rmtree(hidden, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    hidden.rename(folder)


def remove_user(database: Database, home: Path, name: str) -> str:
    """Remove an account with its sessions and their folders; returns the name as it was kept.

    Also while a server runs on the data folder. Raises AccountError where nobody is called so.
    """
    with Removal() as removal, database.begin() as tx:
        user = users.lock(tx, name=name)  # from here on no session is added to it
        for id in repository.list_ids(tx, owner=user.id):
            removal.hide(home / "sessions" / str(id))
        removal.hide(uploads_folder(home / "uploads", user.id))
        return users.remove(tx, name=name).name
