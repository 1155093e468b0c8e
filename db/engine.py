"""The engine and its transactions: where the driver's errors become ours."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Engine, create_engine, event, exc, func, make_url, select, text
from sqlalchemy.orm import Session, sessionmaker

from db import timeouts
from db.errors import DatabaseAway, DatabaseError

if TYPE_CHECKING:
    from db.embedded import EmbeddedServer

log = logging.getLogger(__name__)

_REVIVAL_SECONDS = 5.0
"""Between two attempts to start an embedded server again that does not start."""

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_SECONDS = 600.0
MIGRATION_LOCK = 0x5EC0_127E  # any number, as long as every starter takes the same


class Database:
    """The sessions' database, with its tables up to date. Safe to share between threads."""

    def __init__(self, engine: Engine, server: EmbeddedServer | None = None) -> None:
        self.engine = engine
        self._server = server
        self._reviving = threading.Lock()
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, url: str | None, folder: Path, *, migrate: bool = True) -> Database:
        """Connect to the server at `url`, or start the embedded one in `folder`; then bring up the tables.

        Without `migrate` the tables are left as they are, be it that there are none.

        Raises:
            DatabaseAway: the server cannot be reached or started.
            DatabaseError: the tables cannot be made, or are of a newer version of this program.
        """
        server = None
        if url:
            address = _address(url)
        else:
            try:  # here, for those with their own server need not have it installed
                from db.embedded import EmbeddedServer
            except ImportError as error:
                raise DatabaseAway(
                    "There is no embedded database on this machine: set DATABASE_URL to a PostgreSQL server."
                ) from error
            server = EmbeddedServer(folder)
            server.start()
            address = server.url
        engine = create_engine(
            address,
            pool_pre_ping=True,
            # A page asks for a dozen pictures at once: better to wait for one of a few open connections than
            # to open one for each, which a busy machine may not manage within the time to connect.
            pool_size=8,
            max_overflow=0,
            pool_timeout=timeouts.ANSWER_SECONDS,
            # The second: a server that vanished from the network is missed after seconds, not a quarter hour.
            connect_args={"connect_timeout": 3, "tcp_user_timeout": 10_000},
        )
        timeouts.install()
        event.listen(engine, "connect", _bound_statements)
        database = cls(engine, server)
        try:
            if migrate:
                database._migrate()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back when the block raises.

        Raises:
            DatabaseAway: the server cannot be reached, or was lost on the way.
        """
        with self._ours(), self._sessions.begin() as tx:
            yield tx

    def version(self) -> str:
        """The server's, such as "18.0". Raises DatabaseAway."""
        with self.begin() as tx:
            return str(tx.scalars(select(func.current_setting("server_version"))).one()).split()[0]

    def close(self) -> None:
        """Close all connections and leave the embedded server. Doing so twice is no mistake."""
        self.engine.dispose()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _migrate(self) -> None:
        try:
            with self._ours(), timeouts.wait_limit(_MIGRATION_SECONDS), self.engine.begin() as connection:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                # Held to the end of the transaction: a second starter waits, and finds nothing left to do.
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(
                "The database was written by a newer version of this program: update the program."
            ) from error
        except exc.DBAPIError as error:
            raise DatabaseError(
                f"The database's tables cannot be brought up to date: {_said(error)}."
            ) from error

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """The border: what the driver says about a lost server leaves as `DatabaseAway`."""
        try:
            yield
        except (exc.OperationalError, exc.InterfaceError, exc.DisconnectionError, exc.TimeoutError) as error:
            raise self._away(error) from error
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise self._away(error) from error
        except exc.StatementError as error:
            if isinstance(error.orig, DatabaseError):  # of a column that refused a value
                raise error.orig from None
            raise

    def _away(self, error: exc.SQLAlchemyError) -> DatabaseAway:
        if self._server is not None:
            self._revive(self._server)
            return DatabaseAway(
                f"The embedded database does not answer ({_said(error)}). It is started again where it has "
                "ended: try again in a moment. If it stays so, start the program again."
            )
        url = self.engine.url
        host = url.host or url.query.get("host") or "this machine"
        return DatabaseAway(
            f'The database "{url.database or url.username}" on {host} cannot be reached ({_said(error)}): '
            "check DATABASE_URL, or unset it to use the embedded database."
        )

    def _revive(self, server: EmbeddedServer) -> None:
        """Have an embedded server that died started again, in a thread: nobody waits for it."""

        def start() -> None:
            try:
                if server.restart_if_dead():
                    log.warning("the embedded database had ended, and was started again")
            except DatabaseAway as error:
                log.error("the embedded database could not be started again", exc_info=error)
                time.sleep(_REVIVAL_SECONDS)
            finally:
                self._reviving.release()

        if self._reviving.acquire(blocking=False):
            threading.Thread(target=start, name="revival", daemon=True).start()


def alembic_config() -> Config:
    """Alembic's settings, made here so that no file has to be found at run time."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _bound_statements(connection: Any, _record: object) -> None:
    """Have the server end what takes it too long; said here, for a pooler may take no options."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {round(timeouts.STATEMENT_SECONDS * 1000)}")
    connection.commit()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        address = None  # raised below, without the cause: it may quote the password
    if address is None or address.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise DatabaseAway(
            "DATABASE_URL is not the address of a PostgreSQL server: write "
            "postgresql://user:password@host:5432/name, or unset it to use the embedded database."
        )
    if "@" in (address.host or ""):
        raise DatabaseAway("DATABASE_URL holds an @ in its name or password: write it as %40.")
    return address.set(drivername="postgresql+psycopg2")


def _said(error: exc.SQLAlchemyError) -> str:
    """The heart of the driver's first line: `Connection refused`, `role "x" does not exist`."""
    line, *_ = str(getattr(error, "orig", error)).strip().splitlines() or [type(error).__name__]
    return line.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
