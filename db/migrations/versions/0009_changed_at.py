"""when the job, the state or the results of a session changed last"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.Column("changed_at", TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("sessions", time)
    op.execute("UPDATE sessions SET changed_at = updated_at")
    op.create_index("ix_sessions_changed", "sessions", ["owner_id", "changed_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_sessions_changed", "sessions")
    op.drop_column("sessions", "changed_at")
