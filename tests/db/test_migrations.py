"""The alembic_config make what the models say, and can be taken back."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.orm import Session

from db import repository
from db.engine import Database, alembic_config
from db.models import Base, SessionRow


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def checks(connection: Connection) -> dict[str | None, str]:
    constraints = inspect(connection).get_check_constraints(SessionRow.__tablename__)
    return {check["name"]: check["sqltext"] for check in constraints}


def test_migrations_create_the_schema_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        assert differences(connection) == []


def test_migrations_can_be_reverted_and_repeated(database: Database) -> None:
    config = alembic_config()
    with database.engine.connect() as connection, connection.begin() as outer:
        config.attributes["connection"] = connection
        before = checks(connection)
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(config, "head")
        assert differences(connection) == []
        assert checks(connection) == before
        outer.rollback()


def test_a_result_from_before_keys_and_notes_is_kept(database: Database) -> None:
    config = alembic_config()
    with database.engine.connect() as connection, connection.begin() as outer:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        connection.execute(
            text(
                "INSERT INTO sessions (id, name, source, clip, job) VALUES (:id, 'a', 'a.mp4', '{}', '{}');"
                "INSERT INTO results (id, session_id, format, background, model, file, bytes, frames,"
                " seconds) VALUES (gen_random_uuid(), :id, 'mp4', 'blur', 'grabcut', 'a.mp4', 1, 2, 3)"
            ),
            {"id": "5f0c0f0e-0000-4000-8000-000000000001"},
        )
        command.upgrade(config, "head")
        with Session(connection) as tx:
            (kept,) = repository.get(tx, id="5f0c0f0e-0000-4000-8000-000000000001").results
            assert (kept.file, kept.key, kept.notes) == ("a.mp4", None, [])
        outer.rollback()


def test_the_check_constraint_equals_that_of_the_models(database: Database) -> None:
    """Alembic's comparison does not look at CHECKs."""
    with database.engine.connect() as connection, connection.begin() as outer:
        migrated = checks(connection)
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
        assert checks(connection) == migrated
        assert list(migrated) == ["ck_sessions_state"]
        outer.rollback()
