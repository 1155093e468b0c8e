"""Claims of event streams and uploads: each name belongs to the user who sent it first.

Gradio knows streams and uploads by a name that the page generates, and gives them to anybody who sends it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from uuid import UUID

NAME = re.compile("[A-Za-z0-9]{1,64}")
"""Pattern of a name; those that Gradio's page generates have 9 to 13 of these characters."""

_MAX_PER_USER = 1000


class Claims:
    """Names by the user who claimed them; of each user the last `_MAX_PER_USER` are kept."""

    def __init__(self) -> None:
        self._owners: dict[str, UUID | None] = {}
        self._claimed: dict[UUID | None, OrderedDict[str, None]] = {}

    def claim(self, name: str, user: UUID | None) -> bool:
        """Claim a name for a user; return False if another user has claimed it."""
        if self._owners.setdefault(name, user) != user:
            return False
        mine = self._claimed.setdefault(user, OrderedDict())
        mine[name] = None
        mine.move_to_end(name)
        if len(mine) > _MAX_PER_USER:
            oldest, _ = mine.popitem(last=False)
            del self._owners[oldest]
        return True
