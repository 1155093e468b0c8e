"""Recorte: reads the settings once, starts the database, puts the parts together, serves.

python app.py                                  serve the page
python app.py doctor                           look over what it needs
python app.py user add NAME [--admin]          let somebody sign in; `list`, `password NAME`, `remove NAME`
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import getpass
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path

ASSETS = Path(__file__).resolve().parent / "assets"
LOOPBACK = "127.0.0.1"
TAKEOVER_SECONDS = 5.0
"""Seconds: a server that was killed frees its port and its folder once its memory has been given back."""
MAX_PIXELS = 8192 * 4320
"""Of a frame: 8K."""


class CannotStart(Exception):
    """The program cannot start as it is set up; the message says what to do about it."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; README.md lists them."""

    home: Path
    database_url: str | None
    host: str
    port: int
    open: bool
    users: bool
    hosts: tuple[str, ...]
    upload_bytes: int
    quota_bytes: int
    most_seconds: int
    most_pixels: int
    keep_days: int
    stall_seconds: int
    log: Literal["json", "text"] | None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Raises CannotStart for a value that is none."""
        return cls(
            home=_folder(environment, "RECORTE_HOME") or user_data_path("recorte"),
            database_url=environment.get("DATABASE_URL") or None,
            host=environment.get("RECORTE_HOST") or LOOPBACK,
            port=_number(environment, "RECORTE_PORT", 7860, 0, 65535),
            open=_switch(environment, "RECORTE_OPEN"),
            users=_switch(environment, "RECORTE_USERS"),
            hosts=_hosts(environment, "RECORTE_HOSTS"),
            upload_bytes=_number(environment, "RECORTE_UPLOAD_MB", 4096, 1, 10**6) * 2**20,
            quota_bytes=_number(environment, "RECORTE_QUOTA_GB", 0, 0, 10**6) * 2**30,
            most_seconds=_number(environment, "RECORTE_MOST_MINUTES", 0, 0, 10**5) * 60,
            most_pixels=_number(environment, "RECORTE_MOST_PIXELS", MAX_PIXELS, 0, 10**9),
            keep_days=_number(environment, "RECORTE_KEEP_DAYS", 0, 0, 10**5),
            stall_seconds=_number(environment, "RECORTE_STALL_MINUTES", 10, 1, 10**4) * 60,
            log=_log_format(environment, "RECORTE_LOG"),
        )

    @property
    def exposed(self) -> bool:
        """Whether others than this machine's users may reach it: by its address, or through a proxy."""
        return self.host not in _HERE or bool(self.hosts)


_HERE = (LOOPBACK, "::1", "localhost")


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise CannotStart(f"{name} is {text!r}; it must be a whole number from {least} to {most}.")
    return int(text)


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "0"
    if text not in ("0", "1"):
        raise CannotStart(f"{name} is {text!r}; it must be 1, or 0 as if it were not there.")
    return text == "1"


def _hosts(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    hosts = tuple(host.strip() for host in (environment.get(name) or "").split(",") if host.strip())
    for host in hosts:
        if "/" in host or " " in host or "*" in host:
            raise CannotStart(f"{name} holds {host!r}; write names alone, as in recorte.example.org.")
    return hosts


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name)
    try:
        return Path(text).expanduser().resolve() if text else None
    except (RuntimeError, OSError) as error:  # the home of nobody; links in a circle
        raise CannotStart(f"{name} is {text!r}, which is no folder ({error}).") from error


def _log_format(environment: Mapping[str, str], name: str) -> Literal["json", "text"] | None:
    match environment.get(name) or "":
        case "":
            return None
        case "json":
            return "json"
        case "text":
            return "text"
        case other:
            raise CannotStart(f"{name} is {other!r}; it must be json or text.")


def bind(host: str, port: int, timeout: float = TAKEOVER_SECONDS) -> socket.socket:
    """Raises CannotStart where the address cannot be had within `patience` seconds."""
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
            raise CannotStart(
                f"Nothing can be served at {host}:{port} ({error.strerror}). "
                "Another program may be there: choose with RECORTE_HOST and RECORTE_PORT."
            ) from error


