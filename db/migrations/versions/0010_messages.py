"""errors and notes as messages, beside their sentences in English"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("error_message", JSONB(), nullable=True))
    op.add_column("results", sa.Column("note_messages", JSONB(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("results", "note_messages")
    op.drop_column("sessions", "error_message")
