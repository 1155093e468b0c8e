"""Recorte's server: reads the settings once, starts the database, puts the parts together, serves."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

if TYPE_CHECKING:
    from fastapi import FastAPI

ASSETS = Path(__file__).resolve().parent / "assets"
LOOPBACK = "127.0.0.1"


class CannotStart(Exception):
    """The program cannot start as it is set up; the message says what to do about it."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; README.md lists them."""

    home: Path
    database_url: str | None
    host: str
    port: int
    upload_bytes: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Raises CannotStart for a value that is none."""
        home = environment.get("RECORTE_HOME")
        return cls(
            home=Path(home).expanduser().resolve() if home else user_data_path("recorte"),
            database_url=environment.get("DATABASE_URL") or None,
            host=environment.get("RECORTE_HOST") or LOOPBACK,
            port=_number(environment, "RECORTE_PORT", 7860, 0, 65535),
            upload_bytes=_number(environment, "RECORTE_UPLOAD_MB", 4096, 1, 10**6) * 2**20,
        )


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise CannotStart(f"{name} is {text!r}; it must be a whole number from {least} to {most}.")
    return int(text)


def listening(host: str, port: int) -> socket.socket:
    """Raises CannotStart where the address cannot be had."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise CannotStart(
            f"Nothing can be served at {host}:{port} ({error.strerror}). "
            "Another program may be there: choose with RECORTE_HOST and RECORTE_PORT."
        ) from error


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold a data folder. Raises CannotStart where another server holds it.

    A starting server takes what was under way for interrupted, and would do so to a running neighbour's.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "in-use.lock").open("a") as lock:  # the kernel frees it, however the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Another Recorte is running on {home}. Use that one, "
                "or choose another folder with RECORTE_HOME."
            ) from None
        yield


def serve(settings: Settings) -> None:
    """Run until interrupted."""
    with listening(settings.host, settings.port) as port, alone(settings.home):
        uploads = settings.home / "uploads"
        shutil.rmtree(uploads, ignore_errors=True)  # what a server that was killed left half received
        # Gradio reads these when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

        from db import repository
        from db.engine import Database
        from db.ledger import Ledger
        from pipeline.runner import Runner
        from ui import blocks
        from ui.actions import Actions

        with Database.open(settings.database_url, settings.home / "database") as database:
            with database.begin() as tx:
                repository.interrupt_unfinished(tx)
            with closing(Ledger(database)) as ledger, closing(Runner(ledger)) as runner:
                actions = Actions(settings.home, database, runner, ASSETS / "sample.mp4")
                actions.mend()
                page = blocks.application(actions, upload_bytes=settings.upload_bytes)
                answer(page, port)


def answer(page: FastAPI, port: socket.socket) -> None:
    """Answer requests until interrupted; says where, once it does."""
    import uvicorn

    host, number, *_ = port.getsockname()
    address = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"Recorte is at {address}", flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A page that is open holds a connection for as long; to cut that off now is no error to report.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    config = uvicorn.Config(page, log_level="warning", timeout_graceful_shutdown=2)
    Server(config).run(sockets=[port])


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("db", "pipeline", "ui"):
        logging.getLogger(package).setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is closed then, too
    from db.errors import DatabaseError

    try:
        serve(Settings.read(os.environ))
    except (CannotStart, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
