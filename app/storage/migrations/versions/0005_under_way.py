"""Fewer pages of SQLite's file to write for each email.

Its emails under way are in an index, instead of their leases, which each hand-over changes; cooldowns are stored in
the order of their key, instead of in a table and an index of it. Revision: 0005, behind 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNDER_WAY = sa.text("settled_at IS NULL AND next_attempt_at IS NULL")


def upgrade() -> None:
    op.drop_index("ix_emails_lease_until", "emails")
    op.create_index(
        "ix_emails_under_way", "emails", ["created_at"], sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY
    )
    _store_cooldowns(by_key=True)


def downgrade() -> None:
    _store_cooldowns(by_key=False)
    op.drop_index("ix_emails_under_way", "emails")
    op.create_index("ix_emails_lease_until", "emails", ["lease_until"])


def _store_cooldowns(*, by_key: bool) -> None:
    """Only SQLite knows the difference, and can only make it by building the table anew."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("cooldowns", recreate="always", table_kwargs={"sqlite_with_rowid": not by_key}):
            pass
