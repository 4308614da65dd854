"""Suppressions are counted by when they came; subscribers who give no sign are noticed."""

import sqlalchemy as sa
from alembic import op

from digest.store.online import column, index, no_index, update_in_parts
from digest.store.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns, which takes no time, and an index.

    That votes are signs of their voters is written once, row by row of `subscribers`: some seconds
    for a hundred thousand of them, while others go on.
    """
    column("subscribers", sa.Column("sign_at", UtcDateTime(), nullable=True))
    column("subscribers", sa.Column("sunset_at", UtcDateTime(), nullable=True))
    index("ix_suppressions_at", "suppressions", ["at"])
    theirs = "votes.subscriber_id = subscribers.id AND via <> 'import'"
    update_in_parts("subscribers", f"sign_at = (SELECT max(at) FROM votes WHERE {theirs})")  # noqa: S608


def downgrade() -> None:
    """Take it away."""
    no_index("ix_suppressions_at", "suppressions")
    op.drop_column("subscribers", "sunset_at")
    op.drop_column("subscribers", "sign_at")
