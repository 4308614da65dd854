"""Mail that came back, and sending that is paused because the fault is ours."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables, two columns and an index."""
    op.create_table(
        "breakers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("failures", Id, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_breakers"),
    )
    op.create_table(
        "bounces",
        sa.Column("id", Id, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("subscriber_id", Id, nullable=True),
        sa.Column("delivery_id", Id, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('hard', 'soft', 'delayed', 'complaint', 'unsubscribe', 'unknown')",
            name="ck_bounces_kind",
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_bounces_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name="fk_bounces_delivery_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bounces"),
        sa.UniqueConstraint("sha256", name="uq_bounces_sha256"),
    )
    op.create_index("ix_bounces_subscriber_id_at", "bounces", ["subscriber_id", "at"])
    op.create_index("ix_bounces_delivery_id", "bounces", ["delivery_id"])
    # Not in a batch: see 0002.
    op.add_column("subscribers", sa.Column("bounce_points", Id, nullable=False, server_default="0"))
    op.add_column("subscribers", sa.Column("bounced_at", UtcDateTime(), nullable=True))
    op.create_index("ix_editions_built_at", "editions", ["built_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_editions_built_at", table_name="editions")
    op.drop_column("subscribers", "bounced_at")
    op.drop_column("subscribers", "bounce_points")
    op.drop_table("bounces")
    op.drop_table("breakers")
