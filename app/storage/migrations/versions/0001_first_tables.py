"""Emails, cooldowns, blocks and the service's own state.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "emails",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("requested_smtp_id", sa.Integer, nullable=False),
        sa.Column("delivered_smtp_id", sa.Integer),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("sender", sa.String(320), nullable=False),
        sa.Column("reception_email", sa.String(320), nullable=False),
        sa.Column("attempts", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.CheckConstraint("status IN ('Sending', 'Sent', 'Failed', 'Uncertain')", name="ck_emails_status"),
        sa.CheckConstraint("phase IN ('recorded', 'handed-over', 'settled')", name="ck_emails_phase"),
    )
    op.create_index("ix_emails_created_at", "emails", ["created_at"])
    op.create_index("ix_emails_lease_until", "emails", ["lease_until"])
    op.create_table(
        "cooldowns",
        sa.Column("sender", sa.String(320), nullable=False),
        sa.Column("smtp_id", sa.Integer, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("usage", sa.Integer, nullable=False),
        sa.Column("last_sent_at", sa.BigInteger),
        sa.Column("reserved_by", sa.String(8)),
        sa.Column("reserved_until", sa.BigInteger),
        sa.PrimaryKeyConstraint("sender", "smtp_id", "is_test", name="pk_cooldowns"),
        sa.CheckConstraint("usage >= 0", name="ck_cooldowns_usage"),
    )
    op.create_table(
        "blocks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("blocked_at", sa.BigInteger, nullable=False),
        sa.Column("blocked_until", sa.BigInteger, nullable=False),
        sa.Column("lifted_at", sa.BigInteger),
        sa.CheckConstraint("reason IN ('burst', 'excess')", name="ck_blocks_reason"),
    )
    op.create_index("ix_blocks_client", "blocks", ["client"])
    op.create_index("ix_blocks_lifted_at", "blocks", ["lifted_at"])
    op.create_table(
        "service_state",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("service_state", "blocks", "cooldowns", "emails"):
        op.drop_table(table)
