"""users, whose a session is, and when its run last gave a sign"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("ix_users_name", "users", [sa.text("lower(name)")], unique=True)
    op.add_column("sessions", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column("sessions", sa.Column("beat_at", TIME, nullable=True))
    op.create_foreign_key(
        op.f("fk_sessions_owner_id"), "sessions", "users", ["owner_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("ix_sessions_owner", "sessions", ["owner_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_sessions_owner", "sessions")
    op.drop_column("sessions", "beat_at")
    op.drop_column("sessions", "owner_id")
    op.drop_table("users")
