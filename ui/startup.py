"""Start-up of the server: its data folder, the lock on it, and the socket that it listens at."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.languages.messages import MessageError

TAKEOVER_SECONDS = 5.0
"""Time to wait for the port and the folder of a killed server, which are free once its memory is."""


class CannotStart(MessageError):
    """The program cannot start as it is set up; the message says what to do about it."""


class InUse(CannotStart):
    """Another server holds the data folder."""


def bind(host: str, port: int, timeout: float = TAKEOVER_SECONDS) -> socket.socket:
    """Return a socket that listens at an address. Raises CannotStart after `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        try:
            return socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(0.1)
                continue
            raise CannotStart("startup.address", host=host, port=port, reason=error.strerror or "") from error


def prepare_data_dir(home: Path) -> Path:
    """Create the data folder and those in it, closed to the machine's other users, and return it.

    Raises CannotStart where it cannot be used.
    """
    with data_dir_errors(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (home / "sessions", home / "uploads"):
            folder.mkdir(mode=0o700, exist_ok=True)
        for folder in (home, home / "sessions", home / "uploads"):
            with tempfile.TemporaryFile(dir=folder):
                pass
        # Earlier versions left these readable. The data folder itself may be open on purpose; those in
        # it may not, except for o+x, which the embedded database needs where root starts it.
        for name in ("sessions", "uploads", "database", "lost"):
            folder = home / name
            if folder.is_dir() and folder.stat().st_mode & 0o066 and folder.stat().st_uid == os.geteuid():
                folder.chmod(0o700)
    return home


@contextmanager
def data_dir_errors(home: Path) -> Iterator[None]:
    """Raise CannotStart where a file or folder of the data folder cannot be used."""
    try:
        yield
    except OSError as error:
        raise _unusable(home, error) from error


def clear_uploads(home: Path) -> Path:
    """Delete the uploads that a killed server left unfinished; return the empty folder for new ones."""
    uploads = home / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(mode=0o700, exist_ok=True)
    return uploads


@contextmanager
def lock_data_dir(home: Path, timeout: float = TAKEOVER_SECONDS) -> Iterator[None]:
    """Lock a data folder. Raises InUse where another server holds it longer than `timeout` seconds.

    A starting server marks running sessions as interrupted, which must not happen to those of another one.
    """
    try:
        lock = (home / "in-use.lock").open("a")  # the kernel releases it, however the process ends
    except OSError as error:
        raise _unusable(home, error) from error
    until = time.monotonic() + timeout
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InUse("startup.in_use", home=str(home)) from None
                time.sleep(0.1)
        yield


@contextmanager
def lock_if_free(home: Path) -> Iterator[bool]:
    """Lock a data folder unless a server holds it; yields True where one does."""
    in_use = False
    with ExitStack() as stack:
        if home.exists():
            try:
                stack.enter_context(lock_data_dir(home, timeout=0))
            except InUse:
                in_use = True
            except CannotStart:
                pass  # the folder is not writable, which doctor reports itself
        yield in_use


def _unusable(home: Path, error: OSError) -> CannotStart:
    detail = f": {error.filename}" if error.filename and str(error.filename) != str(home) else ""
    return CannotStart("startup.data_folder", home=str(home), reason=f"{error.strerror}{detail}")
