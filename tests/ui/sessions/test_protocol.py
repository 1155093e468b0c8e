"""The calls between the two processes: both ends implement one protocol."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

import pytest

from ui.sessions.rendering.inference import InferenceService
from ui.sessions.rendering.protocol import Inference, InferenceClient

CALLS = {name: call for name, call in vars(Inference).items() if inspect.isfunction(call) and name[0] != "_"}


class RecordingHost:
    """Keeps the calls that it is sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], bool]] = []

    def call(self, method: Callable[..., Any], *args: Any) -> Any:
        self.calls.append((method.__name__, args, False))
        return ("data", "mime")

    def stream(self, method: Callable[..., Any], *args: Any) -> Generator[Any, None, None]:
        self.calls.append((method.__name__, args, True))
        yield from ()


@pytest.mark.parametrize("end", [InferenceService, InferenceClient])
def test_client_and_service_implement_exactly_the_protocol(end: type) -> None:
    own = {
        name: call
        for name, call in vars(end).items()
        if inspect.isfunction(call) and not name.startswith("_")
    }
    assert own.keys() == CALLS.keys() and len(own) == 22
    for name, call in own.items():
        assert inspect.signature(call) == inspect.signature(CALLS[name]), name


@pytest.mark.parametrize("name", CALLS)
def test_the_client_forwards_each_call(name: str) -> None:
    host = RecordingHost()
    arguments = tuple(object() for _ in list(inspect.signature(CALLS[name]).parameters)[1:])
    answer = getattr(InferenceClient(host), name)(*arguments)
    streams = inspect.isgenerator(answer)
    if streams:
        list(answer)
    assert host.calls == [(name, arguments, streams)]
    assert streams == ("Generator" in CALLS[name].__annotations__["return"])
