"""Interests that can be switched off, votes that no person may have cast, changes of address."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and three columns."""
    op.create_table(
        "address_changes",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("old_said_at", UtcDateTime(), nullable=True),
        sa.Column("new_said_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_address_changes_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_address_changes"),
        sa.UniqueConstraint("subscriber_id", name="uq_address_changes_subscriber_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_address_changes_address_key", "address_changes", ["address_key"])
    # Not in batches: see 0002.
    op.add_column(
        "interests", sa.Column("is_on", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column("votes", sa.Column("held_at", UtcDateTime(), nullable=True))
    op.add_column("consents", sa.Column("form", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop them, and the votes that were held: without the column they would count."""
    op.execute("DELETE FROM votes WHERE held_at IS NOT NULL")
    op.drop_column("consents", "form")
    op.drop_column("votes", "held_at")
    op.drop_column("interests", "is_on")
    op.drop_table("address_changes")
