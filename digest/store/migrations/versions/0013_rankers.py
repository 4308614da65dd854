"""Which ranker is live, which made an edition, and whose choice a paper was where two shared it."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, Json, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and two columns.

    On PostgreSQL a nullable column without a default is a change of the catalogue alone. What an
    edition names has no foreign key, whose check would read all of them; it is never deleted.
    """
    op.create_table(
        "ranker_changes",
        sa.Column("number", Id, autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("live", Json, nullable=False),
        sa.Column("trial", Json, nullable=True),
        sa.CheckConstraint(
            "kind IN ('promote', 'rollback', 'interleave', 'stop')", name="ck_ranker_changes_kind"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_ranker_changes"),
    )
    # Not in batches: see 0002.
    op.add_column("editions", sa.Column("ranker_change", Id, nullable=True))
    op.add_column("edition_items", sa.Column("team", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop them: the standard ranker is live again."""
    op.drop_column("edition_items", "team")
    op.drop_column("editions", "ranker_change")
    op.drop_table("ranker_changes")
