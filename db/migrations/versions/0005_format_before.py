"""the format that made way for one with transparency"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("format_before", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "format_before")
