"""What becomes of papers, which of them are one work, and the language that they are in."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, Json, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three tables and four columns."""
    op.create_table(
        "paper_marks",
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("paper_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_paper_marks_paper_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mark", "paper_id", name="pk_paper_marks"),
    )
    op.create_index("ix_paper_marks_paper_id", "paper_marks", ["paper_id"])
    op.create_table(
        "paper_links",
        sa.Column("paper_id", Id, nullable=False),
        sa.Column("other_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('same', 'near')", name="ck_paper_links_kind"),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_paper_links_paper_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["papers.id"], name="fk_paper_links_other_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("paper_id", "other_id", name="pk_paper_links"),
    )
    op.create_index("ix_paper_links_other_id", "paper_links", ["other_id"])
    op.create_table(
        "paper_news",
        sa.Column("paper_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("noticed_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('version', 'withdrawn', 'published', 'code')", name="ck_paper_news_kind"
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_paper_news_paper_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("paper_id", "kind", "detail", name="pk_paper_news"),
    )
    op.create_index("ix_paper_news_noticed_at", "paper_news", ["noticed_at"])
    # Not in a batch: see 0002.
    op.add_column("papers", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("papers", sa.Column("version", Id, nullable=True))
    op.add_column("papers", sa.Column("published_in", sa.Text(), nullable=True))
    op.add_column("editions", sa.Column("notes", Json, nullable=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("editions", "notes")
    for column in ("published_in", "version", "language"):
        op.drop_column("papers", column)
    for table in ("paper_news", "paper_links", "paper_marks"):
        op.drop_table(table)
