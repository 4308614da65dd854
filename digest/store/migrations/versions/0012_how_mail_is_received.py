"""Suppressions are counted by when they came; subscribers who give no sign are noticed."""

import sqlalchemy as sa
from alembic import op

from digest.store.online import index, no_index
from digest.store.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns, which takes no time, and an index.

    That votes are signs of their voters is written once, row by row of `subscribers`: some seconds
    for a hundred thousand of them.
    """
    index("ix_suppressions_at", "suppressions", ["at"])
    op.add_column("subscribers", sa.Column("sign_at", UtcDateTime(), nullable=True))
    op.add_column("subscribers", sa.Column("sunset_at", UtcDateTime(), nullable=True))
    op.execute(
        "UPDATE subscribers SET sign_at = "
        "(SELECT max(at) FROM votes WHERE votes.subscriber_id = subscribers.id AND via <> 'import')"
    )


def downgrade() -> None:
    """Take it away."""
    no_index("ix_suppressions_at", "suppressions")
    op.drop_column("subscribers", "sunset_at")
    op.drop_column("subscribers", "sign_at")
