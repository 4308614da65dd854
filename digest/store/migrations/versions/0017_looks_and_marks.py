"""What editions looked at, their notes in any language, and which secret key is this database's.

What had just come in when an edition was built is passed over by the next one. A note that names
sources was frozen in English: it is kept as what can be said in any language.
"""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, Json, UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and two columns.

    On PostgreSQL nullable columns without a default change the catalogue alone. What an
    edition names has no foreign key: it is forgotten as the editions are.
    """
    op.create_table(
        "looks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("paper_ids", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_looks"),
    )
    op.create_index("ix_looks_at", "looks", ["at"])
    op.create_table(
        "key_marks",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_marks"),
    )
    op.add_column("editions", sa.Column("note_said", Json, nullable=True))
    op.add_column("editions", sa.Column("look", sa.String(64), nullable=True))


def downgrade() -> None:
    """Drop them: a few papers are looked at twice, and another key is not noticed."""
    op.drop_column("editions", "look")
    op.drop_column("editions", "note_said")
    op.drop_table("key_marks")
    op.drop_table("looks")