def prepare_data_dir(home: Path) -> Path:
    """Make the data folder (which is returned) and what has to be in it, closed to the machine's other users.

    Raises CannotStart where it cannot be used.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (home / "sessions", home / "uploads"):
            folder.mkdir(mode=0o700, exist_ok=True)
        for folder in (home, home / "sessions", home / "uploads"):
            with tempfile.TemporaryFile(dir=folder):
                pass
        # An earlier version left them open. The data folder itself may be open on purpose; what is ours in it
        # is not, but to pass through (o+x), which the embedded database needs where root starts it.
        for name in ("sessions", "uploads", "database", "lost"):
            folder = home / name
            if folder.is_dir() and folder.stat().st_mode & 0o066 and folder.stat().st_uid == os.geteuid():
                folder.chmod(0o700)
    except OSError as error:
        raise CannotStart(_unusable_sentence(home, error)) from error
    return home


def _unusable_sentence(home: Path, error: OSError) -> str:
    where = f": {error.filename}" if error.filename and str(error.filename) != str(home) else ""
    return (
        f"The data folder {home} cannot be used ({error.strerror}{where}): mend that, or name another with "
        "RECORTE_HOME."
    )


class InUse(CannotStart):
    """Another server holds the data folder."""


@contextmanager
def lock_data_dir(home: Path, timeout: float = TAKEOVER_SECONDS) -> Iterator[None]:
    """Hold a data folder. Raises InUse where another server holds it longer than `patience` seconds.

    A starting server takes what was under way for interrupted, and would do so to a running neighbour's.
    """
    try:
        lock = (home / "in-use.lock").open("a")  # the kernel frees it, however the process ends
    except OSError as error:
        raise CannotStart(_unusable_sentence(home, error)) from error
    until = time.monotonic() + timeout
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InUse(
                        f"Another Recorte is running on {home}. Use that one, "
                        "or choose another folder with RECORTE_HOME."
                    ) from None
                time.sleep(0.1)
        yield


def serve(settings: Settings) -> None:
    """Run until interrupted."""
    with bind(settings.host, settings.port) as port, lock_data_dir(prepare_data_dir(settings.home)):
        uploads = settings.home / "uploads"
        shutil.rmtree(uploads, ignore_errors=True)  # what a server that was killed left half received
        uploads.mkdir(mode=0o700, exist_ok=True)
        # Gradio reads these when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

        from db.engine import Database
        from db.ledger import Ledger
        from pipeline.jobs import preflight
        from pipeline.jobs.limits import Limits
        from pipeline.jobs.runner import Runner
        from pipeline.jobs.worker import Worker
        from ui.application import create_application
        from ui.server import admin, health, metrics
        from ui.server.accounts import DatabaseAccounts
        from ui.server.authentication import CookieAuthenticator
        from ui.server.login_sessions import LoginSessions
        from ui.server.serve import serve as run_server
        from ui.server.status import ServerStatus
        from ui.server.uploads import Uploads
        from ui.sessions.frames import create_inference_service
        from ui.sessions.retention import RetentionThread
        from ui.sessions.service import SessionService
        from ui.sessions.upload_limits import UploadLimits

        allowance = UploadLimits(
            upload_bytes=settings.upload_bytes,
            seconds=settings.most_seconds,
            pixels=settings.most_pixels,
            quota_bytes=settings.quota_bytes,
        )
        with (
            Database.open(settings.database_url, settings.home / "database") as database,
            closing(Ledger(database)) as ledger,
            Worker(
                create_inference_service,
                # More than the machine has is refused to it, and not taken from others.
                limits=Limits(memory_bytes=preflight.machine_memory(), pixels=settings.most_pixels or None),
                idle_timeout=settings.stall_seconds + 60,
            ) as worker,
        ):
            accounts = DatabaseAccounts(database)
            if settings.exposed and not (settings.open or settings.users or accounts.any()):
                raise CannotStart(
                    "Without accounts this is served to this machine alone. Make one with `python app.py "
                    "user add NAME`, or set RECORTE_OPEN=1 if everybody who reaches it may see everything."
                )
            server_status = ServerStatus(database, worker)
            server_metrics = metrics.Metrics(server_status, settings.home)
            logging.getLogger().addHandler(metrics.ErrorCounter(server_metrics))
            running = Runner(
                metrics.MeteredSink(ledger, server_metrics),
                partial(worker.stream, "process"),
                kill=worker.kill,
                stall_seconds=settings.stall_seconds,
            )
            with closing(running) as runner:
                ledger.on_missing_session = runner.cancel
                worker.start()
                actions = SessionService(
                    settings.home, database, runner, ASSETS / "sample.mp4", worker, allowance
                )
                server_status.actions = actions
                actions.recover()
                actions.requeue()
                authenticator = CookieAuthenticator(
                    accounts,
                    LoginSessions(settings.home / "signed-in.json"),
                    # Never open to others again because the last account was removed.
                    required=settings.users or (settings.exposed and not settings.open),
                )
                page = create_application(
                    actions,
                    upload_bytes=settings.upload_bytes,
                    uploads=Uploads(uploads, settings.upload_bytes, actions.quota),
                    authenticator=authenticator,
                    hosts=settings.hosts,
                    open=settings.open,
                    routers=[
                        health.router(server_status),
                        metrics.router(server_metrics),
                        admin.router(server_status, settings.home),
                    ],
                    on_response=server_metrics.count_response,
                )
                with closing(RetentionThread(actions, settings.keep_days)):
                    run_server(page, port)
                    actions.purge_all()


def doctor(settings: Settings) -> int:
    """Print a sentence on each thing that is needed; 0: the server can serve, 1: it cannot."""
    from ui.server import doctor as ward

    with _lock_if_free(settings.home) as running:
        found = ward.examine(
            settings.home, settings.database_url, settings.host, settings.port, running=running
        )
        stops = False
        for finding in found:
            print(finding, flush=True)
            stops |= finding.stops
    print("It cannot serve like this." if stops else "It can serve.")
    return int(stops)


@contextmanager
def _lock_if_free(home: Path) -> Iterator[bool]:
    """Whether a server runs on the folder; none can start on it meanwhile."""
    if not home.exists():
        yield False
        return
    try:
        holding = lock_data_dir(home, timeout=0)
        holding.__enter__()
    except InUse:
        yield True
        return
    except CannotStart:
        yield False  # nothing can be written there, which is found as well
        return
    try:
        yield False
    finally:
        holding.__exit__(None, None, None)


def change_users(settings: Settings, what: str, name: str, admin: bool) -> int:
    """Also while a server runs: its database is joined then."""
    from db import users
    from db.engine import Database
    from ui.sessions.removal import remove_user

    password = _password() if what in ("add", "password") else ""
    prepare_data_dir(settings.home)
    with Database.open(settings.database_url, settings.home / "database") as database:
        if what == "remove":
            print(f"{remove_user(database, settings.home, name)} and their sessions are removed.")
            return 0
        with database.begin() as tx:
            match what:
                case "add":
                    said = f"{users.add(tx, name=name, password=password, admin=admin).name} may sign in."
                case "password":
                    changed = users.change_password(tx, name=name, password=password).name
                    said = f"{changed} has a new password, and has to sign in again everywhere."
                case _:
                    listed = users.list_users(tx)
                    rows = (f"{u.name}{' (admin)' if u.admin else ''}: {n} sessions" for u, n in listed)
                    said = "\n".join(rows) or "There are no users."
    print(said)
    return 0


def _password() -> str:
    """Asked for twice without being shown; the first line of what is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise CannotStart("The two are not the same. Nothing was changed.")
    return password


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description="Recorte: cuts the background out of videos.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("doctor", help="look over what the server needs")
    user = commands.add_parser("user", help="who may sign in")
    what = user.add_subparsers(dest="what", required=True)
    what.add_parser("list", help="everybody")
    for name, help in (
        ("add", "let somebody sign in"),
        ("password", "give somebody a new password"),
        ("remove", "remove somebody with their sessions"),
    ):
        one = what.add_parser(name, help=help)
        one.add_argument("name")
        if name == "add":
            one.add_argument("--admin", action="store_true", help="sees what the server is doing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is closed then, too
    from db.errors import DatabaseError

    try:
        settings = Settings.read(os.environ)
        if asked.command == "doctor":
            return doctor(settings)
        if asked.command == "user":
            return change_users(
                settings, asked.what, getattr(asked, "name", ""), getattr(asked, "admin", False)
            )
        from ui.server import logs

        logs.setup(settings.log)
        with logs.log_printed_output():
            serve(settings)
    except (CannotStart, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
