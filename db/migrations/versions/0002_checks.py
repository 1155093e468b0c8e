"""where the cut of a session may have slipped"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("checks", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "checks")
