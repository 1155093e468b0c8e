"""Recorte: reads the settings, puts the parts together, and serves the page.

python app.py                                  serve the page
python app.py doctor                           check everything that the server needs
python app.py user add NAME [--admin]          let somebody sign in; `list`, `password NAME`, `remove NAME`
python app.py token add NAME [--expires DAYS]  let programs act for a user; `list`, `remove NUMBER`
"""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.api_tokens import ListedToken
    from ui.settings import Settings


def serve(settings: Settings) -> None:
    """Serve the page until interrupted. Raises CannotStart."""
    from ui.startup import bind, clear_uploads, lock_data_dir, prepare_data_dir

    with bind(settings.host, settings.port) as port, lock_data_dir(prepare_data_dir(settings.home)):
        uploads = clear_uploads(settings.home)
        # Gradio reads these when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        _compose_and_serve(settings, port, uploads)


def _compose_and_serve(settings: Settings, port: socket.socket, uploads: Path) -> None:
    """Put database, worker, service, server and page together, and serve until interrupted."""
    from db.engine import Database
    from db.ledger import Ledger
    from pipeline.devices import AUTO, list_cuda
    from pipeline.jobs import preflight
    from pipeline.jobs.runner import Runner
    from pipeline.jobs.worker import Worker
    from pipeline.limits import Limits
    from ui.application import create_application
    from ui.assets import ASSETS
    from ui.server import admin, health, metrics
    from ui.server.login import login_file
    from ui.server.login.accounts import DatabaseAccounts
    from ui.server.login.api_tokens import DatabaseApiTokens
    from ui.server.login.authentication import CookieAuthenticator
    from ui.server.login.login_sessions import DatabaseLoginSessions
    from ui.server.serve import serve as serve_application
    from ui.server.status import ServerStatus, count_by_state
    from ui.server.uploads import Uploads
    from ui.sessions.cluster.executors import open_cluster
    from ui.sessions.limits.upload_limits import UploadLimits
    from ui.sessions.rendering.executors import open_executors
    from ui.sessions.rendering.frames import create_inference_service
    from ui.sessions.retention import RetentionThread
    from ui.sessions.service import SessionService
    from ui.sessions.webhooks.delivery import DeliveryThread
    from ui.startup import CannotStart, data_dir_errors

    home = settings.home
    upload_limits = UploadLimits(
        upload_bytes=settings.upload_bytes,
        seconds=settings.max_seconds,
        pixels=settings.max_pixels,
        quota_bytes=settings.quota_bytes,
    )
    devices = settings.devices or list_cuda() or (AUTO,)
    # A frame that needs more memory than the machine has fails by itself, and no other process does.
    limits = Limits(memory_bytes=preflight.machine_memory(), pixels=settings.max_pixels or None)
    idle_timeout = settings.stall_seconds + 60
    runner: Runner  # made after the ledger, which calls it for a run's events only
    with (
        Database.open(settings.database_url, home / "database") as database,
        closing(Ledger(database, on_missing_session=lambda key: runner.cancel(key))) as ledger,
        Worker(
            partial(create_inference_service, devices[0]), limits=limits, idle_timeout=idle_timeout
        ) as worker,
        ExitStack() as places,
    ):
        if settings.ray is None:
            cluster = None
            executors = places.enter_context(open_executors(devices, worker, limits, idle_timeout))
        else:
            cluster = places.enter_context(open_cluster(settings.ray, settings.store, limits.pixels, worker))
            executors = list(cluster.list())
        with data_dir_errors(home):
            login_file.take_over(home, database)
        accounts = DatabaseAccounts(database)
        if settings.exposed and not (settings.open or settings.users or accounts.any()):
            raise CannotStart("startup.no_accounts")
        server_metrics = metrics.Metrics(partial(count_by_state, database), home, lambda: runner.executors())
        logging.getLogger().addHandler(metrics.ErrorCounter(server_metrics))
        with closing(
            Runner(
                metrics.MeteredSink(ledger, server_metrics),
                executors,
                stall_seconds=settings.stall_seconds,
            )
        ) as runner:
            worker.start()
            service = SessionService(
                home,
                database,
                runner,
                ASSETS / "sample.mp4",
                worker,
                upload_limits,
                private_webhooks=settings.webhooks_private,
            )
            service.recover()
            service.requeue()
            status = ServerStatus(database, worker, runner, service)
            application = create_application(
                service,
                upload_bytes=settings.upload_bytes,
                uploads=Uploads(uploads, settings.upload_bytes, service.quota),
                authenticator=CookieAuthenticator(
                    accounts,
                    DatabaseLoginSessions(database),
                    # So that removing the last account does not open the server to everybody again.
                    required=settings.users or (settings.exposed and not settings.open),
                ),
                tokens=DatabaseApiTokens(database),
                hosts=settings.hosts,
                open=settings.open,
                routers=[
                    health.router(status),
                    metrics.router(server_metrics),
                    admin.router(status, home),
                ],
                on_response=server_metrics.count_response,
            )
            with (
                closing(RetentionThread(service, settings.keep_days)),
                closing(DeliveryThread(database, private=settings.webhooks_private)),
                nullcontext() if cluster is None else cluster.follow(runner.use),
            ):
                serve_application(application, port)
                service.close()


