"""Database: the SQLAlchemy engine, its transactions, migrations, and the mapping of the driver's errors."""

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
"""Time between two attempts to restart an embedded server."""

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_SECONDS = 600.0
MIGRATION_LOCK = 0x5EC0_127E  # key of an advisory lock: the same in every process


class Database:
    """Database of the sessions, with migrated tables. Thread-safe."""

    def __init__(self, engine: Engine, server: EmbeddedServer | None = None) -> None:
        self.engine = engine
        self._server = server
        self._restarting = threading.Lock()
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, url: str | None, folder: Path, *, migrate: bool = True) -> Database:
        """Connect to the server at `url`, or start the embedded one in `folder`; then migrate the tables.

        Without `migrate` the tables are left as they are, even if there are none.

        Raises:
            DatabaseAway: the server cannot be reached or started.
            DatabaseError: the tables cannot be made, or are of a newer version of this program.
        """
        server = None
        if url:
            address = _address(url)
        else:
            try:  # imported here: not installed where only an external server is used
                from db.embedded import EmbeddedServer
            except ImportError as error:
                raise DatabaseAway("database.no_embedded") from error
            server = EmbeddedServer(folder)
            server.start()
            address = server.url
        engine = create_engine(
            address,
            pool_pre_ping=True,
            # A page requests a dozen images at once: waiting for one of a few open connections is better than
            # to open one for each, which on a busy machine may exceed the connect timeout.
            pool_size=8,
            max_overflow=0,
            pool_timeout=timeouts.ANSWER_SECONDS,
            # tcp_user_timeout: a server that left the network is noticed after seconds, not a quarter hour.
            connect_args={"connect_timeout": 3, "tcp_user_timeout": 10_000},
        )
        timeouts.install()
        event.listen(engine, "connect", _set_statement_timeout)
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
        """Open a transaction: committed at the end of the block, rolled back when the block raises.

        Raises:
            DatabaseAway: the server cannot be reached, or the connection was lost.
        """
        with self._map_errors(), self._sessions.begin() as tx:
            yield tx

    def version(self) -> str:
        """Return the server's version, such as "18.0". Raises DatabaseAway."""
        with self.begin() as tx:
            return str(tx.scalars(select(func.current_setting("server_version"))).one()).split()[0]

    def close(self) -> None:
        """Close all connections and release the embedded server. May be called twice."""
        self.engine.dispose()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _migrate(self) -> None:
        try:
            with (
                self._map_errors(),
                timeouts.wait_limit(_MIGRATION_SECONDS),
                self.engine.begin() as connection,
            ):
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                # Held to the end of the transaction: a second process waits, and then has nothing to migrate.
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError("database.newer") from error
        except exc.DBAPIError as error:
            raise DatabaseError("database.not_migrated", reason=_cause(error)) from error

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        """Map the driver's errors about a lost server to `DatabaseAway`."""
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
            self._restart(self._server)
            return DatabaseAway("database.embedded_away", reason=_cause(error))
        url = self.engine.url
        host = url.host or url.query.get("host") or "this machine"
        return DatabaseAway(
            "database.away", name=url.database or url.username or "", host=str(host), reason=_cause(error)
        )

    def _restart(self, server: EmbeddedServer) -> None:
        """Restart an embedded server that has died, in a background thread."""

        def start() -> None:
            try:
                if server.restart_if_dead():
                    log.warning("the embedded database had ended, and was started again")
            except DatabaseAway as error:
                log.error("the embedded database could not be started again", exc_info=error)
                time.sleep(_REVIVAL_SECONDS)
            finally:
                self._restarting.release()

        if self._restarting.acquire(blocking=False):
            threading.Thread(target=start, name="revival", daemon=True).start()


def alembic_config() -> Config:
    """Return the configuration of Alembic, which needs no file at run time."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _set_statement_timeout(connection: Any, _record: object) -> None:
    """Set the statement timeout of a connection; not as a connect option, which some poolers refuse."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {round(timeouts.STATEMENT_SECONDS * 1000)}")
    connection.commit()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        address = None  # raised below, without the cause, which may quote the password
    if address is None or address.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise DatabaseAway("database.address")
    if "@" in (address.host or ""):
        raise DatabaseAway("database.at_sign")
    return address.set(drivername="postgresql+psycopg2")


def _cause(error: exc.SQLAlchemyError) -> str:
    """Return the cause from the driver's first line: `Connection refused`, `role "x" does not exist`."""
    line, *_ = str(getattr(error, "orig", error)).strip().splitlines() or [type(error).__name__]
    return line.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
