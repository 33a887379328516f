"""Every table, as SQLAlchemy Core; `migrations/` builds the same. Columns `*_at`: milliseconds since 1970, UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData()

emails = Table(
    "emails",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("requested_smtp_id", Integer, nullable=False),
    Column("delivered_smtp_id", Integer),
    Column("is_test", Boolean, nullable=False),
    Column("sender", String(320), nullable=False),
    Column("reception_email", String(320), nullable=False),
    Column("attempts", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("lease_until", BigInteger),
    CheckConstraint("status IN ('Sending', 'Sent', 'Failed', 'Uncertain')", name="ck_emails_status"),
    CheckConstraint("phase IN ('recorded', 'handed-over', 'settled')", name="ck_emails_phase"),
    Index("ix_emails_created_at", "created_at"),
    Index("ix_emails_lease_until", "lease_until"),
)
"""`lease_until`: who delivers the row must have settled it by then, or is dead; NULL once settled."""

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("sender", String(320), nullable=False),
    Column("smtp_id", Integer, nullable=False),
    Column("is_test", Boolean, nullable=False),
    Column("usage", Integer, nullable=False),
    Column("last_sent_at", BigInteger),
    Column("reserved_by", String(8)),
    Column("reserved_until", BigInteger),
    PrimaryKeyConstraint("sender", "smtp_id", "is_test", name="pk_cooldowns"),
    CheckConstraint("usage >= 0", name="ck_cooldowns_usage"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("blocked_at", BigInteger, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Column("lifted_at", BigInteger),
    CheckConstraint("reason IN ('burst', 'excess')", name="ck_blocks_reason"),
    Index("ix_blocks_client", "client"),
    Index("ix_blocks_lifted_at", "lifted_at"),
)
"""Client addresses that were blocked, for `letterbox blocks`. What refuses requests is the limits' storage."""

service_state = Table(
    "service_state",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts of the whole deployment, such as when the monthly test message was last sent."""