def doctor(settings: Settings) -> int:
    """Print a finding on each thing that the server needs and return the exit status; 1: it cannot serve."""
    from pipeline.languages.messages import Message, render_for_command_line
    from ui.server.doctor import examine
    from ui.startup import lock_if_free

    stops = False
    with lock_if_free(settings.home) as running:
        for finding in examine(
            settings.home,
            settings.database_url,
            settings.host,
            settings.port,
            running=running,
            ray=settings.ray,
            store=settings.store,
        ):
            print(finding, flush=True)
            stops |= finding.stops
    verdict = Message("doctor.cannot_serve") if stops else Message("doctor.can_serve")
    print(render_for_command_line(verdict))
    return int(stops)


def change_users(settings: Settings, what: str, name: str, admin: bool) -> int:
    """List, add, change or remove users and return the exit status; a running server's database is joined."""
    from db import users
    from db.engine import Database
    from ui.sessions.removal import remove_user
    from ui.startup import prepare_data_dir

    password = _password() if what in ("add", "password") else ""
    prepare_data_dir(settings.home)
    with Database.open(settings.database_url, settings.home / "database") as database:
        if what == "remove":
            print(f"{remove_user(database, settings.home, name)} and their sessions are removed.")
            return 0
        with database.begin() as tx:
            match what:
                case "add":
                    message = f"{users.add(tx, name=name, password=password, admin=admin).name} may sign in."
                case "password":
                    changed = users.change_password(tx, name=name, password=password).name
                    message = f"{changed} has a new password, and has to sign in again everywhere."
                case _:
                    listed = users.list_users(tx)
                    rows = (f"{u.name}{' (admin)' if u.admin else ''}: {n} sessions" for u, n in listed)
                    message = "\n".join(rows) or "There are no users."
    print(message)
    return 0


def change_tokens(settings: Settings, what: str, name: str, days: int | None, number: int) -> int:
    """List, add or remove tokens of the API and return the exit status; as `change_users`.

    A new token is all that standard output gets, so that a script can take it from there.
    """
    from db import api_tokens, users
    from db.engine import Database
    from ui.startup import prepare_data_dir

    prepare_data_dir(settings.home)
    with Database.open(settings.database_url, settings.home / "database") as database, database.begin() as tx:
        match what:
            case "add":
                user = users.lock(tx, name=name)
                new = api_tokens.add(tx, user_id=user.id, days=days)
                until = "" if new.row.expires_at is None else f" until {_moment(new.row.expires_at)}"
                note = f"Token {new.row.id} of {user.name} works{until}. It is shown only now."
                message = new.token
            case "remove":
                api_tokens.remove(tx, id=number)
                note, message = "", f"Token {number} is removed."
            case _:
                lines = map(_describe_token, api_tokens.list_tokens(tx))
                note, message = "", "\n".join(lines) or "There are no tokens."
    if note:
        print(note, file=sys.stderr)
    print(message)
    return 0


def _describe_token(listed: ListedToken) -> str:
    row, end, used = listed.row, "does not expire", "never used"
    if row.expires_at is not None:
        end = f"{'expired' if listed.expired else 'expires'} {_moment(row.expires_at)}"
    if row.last_used_at is not None:
        used = f"last used {_moment(row.last_used_at)}"
    return f"{row.id}: {listed.user}, added {_moment(row.created_at)}, {end}, {used}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _days(text: str) -> int:
    from db.api_tokens import MAX_DAYS

    if not text.isdecimal() or not 1 <= int(text) <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_DAYS}")
    return int(text)


def _password() -> str:
    """Read a password: twice and hidden from a terminal, else the first line of standard input."""
    from ui.startup import CannotStart

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise CannotStart("accounts.passwords_differ")
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
    token = commands.add_parser("token", help="tokens by which programs act for users at the API")
    what = token.add_subparsers(dest="what", required=True)
    what.add_parser("list", help="all tokens, with their last use")
    one = what.add_parser("add", help="make a token of a user, which is shown once")
    one.add_argument("name")
    one.add_argument("--expires", type=_days, metavar="DAYS", help="it ends after so many days")
    one = what.add_parser("remove", help="end a token")
    one.add_argument("number", type=int, help="as `list` shows it")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is closed then, too
    from db.errors import DatabaseError
    from pipeline.errors import RecorteError
    from pipeline.languages.messages import render_for_command_line
    from ui.settings import read_settings
    from ui.startup import CannotStart

    try:
        settings = read_settings()
        if options.command == "doctor":
            return doctor(settings)
        if options.command == "user":
            name, admin = getattr(options, "name", ""), getattr(options, "admin", False)
            return change_users(settings, options.what, name, admin)
        if options.command == "token":
            return change_tokens(
                settings,
                options.what,
                getattr(options, "name", ""),
                getattr(options, "expires", None),
                getattr(options, "number", 0),
            )
        from ui.server import logs

        logs.setup(settings.log)
        with logs.log_printed_output():
            serve(settings)
    except (CannotStart, DatabaseError, RecorteError) as error:
        print(render_for_command_line(error.message), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
