"""what a result was made from, and what was done otherwise than asked"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("results", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("results", sa.Column("notes", ARRAY(sa.Text()), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("results", "notes")
    op.drop_column("results", "key")
