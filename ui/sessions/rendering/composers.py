"""Compositors that stay open between the pictures of a session, for playing asks for many of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.compositing.background import Background, Footage, Picture
from pipeline.compositing.composite import Composer, open_composer
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import Light
from pipeline.files import file_state
from pipeline.video.reading.idle_timer import IdleTimer

_MAX_IDLE = 4


@dataclass(frozen=True)
class _Key:
    """Arguments that a compositor is opened with, and the state of the background's file."""

    background: Background
    file: tuple[int, int] | None
    width: int
    height: int
    edges: Edges
    light: Light


@dataclass(frozen=True)
class _Idle:
    key: _Key
    composer: Composer
    since: float


class ComposerPool:
    """Compositors to be used by one thread at a time, and closed when nobody asks. Thread-safe."""

    def __init__(self, idle_seconds: float = 10.0) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        """The latest used last."""
        self._timer = IdleTimer(self._lock, idle_seconds, self._close_idle)

    @contextmanager
    def use(
        self, background: Background, width: int, height: int, edges: Edges, light: Light
    ) -> Iterator[Composer]:
        """Yield a compositor of frames of this size (pixels), as `open_composer` returns one.

        It is closed if the block raises. Raises BackgroundError if the background cannot be opened.
        """
        key = _Key(background, _file_state(background), width, height, edges, light)
        composer = self._take(key) or open_composer(background, width, height, edges, light)
        try:
            yield composer
        except BaseException:
            composer.close()
            raise
        self._put(_Idle(key, composer, time.monotonic()))

    @property
    def idle_count(self) -> int:
        """Number of compositors that are open and not in use."""
        with self._lock:
            return len(self._idle)

    def _take(self, key: _Key) -> Composer | None:
        with self._lock:
            found = next((idle for idle in reversed(self._idle) if idle.key == key), None)
            if found is None:
                return None
            self._idle.remove(found)
            return found.composer

    def _put(self, idle: _Idle) -> None:
        with self._lock:
            self._idle.append(idle)
            while len(self._idle) > _MAX_IDLE:
                self._idle.pop(0).composer.close()
            self._timer.start()

    def _close_idle(self, past: float) -> bool:
        for idle in [idle for idle in self._idle if idle.since <= past]:
            self._idle.remove(idle)
            idle.composer.close()
        return bool(self._idle)


def _file_state(background: Background) -> tuple[int, int] | None:
    """Return the `file_state` of the background's file; None if there is none."""
    return file_state(background.path) if isinstance(background, Picture | Footage) else None
