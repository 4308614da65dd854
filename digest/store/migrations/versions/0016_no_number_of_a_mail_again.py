"""The number of a mail that is forgotten is never given to another: what comes back names it.

PostgreSQL gives none twice as it is. SQLite makes the table anew: seconds for a million rows.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have SQLite remember the last number."""
    _make_anew(autoincrement=True)


def downgrade() -> None:
    """Have it go by what is there again."""
    _make_anew(autoincrement=False)


def _make_anew(*, autoincrement: bool) -> None:
    if op.get_bind().dialect.name == "sqlite":
        kwargs = {"sqlite_autoincrement": autoincrement}
        with op.batch_alter_table("deliveries", recreate="always", table_kwargs=kwargs):
            pass
