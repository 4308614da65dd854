"""Mails beside the edition and the confirmation.

On PostgreSQL the table is locked for a moment; its rows are looked at while others go on: seconds
for ten million.
"""

from alembic import op

from digest.store.online import check

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BEFORE = ("edition", "confirmation")
_SINCE = (*_BEFORE, "change_from", "change_to", "fresh_link", "sunset", "goodbye")


def upgrade() -> None:
    """Let `deliveries.kind` have them; SQLite makes the table anew for that."""
    _allow(_SINCE)


def downgrade() -> None:
    """Drop the mails of the newer kinds, and allow them no longer."""
    op.execute("DELETE FROM deliveries WHERE kind NOT IN ('edition', 'confirmation')")
    # Nothing cascades on SQLite while tables are made anew.
    for table in ("attempts", "bounces"):
        op.execute(f"DELETE FROM {table} WHERE delivery_id NOT IN (SELECT id FROM deliveries)")  # noqa: S608
    _allow(_BEFORE)


def _allow(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    check("ck_deliveries_kind", "deliveries", f"kind IN ({listed})")
