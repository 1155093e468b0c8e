"""runs of sessions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TIME = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_hash", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("state", sa.String(11), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_message", JSONB(), nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('ready', 'queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')",
            name=op.f("ck_runs_state"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_runs_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_session", "runs", ["session_id", "created_at", "id"])
    op.create_index("ix_runs_idempotency", "runs", ["idempotency_hash"], unique=True)
    op.add_column("results", sa.Column("run_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_results_run_id"), "results", "runs", ["run_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index("ix_results_run", "results", ["run_id"])


def downgrade() -> None:
    op.drop_column("results", "run_id")
    op.drop_table("runs")
