"""Client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from ui.client import pictures, steps
from ui.client.pictures import PictureStep
from ui.client.steps import (
    Abandoned,
    ApiError,
    Close,
    Command,
    Json,
    Line,
    Open,
    Progress,
    Request,
    Steps,
    Wait,
)

T = TypeVar("T")


class AsyncRecorte:
    """Client of a server for asyncio, for use by one task at a time; `Recorte` describes the methods.

    Files are read and written by the event loop's own thread, `CHUNK_BYTES` at a time.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:7860",
        token: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(**steps.options(url, token, timeout, transport))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def cut(
        self,
        file: str | Path,
        *,
        to: str | Path,
        prompts: list[Json] | None = None,
        objects: list[Json] | None = None,
        keep: bool = False,
        **choices: Any,
    ) -> AsyncIterator[Progress]:
        return self._drive(steps.cut(Path(file), Path(to), prompts, objects, keep, choices))

    def cut_picture(
        self,
        picture: str | Path | bytes,
        *,
        prompts: list[Json] | None = None,
        objects: list[Json] | None = None,
        keep: bool = False,
        **choices: Any,
    ) -> AsyncIterator[PictureStep]:
        return self._drive(pictures.cut(picture, prompts, objects, keep, choices))

    async def create(self, file: str | Path) -> Json:
        return await self._finish(steps.create(Path(file)))

    async def start(self, session: str) -> Json:
        return await self._finish(steps.start(session))

    def follow(self, run: str) -> AsyncIterator[Json]:
        return self._drive(steps.follow(run))

    def download(self, result: str, to: str | Path) -> AsyncIterator[Progress]:
        return self._drive(steps.download(result, Path(to)))

    def sessions(self, **filters: Any) -> AsyncIterator[Json]:
        return self._drive(steps.list_sessions(filters))

    async def request(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        todo = steps.send_for_json(Request(method, path, json=json, params=params, again=method != "POST"))
        return await self._finish(todo)

    async def _finish(self, todo: Steps[T]) -> T:
        values: list[T] = []
        async for _ in self._drive(todo, values.append):
            pass
        return values[0]

    async def _drive(
        self, todo: Steps[T], done: Callable[[T], object] = lambda value: None
    ) -> AsyncIterator[Any]:
        answer: Any = None
        error: Exception | None = None
        ended = False
        try:
            while True:
                ended = True  # unless it yields
                try:
                    step = todo.send(answer) if error is None else todo.throw(error)
                except StopIteration as end:
                    done(end.value)
                    return
                ended = False
                answer, error = None, None
                if not isinstance(step, Command):
                    yield step
                    continue
                try:
                    answer = await self._perform(step)
                except (httpx.TransportError, ApiError) as broken:
                    error = broken
        except BaseException:
            if not ended:
                await self._abandon(todo)
            raise

    async def _abandon(self, todo: Steps[T]) -> None:
        error: Exception | None = Abandoned()
        answer: Any = None
        with suppress(Abandoned, StopIteration, ApiError, httpx.TransportError):
            while True:
                step = todo.send(answer) if error is None else todo.throw(error)
                answer, error = None, None
                try:
                    answer = await self._perform(step) if isinstance(step, Command) else None
                except (httpx.TransportError, ApiError) as broken:
                    error = broken

    async def _perform(self, command: Command) -> Any:
        match command:
            case Request():
                return await self._http.send(steps.build(self._http, command))
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Open(request):
                response = await self._http.send(steps.build(self._http, request), stream=True)
                if response.is_error:
                    await response.aread()
                    raise steps.error_of(response)
                return response, response.aiter_lines()
            case Line((_response, lines)):
                return await anext(lines, None)
            case Close((response, _lines)):
                await response.aclose()
        return None
