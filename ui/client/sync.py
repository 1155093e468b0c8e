"""Client that blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


class Recorte:
    """Client of a server, for use by one thread at a time."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:7860",
        token: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout`: seconds for which the server may be silent."""
        self._http = httpx.Client(**steps.options(url, token, timeout, transport))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def cut(
        self,
        file: str | Path,
        *,
        to: str | Path,
        prompts: list[Json] | None = None,
        objects: list[Json] | None = None,
        keep: bool = False,
        **choices: Any,
    ) -> Iterator[Progress]:
        """Upload a video, cut it out, and write the result to a file; yields the progress.

        `choices` are those of a session, such as `background="blur"` or `format="webm"`. The session is
        deleted in the end, also where the caller goes no further, unless it is to be kept. Raises RunFailed
        and Damaged.
        """
        return self._drive(steps.cut(Path(file), Path(to), prompts, objects, keep, choices))

    def cut_picture(
        self,
        picture: str | Path | bytes,
        *,
        prompts: list[Json] | None = None,
        objects: list[Json] | None = None,
        keep: bool = False,
        **choices: Any,
    ) -> Iterator[PictureStep]:
        """Cut out a picture, a file or its bytes; yields the mask, the cut-out and the result.

        `choices` as for `cut`; the session is deleted in the end, too, unless it is to be kept.
        """
        return self._drive(pictures.cut(picture, prompts, objects, keep, choices))

    def create(self, file: str | Path) -> Json:
        """Upload a video and return the session that is made of it."""
        return self._finish(steps.create(Path(file)))

    def start(self, session: str) -> Json:
        """Queue a session and return its run."""
        return self._finish(steps.start(session))

    def follow(self, run: str) -> Iterator[Json]:
        """Yield a run whenever it has changed, until it has ended."""
        return self._drive(steps.follow(run))

    def download(self, result: str, to: str | Path) -> Iterator[Progress]:
        """Write a result to a file; one that was begun by an earlier program goes on. Raises Damaged."""
        return self._drive(steps.download(result, Path(to)))

    def sessions(self, **filters: Any) -> Iterator[Json]:
        """Yield all sessions, those created last first; `filters`: `search`, `state`, `starred`."""
        return self._drive(steps.list_sessions(filters))

    def request(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """Send a request to an address such as "models" or "sessions/ID"; returns its JSON, None without."""
        return self._finish(
            steps.send_for_json(Request(method, path, json=json, params=params, again=method != "POST"))
        )

    def _finish(self, todo: Steps[T]) -> T:
        """Return the value of steps, whatever they yield."""
        values: list[T] = []
        for _ in self._drive(todo, values.append):
            pass
        return values[0]

    def _drive(self, todo: Steps[T], done: Callable[[T], object] = lambda value: None) -> Iterator[Any]:
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
                    answer = self._perform(step)
                except (httpx.TransportError, ApiError) as broken:
                    error = broken
        except BaseException:
            if not ended:
                self._abandon(todo)
            raise

    def _abandon(self, todo: Steps[T]) -> None:
        """Have steps end what they have begun."""
        error: Exception | None = Abandoned()
        answer: Any = None
        with suppress(Abandoned, StopIteration, ApiError, httpx.TransportError):
            while True:
                step = todo.send(answer) if error is None else todo.throw(error)
                answer, error = None, None
                try:
                    answer = self._perform(step) if isinstance(step, Command) else None
                except (httpx.TransportError, ApiError) as broken:
                    error = broken

    def _perform(self, command: Command) -> Any:
        match command:
            case Request():
                return self._http.send(steps.build(self._http, command))
            case Wait(seconds):
                time.sleep(seconds)
            case Open(request):
                response = self._http.send(steps.build(self._http, request), stream=True)
                if response.is_error:
                    response.read()
                    raise steps.error_of(response)
                return response, response.iter_lines()
            case Line((_response, lines)):
                return next(lines, None)
            case Close((response, _lines)):
                response.close()
        return None
