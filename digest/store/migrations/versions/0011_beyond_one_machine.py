"""What keeps the daily path from growing with history: marks of what is embedded, and indexes.

On PostgreSQL: a nullable column without a default is a change of the catalogue alone. Indexes are
made and dropped CONCURRENTLY, so nobody waits for them but this migration, which reads each table
twice: minutes for a hundred million rows. Every text is then looked at once by embedding jobs of
512, which find its vector and set the mark.
"""

import sqlalchemy as sa
from alembic import op

from digest.store.online import column, index, no_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INDEXES: dict[str, tuple[str, list[str], str | None]] = {
    "ix_papers_embedded_by": ("papers", ["embedded_by"], None),
    "ix_interests_embedded_by": ("interests", ["embedded_by"], None),
    "ix_interests_text_hash": ("interests", ["text_hash"], None),
    "ix_subscribers_state_next_due_at_id": ("subscribers", ["state", "next_due_at", "id"], None),
    "ix_votes_at": ("votes", ["at"], None),
    "ix_pages_seen_at": ("pages", ["seen_at"], None),
    "ix_deliveries_created_at": ("deliveries", ["created_at"], "edition_id IS NULL"),
    "ix_bounces_at": ("bounces", ["at"], "delivery_id IS NULL"),
}
_BEFORE = ("ix_subscribers_state_next_due_at", "subscribers", ["state", "next_due_at"])


def upgrade() -> None:
    """Add two columns and the indexes."""
    # Not in a batch: see 0002.
    for table in ("papers", "interests"):
        column(table, sa.Column("embedded_by", sa.Text(), nullable=True))
    for name, (table, columns, where) in _INDEXES.items():
        index(name, table, columns, where=where)
    no_index(*_BEFORE[:2])


def downgrade() -> None:
    """Drop them."""
    index(*_BEFORE)
    for name, (table, _columns, _where) in _INDEXES.items():
        no_index(name, table)
    for table in ("papers", "interests"):
        op.drop_column(table, "embedded_by")
