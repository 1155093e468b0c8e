"""The server that the clients ask, as in the tests of the API."""

from __future__ import annotations

from tests.ui.server.api.conftest import api, team

__all__ = ["api", "team"]
