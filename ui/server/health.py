"""Health: `/healthz`, which says to everybody whether the database and the worker are well, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from db.errors import DatabaseAway, DatabaseError
from ui.server.lookups import Lookups
from ui.server.status import StatusSource

_FRESH_SECONDS = 2.0
_TIMEOUT_SECONDS = 1.5


class Health:
    """Health of the database and the worker, looked up in threads of its own."""

    def __init__(self, status: StatusSource) -> None:
        self._database: Lookups[None, bool] = Lookups(
            lambda _: _succeeds(status.check), fresh_seconds=_FRESH_SECONDS, name="health"
        )
        self._worker: Lookups[None, bool] = Lookups(lambda _: status.worker(), fresh_seconds=0, name="health")

    async def read(self) -> dict[str, bool]:
        """Return the health of both within two seconds; one that does not answer in time is not well."""

        async def is_well(lookups: Lookups[None, bool]) -> bool:
            try:
                return await lookups.get(None, _TIMEOUT_SECONDS)
            except DatabaseAway:
                return False

        database, worker = await asyncio.gather(is_well(self._database), is_well(self._worker))
        return {"database": database, "worker": worker}


def _succeeds(check: Callable[[], None]) -> bool:
    try:
        check()
    except DatabaseError:
        return False
    return True


def router(status: StatusSource) -> APIRouter:
    """Build the route `/healthz`: status 200, or 503 where one of both is not well."""
    routes = APIRouter()
    health = Health(status)

    @routes.get("/healthz")
    async def healthz() -> Response:
        parts = await health.read()
        return JSONResponse(parts, 200 if all(parts.values()) else 503, headers={"Cache-Control": "no-store"})

    return routes
