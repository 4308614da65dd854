"""Alembic's entry: it runs on the connection that `digest.store.migrate` hands in."""

from alembic import context

from digest.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
