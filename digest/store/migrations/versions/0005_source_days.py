"""How each source did on each day, what servers call their pages, and turns in asking a site."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Id, Json, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VERDICTS = ("fresh", "quiet", "stale", "partial", "unreadable", "unreachable")
_listings = sa.table("listings", sa.column("is_news", sa.Boolean), sa.column("facts", Json))


def upgrade() -> None:
    """Add three tables, and to `listings` what was a flag among the facts; the flags stay there."""
    listed = ", ".join(f"'{verdict}'" for verdict in _VERDICTS)
    op.create_table(
        "source_days",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("n_listings", Id, nullable=False),
        sa.PrimaryKeyConstraint("source", "day", name="pk_source_days"),
        sa.CheckConstraint(f"verdict IN ({listed})", name="ck_source_days_verdict"),
    )
    op.create_index("ix_source_days_day", "source_days", ["day"])
    op.create_table(
        "page_marks",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("page_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("source", "url", name="pk_page_marks"),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages.id"], ondelete="CASCADE", name="fk_page_marks_page_id"
        ),
    )
    op.create_index("ix_page_marks_page_id", "page_marks", ["page_id"])
    op.create_table(
        "site_turns",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("free_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_site_turns"),
    )
    op.add_column("sources", sa.Column("last_news_at", UtcDateTime))
    op.execute("UPDATE sources SET last_news_at = last_read_at")
    op.add_column(
        "listings", sa.Column("is_news", sa.Boolean, nullable=False, server_default=sa.true())
    )
    flagged = _listings.c.facts["is_news"].as_boolean().is_(False)
    op.execute(_listings.update().where(flagged).values(is_news=sa.false()))


def downgrade() -> None:
    """Drop them; which listings are no news is forgotten of those since."""
    op.drop_column("listings", "is_news")
    op.drop_column("sources", "last_news_at")
    for table in ("site_turns", "page_marks", "source_days"):
        op.drop_table(table)
