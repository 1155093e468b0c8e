"""Quota of bytes for each user, reservations included."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from pipeline.errors import InputError

Folders = Callable[[UUID | None], Iterable[Path]]
"""Function that returns the folders that count towards a user's quota."""

_FRESH_SECONDS = 5.0


class QuotaExceeded(InputError):
    """More than the user may keep."""

    def __init__(self, need: int, left: int, most: int) -> None:
        super().__init__("limits.quota", need=need, left=left, most=most)
        self.need, self.left, self.most = need, left, most


class Reservation:
    """Reservation of bytes for a file or folder; it counts as those, or as its present size if larger."""

    def __init__(self, quota: Quota, owner: UUID | None, path: Path) -> None:
        self.owner, self.path, self.bytes = owner, path, 0
        self._quota = quota
        self._until: Callable[[], bool] | None = None

    def grow(self, least: int, preferred: int = 0) -> None:
        """Reserve `preferred` bytes in all, or what there is room for. Raises QuotaExceeded below `least`."""
        self._quota._take(self, max(least, preferred), least)

    def keep(self, until: Callable[[], bool]) -> None:
        """Keep it beyond its block: it is released once `until` returns True."""
        self._until = until

    @property
    def over(self) -> bool:
        return self._until is not None and self._until()

    def release(self) -> None:
        """Release it, unless `keep` was called."""
        if self._until is None:
            self._quota._drop(self)


class Quota:
    """Quota of all users. Thread-safe: of two that reserve the last bytes one is refused."""

    def __init__(self, limit_bytes: int = 0, folders: Folders = lambda owner: ()) -> None:
        """Limit each user to `limit_bytes`; 0: no limit.

        `folders` may raise DatabaseAway, and so may the methods.
        """
        self.limit_bytes = limit_bytes
        self._folders = folders
        self._lock = threading.Lock()
        self._turns: defaultdict[UUID | None, threading.Lock] = defaultdict(threading.Lock)
        """By user, held while their files are measured: other users do not wait."""
        self._held: dict[UUID | None, list[Reservation]] = {}
        self._measured: dict[UUID | None, tuple[float, int]] = {}
        """Time (`time.monotonic`) and bytes of each user's latest measurement."""

    @contextmanager
    def reserve(self, owner: UUID | None, path: Path, more: int = 0) -> Iterator[Reservation]:
        """Reserve the size of `path` and `more` bytes for the length of the block.

        Raises QuotaExceeded if that exceeds the quota.
        """
        reservation = self.hold(owner, path, more)
        try:
            yield reservation
        finally:
            reservation.release()

    def hold(self, owner: UUID | None, path: Path, more: int = 0, *, checked: bool = True) -> Reservation:
        """Reserve as `reserve` does, until released; with `checked` False even beyond the quota."""
        reservation = Reservation(self, owner, path)
        if self.limit_bytes:
            bytes = measure_bytes(path) + more
            self._take(reservation, bytes, bytes if checked else 0, more or bytes)
        return reservation

    def used_bytes(self, owner: UUID | None) -> int:
        """Return the bytes of all files in the user's folders, measured at most five seconds ago."""
        with self._lock:
            measured_at, measured = self._measured.get(owner, (-_FRESH_SECONDS, 0))
        now = time.monotonic()
        if now - measured_at < _FRESH_SECONDS:
            return measured
        used = sum(map(measure_bytes, self._folders(owner)))
        with self._lock:
            self._measured[owner] = now, used
        return used

    def forget(self) -> None:
        """Discard measurements: files were added or deleted."""
        with self._lock:
            self._measured.clear()

    def _take(
        self, reservation: Reservation, preferred: int, least: int, reported: int | None = None
    ) -> None:
        if not self.limit_bytes:
            return
        with self._lock:
            turn = self._turns[reservation.owner]
        with turn:
            others = [
                other
                for other in self._held.get(reservation.owner, ())
                if other is not reservation and not other.over
            ]
            apart = {str(other.path) for other in (reservation, *others)}
            used = sum(measure_bytes(folder, apart) for folder in self._folders(reservation.owner))
            used += sum(
                max(other.bytes, measure_bytes(other.path, apart - {str(other.path)})) for other in others
            )
            left = max(0, self.limit_bytes - used)
            if least > left:
                raise QuotaExceeded(least if reported is None else reported, left, self.limit_bytes)
            reservation.bytes = min(preferred, left) if least else preferred
            self._held[reservation.owner] = [*others, reservation]

    def _drop(self, reservation: Reservation) -> None:
        with self._lock:
            turn = self._turns[reservation.owner]
        with turn:
            self._held[reservation.owner] = [
                one for one in self._held.get(reservation.owner, ()) if one is not reservation
            ]


def uploads_folder(uploads: Path, owner: UUID | None) -> Path:
    """Return the folder of a user's unused uploads; None: the local user."""
    return uploads / ("local" if owner is None else str(owner))


def measure_bytes(path: Path, apart: Collection[str] = ()) -> int:
    """Return the bytes of a file, or of all files below a folder, except the paths `apart`.

    A file that is deleted meanwhile counts as 0.
    """
    if str(path) in apart:
        return 0
    total = _size(str(path)) if not path.is_dir() else 0
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if os.path.join(parent, name) not in apart]  # noqa: PTH118
        for file in (os.path.join(parent, name) for name in names):  # noqa: PTH118
            if file not in apart:
                total += _size(file)
    return total


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
