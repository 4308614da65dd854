"""The first tables."""

import sqlalchemy as sa
from alembic import op

from digest.store.types import Float32Vector, Id, Json, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "leases",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("failures", Id, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_leases"),
    )
    op.create_table(
        "pages",
        sa.Column("id", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("page_date", sa.Date(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pages"),
        sa.UniqueConstraint("source", "sha256", name="uq_pages_source_sha256"),
    )
    op.create_table(
        "papers",
        sa.Column("id", Id, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("abstract", sa.Text(), nullable=False),
        sa.Column(
            "authors",
            Json,
            nullable=False,
        ),
        sa.Column("arxiv_id", sa.Text(), nullable=True),
        sa.Column("doi", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("code_url", sa.Text(), nullable=True),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("ready_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_papers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_papers_ready_at", "papers", ["ready_at"], unique=False)
    op.create_index("ix_papers_text_hash", "papers", ["text_hash"], unique=False)
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_run_at", UtcDateTime(), nullable=False),
        sa.Column("last_read_at", UtcDateTime(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("n_listings", Id, nullable=False),
        sa.CheckConstraint(
            "verdict IN ('fresh', 'quiet', 'stale', 'partial', 'unreadable', 'unreachable')",
            name="ck_sources_verdict",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_sources"),
    )
    op.create_table(
        "subscribers",
        sa.Column("id", Id, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("hour", Id, nullable=False),
        sa.Column("frequency", sa.Text(), nullable=False),
        sa.Column("length", Id, nullable=False),
        sa.Column("mix", sa.Double(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("left_at", UtcDateTime(), nullable=True),
        sa.Column("paused_until", sa.Date(), nullable=True),
        sa.Column("next_due_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "frequency IN ('daily', 'weekdays', 'weekly')", name="ck_subscribers_frequency"
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'paused', 'left', 'suspended')",
            name="ck_subscribers_state",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subscribers"),
        sa.UniqueConstraint("address_key", name="uq_subscribers_address_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_subscribers_state_next_due_at",
        "subscribers",
        ["state", "next_due_at"],
        unique=False,
    )
    op.create_table(
        "suppressions",
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", name="pk_suppressions"),
    )
    op.create_table(
        "vectors",
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("vector", Float32Vector(), nullable=False),
        sa.PrimaryKeyConstraint("encoder", "text_hash", name="pk_vectors"),
    )
    op.create_table(
        "consents",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_consents_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_subscriber_id", "consents", ["subscriber_id"], unique=False)
    op.create_table(
        "editions",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("built_at", UtcDateTime(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("n_candidates", Id, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column(
            "runners_up",
            Json,
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_editions_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_editions"),
        sa.UniqueConstraint(
            "subscriber_id", "local_date", name="uq_editions_subscriber_id_local_date"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "interests",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_interests_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_interests"),
        sa.UniqueConstraint("subscriber_id", "name", name="uq_interests_subscriber_id_name"),
    )
    op.create_table(
        "listings",
        sa.Column("id", Id, nullable=False),
        sa.Column("page_id", Id, nullable=False),
        sa.Column("paper_id", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("page_date", sa.Date(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("position", Id, nullable=False),
        sa.Column("upvotes", Id, nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "facts",
            Json,
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages.id"], name="fk_listings_page_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_listings_paper_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_listings"),
        sa.UniqueConstraint("page_id", "paper_id", name="uq_listings_page_id_paper_id"),
    )
    op.create_index(
        "ix_listings_paper_id_seen_at", "listings", ["paper_id", "seen_at"], unique=False
    )
    op.create_index("ix_listings_seen_at", "listings", ["seen_at"], unique=False)
    op.create_table(
        "paper_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("paper_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_paper_keys_paper_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_paper_keys"),
    )
    op.create_index("ix_paper_keys_paper_id", "paper_keys", ["paper_id"], unique=False)
    op.create_table(
        "votes",
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("paper_id", Id, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("value IN ('up', 'down', 'saved')", name="ck_votes_value"),
        sa.CheckConstraint("via IN ('web', 'cli', 'import')", name="ck_votes_via"),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_votes_paper_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_votes_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "paper_id", name="pk_votes"),
    )
    op.create_index("ix_votes_paper_id", "votes", ["paper_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("edition_id", Id, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('edition', 'confirmation')", name="ck_deliveries_kind"),
        sa.CheckConstraint(
            "state IN ('queued', 'claimed', 'in_flight', 'sent', 'deferred', 'failed', 'uncertain',"
            " 'cancelled')",
            name="ck_deliveries_state",
        ),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name="fk_deliveries_edition_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_deliveries_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("edition_id", name="uq_deliveries_edition_id"),
        sa.UniqueConstraint("message_id", name="uq_deliveries_message_id"),
    )
    op.create_index("ix_deliveries_state_due_at", "deliveries", ["state", "due_at"], unique=False)
    op.create_index("ix_deliveries_subscriber_id", "deliveries", ["subscriber_id"], unique=False)
    op.create_table(
        "edition_items",
        sa.Column("edition_id", Id, nullable=False),
        sa.Column("paper_id", Id, nullable=False),
        sa.Column("subscriber_id", Id, nullable=False),
        sa.Column("position", Id, nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column(
            "card",
            Json,
            nullable=False,
        ),
        sa.Column(
            "reasons",
            Json,
            nullable=False,
        ),
        sa.CheckConstraint(
            "lane IN ('personal', 'trending', 'exploration')", name="ck_edition_items_lane"
        ),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name="fk_edition_items_edition_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_edition_items_paper_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_edition_items_subscriber_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("edition_id", "paper_id", name="pk_edition_items"),
        sa.UniqueConstraint("edition_id", "position", name="uq_edition_items_edition_id_position"),
    )
    op.create_index(
        "ix_edition_items_subscriber_id_paper_id",
        "edition_items",
        ["subscriber_id", "paper_id"],
        unique=False,
    )
    op.create_table(
        "attempts",
        sa.Column("id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", Id, nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name="fk_attempts_delivery_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
    )
    op.create_index("ix_attempts_delivery_id", "attempts", ["delivery_id"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index("ix_attempts_delivery_id", table_name="attempts")
    op.drop_table("attempts")
    op.drop_index("ix_edition_items_subscriber_id_paper_id", table_name="edition_items")
    op.drop_table("edition_items")
    op.drop_index("ix_deliveries_subscriber_id", table_name="deliveries")
    op.drop_index("ix_deliveries_state_due_at", table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_index("ix_votes_paper_id", table_name="votes")
    op.drop_table("votes")
    op.drop_index("ix_paper_keys_paper_id", table_name="paper_keys")
    op.drop_table("paper_keys")
    op.drop_index("ix_listings_seen_at", table_name="listings")
    op.drop_index("ix_listings_paper_id_seen_at", table_name="listings")
    op.drop_table("listings")
    op.drop_table("interests")
    op.drop_table("editions")
    op.drop_index("ix_consents_subscriber_id", table_name="consents")
    op.drop_table("consents")
    op.drop_table("vectors")
    op.drop_table("suppressions")
    op.drop_index("ix_subscribers_state_next_due_at", table_name="subscribers")
    op.drop_table("subscribers")
    op.drop_table("sources")
    op.drop_index("ix_papers_text_hash", table_name="papers")
    op.drop_index("ix_papers_ready_at", table_name="papers")
    op.drop_table("papers")
    op.drop_table("pages")
    op.drop_table("leases")
