"""What a mail is made of: languages, receipts, and since when which templates make it."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Json, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns and a table."""
    # Not in a batch: see 0002.
    op.add_column("subscribers", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("editions", sa.Column("is_first", sa.Boolean(), nullable=True))
    op.add_column("editions", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("editions", sa.Column("receipt", Json, nullable=True))
    op.add_column("editions", sa.Column("pages", sa.String(length=64), nullable=True))
    op.create_table(
        "presses",
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("since", name="pk_presses"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("presses")
    for column in ("pages", "receipt", "language", "is_first"):
        op.drop_column("editions", column)
    op.drop_column("subscribers", "language")
