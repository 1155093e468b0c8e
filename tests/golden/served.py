"""Print what the whole application serves, as JSON: `python -m tests.golden.served`.

`app.py` is run with its server caught at the last moment, so that everything is put together as it is for
users, whatever the parts are called. Routes are those that get through all that stands before them; element
ids are those of the page that a browser is given. The environment is `app.py`'s.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

import app


def main() -> int:
    caught: list[Any] = []

    def run(server: uvicorn.Server, sockets: object = None) -> None:
        # Here, for the database and the worker are there only as long as this has not returned.
        caught.append(asyncio.run(_examined(server.config.app)))

    uvicorn.Server.run = run  # type: ignore[method-assign,assignment]
    status = app.main([])
    print(json.dumps(caught[0]))
    return status


async def _examined(application: Any) -> dict[str, list[str]]:
    page = await _ask(application, "GET", "/")
    page.raise_for_status()
    config = re.search(r"window\.gradio_config = (\{.*?\});?\s*</script>", page.text, re.DOTALL)
    assert config is not None, "the page has no configuration in it"
    components = json.loads(config[1])["components"]
    ids = [each["props"].get("elem_id") for each in components]
    return {"elements": sorted({id for id in ids if id}), "routes": await _routes(application)}


async def _ask(application: Any, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application, client=("127.0.0.1", 50000)),
        base_url="http://127.0.0.1:7860",
    ) as client:
        content = b"{}" if method in ("POST", "PUT", "PATCH") else None
        return await client.request(method, path, content=content)


async def _routes(application: Any) -> list[str]:
    """Each `METHOD /path` whose requests reach the framework, through everything before it."""
    owner, name = _holder(application)
    known = sorted(set(_declared(getattr(owner, name))))
    reached: list[str] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["method"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    setattr(owner, name, note)
    through = []
    for path, method in known:
        reached.clear()
        for value in ("0", "predict"):  # the one event that needs no queue is let through by its name
            await _ask(application, method, re.sub(r"\{[^}]*\}", value, path))
        if reached:
            # How a part of the path is called inside is nobody's business.
            through.append(f"{method} {re.sub(r'{[^}:]*', '{', path)}")
    return sorted(through)


def _holder(application: Any) -> tuple[Any, str]:
    """The layer that holds the framework's application, and the name of its attribute."""
    for name, value in vars(application).items():
        if isinstance(value, FastAPI):
            return application, name
    for value in vars(application).values():
        if callable(value) and type(value).__module__.partition(".")[0] == "ui":
            return _holder(value)
    raise LookupError(f"no FastAPI application stands behind {type(application).__name__}")


def _declared(application: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and method of each route, those of included routers and mounted applications too."""
    for route in application.routes:
        path = prefix + getattr(route, "path", "")
        if getattr(route, "methods", None):
            yield from ((path, method) for method in route.methods)
        elif hasattr(route, "original_router"):  # FastAPI's own of an included router
            yield from _declared(route.original_router, prefix + route.include_context.prefix)
        elif hasattr(route, "routes"):
            yield from _declared(route, path.rstrip("/"))


if __name__ == "__main__":
    sys.exit(main())
