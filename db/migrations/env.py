"""Run by alembic, on the connection that `db.engine` (or `python -m db.migrations`) puts in its settings."""

from alembic import context

from db.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
