"""Sign-ups that wait to be confirmed, and how much of its allowance a network has used up."""

import sqlalchemy as sa
from alembic import op

from digest.store.online import index, no_index
from digest.store.types import Id, Json, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and an index."""
    index("ix_attempts_at", "attempts", ["at"])
    op.create_table(
        "signups",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=True),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("asked", Json, nullable=False),
        sa.Column("library", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_signups_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_signups"),
        sa.UniqueConstraint("address_key", name="uq_signups_address_key"),
    )
    op.create_index("ix_signups_subscriber_id", "signups", ["subscriber_id"])
    op.create_index("ix_signups_due_at", "signups", ["due_at"])
    op.create_table(
        "throttles",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_throttles"),
    )


def downgrade() -> None:
    """Drop them."""
    no_index("ix_attempts_at", "attempts")
    op.drop_table("throttles")
    op.drop_table("signups")
