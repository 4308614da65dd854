"""What subscribers never want, and how likely the papers of theirs have to be."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column."""
    op.create_table(
        "mutes",
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('word', 'author', 'category')", name="ck_mutes_kind"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_mutes_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "kind", "text", name="pk_mutes"),
    )
    # Not in a batch: that makes subscribers anew, and dropping the old table on SQLite deletes
    # with each subscriber all that is theirs.
    op.add_column("subscribers", sa.Column("min_probability", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop both."""
    op.drop_column("subscribers", "min_probability")
    op.drop_table("mutes")
