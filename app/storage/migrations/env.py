"""Alembic's entry: it runs on the connection that `storage.schema.migrate` has opened and locked."""

from alembic import context

from app.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
