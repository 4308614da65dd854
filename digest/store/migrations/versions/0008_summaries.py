"""What a language model was asked to summarise, and what it answered."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "summaries",
        sa.Column("id", Id, nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_summaries"),
    )
    op.create_index("ix_summaries_text_hash_method", "summaries", ["text_hash", "method"])
    op.create_index("ix_summaries_asked_at", "summaries", ["asked_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("summaries")
