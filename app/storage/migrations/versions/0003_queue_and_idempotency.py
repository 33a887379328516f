"""Emails that wait for a worker, with their messages, and idempotency keys.

Revision: 0003, behind 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LISTED = {
    "ix_emails_project": ["project_id", "created_at", "id"],
    "ix_emails_project_status": ["project_id", "status", "created_at", "id"],
}
_IN_A_PROJECT = sa.text("project_id IS NOT NULL")
_OLD = "status IN ('Sending', 'Sent', 'Failed', 'Uncertain')"
_NEW = "status IN ('Queued', 'Sending', 'Deferred', 'Sent', 'Failed', 'Uncertain')"


def upgrade() -> None:
    op.add_column("emails", sa.Column("priority", sa.Integer, nullable=False, server_default="2"))
    op.add_column("emails", sa.Column("rounds", sa.Integer, nullable=False, server_default="0"))
    op.add_column("emails", sa.Column("expires_at", sa.BigInteger))
    op.add_column("emails", sa.Column("next_attempt_at", sa.BigInteger))
    _allow(_NEW)
    op.create_index(
        "ix_emails_next_attempt",
        "emails",
        ["priority", "next_attempt_at"],
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    # Most emails are anonymous callers', of whom nobody lists any.
    op.drop_index("ix_emails_project", "emails")
    for name, columns in _LISTED.items():
        op.create_index(name, "emails", columns, sqlite_where=_IN_A_PROJECT, postgresql_where=_IN_A_PROJECT)
    op.create_table(
        "queued_messages",
        sa.Column("email_id", sa.String(8), sa.ForeignKey("emails.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("needs_smtputf8", sa.Boolean, nullable=False),
        sa.Column("recipients", sa.Text, nullable=False),
        sa.Column("catch_all", sa.String(320)),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("email_id", sa.String(8), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("queued_messages")
    op.drop_index("ix_emails_next_attempt", "emails")
    for name in _LISTED:
        op.drop_index(name, "emails")
    op.create_index("ix_emails_project", "emails", ["project_id", "created_at", "id"])
    _allow(_OLD)
    for column in ("next_attempt_at", "expires_at", "rounds", "priority"):
        op.drop_column("emails", column)


def _allow(statuses: str) -> None:
    """Change the constraint; SQLite can only do that by building the table anew."""
    with op.batch_alter_table("emails") as batch:
        batch.drop_constraint("ck_emails_status", type_="check")
        batch.create_check_constraint("ck_emails_status", sa.text(statuses))
