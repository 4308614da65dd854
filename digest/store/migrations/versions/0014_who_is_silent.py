"""Who has been silent for long is found by an index, and not by reading all subscribers.

On PostgreSQL it is made CONCURRENTLY: nobody waits but this migration, which reads the table twice.
"""

from digest.store.online import index, no_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NAME = "ix_subscribers_state_sunset_at_sign_at_confirmed_at"


def upgrade() -> None:
    """Add the index."""
    index(_NAME, "subscribers", ["state", "sunset_at", "sign_at", "confirmed_at"])


def downgrade() -> None:
    """Drop it."""
    no_index(_NAME, "subscribers")
