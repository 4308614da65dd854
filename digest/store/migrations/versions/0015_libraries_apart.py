"""Papers that only libraries name are for their readers alone: their keys stand apart."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Listings are forgotten after a while; what was listed then was shown, or nobody imported it.
_FILED = """paper_id IN (
SELECT id FROM papers
WHERE NOT EXISTS (SELECT 1 FROM listings WHERE listings.paper_id = papers.id)
  AND NOT EXISTS (SELECT 1 FROM edition_items WHERE edition_items.paper_id = papers.id)
  AND EXISTS (SELECT 1 FROM votes WHERE votes.paper_id = papers.id AND votes.via = 'import')
)"""


def upgrade() -> None:
    """Set the keys apart, and forget what libraries said became of these papers."""
    op.execute("DELETE FROM paper_news WHERE " + _FILED)  # noqa: S608 - our own words
    op.execute("UPDATE paper_keys SET key = 'library:' || key WHERE " + _FILED)  # noqa: S608


def downgrade() -> None:
    """Put them back among the others, as far as no other paper has them."""
    op.execute(
        "DELETE FROM paper_keys WHERE key LIKE 'library:%' "
        "AND (key NOT LIKE 'library:%:%' OR substr(key, 9) IN (SELECT key FROM paper_keys))"
    )
    op.execute("UPDATE paper_keys SET key = substr(key, 9) WHERE key LIKE 'library:%'")
