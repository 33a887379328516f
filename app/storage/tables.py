"""Every table, as SQLAlchemy Core; `migrations/` builds the same. Columns `*_at`: milliseconds since 1970, UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
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
    Column("project_id", Integer),
    Column("priority", Integer, nullable=False),
    Column("rounds", Integer, nullable=False),
    Column("expires_at", BigInteger),
    Column("next_attempt_at", BigInteger),
    Column("form_key", String(32)),
    Column("purpose", String(16), nullable=False),
    CheckConstraint("purpose IN ('request', 'submission', 'confirmation', 'monthly-test')", name="ck_emails_purpose"),
    CheckConstraint(
        "status IN ('Queued', 'Sending', 'Deferred', 'Sent', 'Failed', 'Uncertain')", name="ck_emails_status"
    ),
    CheckConstraint("phase IN ('recorded', 'handed-over', 'settled')", name="ck_emails_phase"),
    Index("ix_emails_created_at", "created_at"),
    Index(
        "ix_emails_under_way",
        "created_at",
        sqlite_where=text("settled_at IS NULL AND next_attempt_at IS NULL"),
        postgresql_where=text("settled_at IS NULL AND next_attempt_at IS NULL"),
    ),
    Index(
        "ix_emails_project",
        "project_id",
        "created_at",
        "id",
        sqlite_where=text("project_id IS NOT NULL"),
        postgresql_where=text("project_id IS NOT NULL"),
    ),
    Index(
        "ix_emails_project_status",
        "project_id",
        "status",
        "created_at",
        "id",
        sqlite_where=text("project_id IS NOT NULL"),
        postgresql_where=text("project_id IS NOT NULL"),
    ),
    Index(
        "ix_emails_form",
        "form_key",
        "created_at",
        sqlite_where=text("form_key IS NOT NULL"),
        postgresql_where=text("form_key IS NOT NULL"),
    ),
    Index(
        "ix_emails_next_attempt",
        "priority",
        "next_attempt_at",
        sqlite_where=text("next_attempt_at IS NOT NULL"),
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
)
"""`lease_until`: who delivers the row must have settled it by then, or is dead; NULL once settled.

It is in no index, because it changes with every hand-over and renewal: the few rows that are under way are.

`expires_at` says that workers deliver it; while it waits for one it has a `next_attempt_at`. `priority` is a rank, 0
first. `project_id` is NULL for the emails of anonymous callers. It outlives its project: nobody inherits its emails.
`form_key` says which form the email came in through; NULL for all others. It outlives its form.
"""

queued_messages = Table(
    "queued_messages",
    metadata,
    Column("email_id", String(8), ForeignKey("emails.id", ondelete="CASCADE"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("needs_smtputf8", Boolean, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("catch_all", String(320)),
)
"""The finished bytes of emails that workers deliver, until they are settled; of what visitors wrote, until it is
certain that it was delivered. `recipients` is a JSON array.
"""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("email_id", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("caller", "key", name="pk_idempotency_keys"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
"""Which request of a caller made which email. The record itself is what a repeated request is answered with."""

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
    sqlite_with_rowid=False,
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

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("name_key", String(100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("name_key", name="uq_projects_name_key"),
    sqlite_autoincrement=True,
)
"""`name_key` is what names are compared by (`model.names`). Here and below an id is never given a second time."""

clients = Table(
    "clients",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("secret_digest", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("permissions", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("client_id", name="uq_clients_client_id"),
    sqlite_autoincrement=True,
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", Integer, ForeignKey("clients.id", ondelete="CASCADE")),
    Column("digest", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("permissions", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    UniqueConstraint("digest", name="uq_access_tokens_digest"),
    Index("ix_access_tokens_expires_at", "expires_at"),
    sqlite_autoincrement=True,
)
"""`digest` is the SHA-256 of the token, in hex; `client_id` says which client's credentials it was exchanged for."""

connections = Table(
    "connections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(32), nullable=False),
    Column("name", String(100), nullable=False),
    Column("name_key", String(100), nullable=False),
    Column("deploy_to_worker", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("project_id", "name_key", name="uq_connections_name"),
    sqlite_autoincrement=True,
)
"""`sealed` holds the description and the fields of the type, encrypted for this row alone (`connections.sealing`)."""

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("project", String(100), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("fields", Text, nullable=False),
    Index("ix_audit_entries_project", "project", "id"),
)
"""Who did what to which subject, with the names of the fields that changed (a JSON array) and no values."""

forms = Table(
    "forms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(32), nullable=False),
    Column("name", String(100), nullable=False),
    Column("name_key", String(100), nullable=False),
    Column("definition", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("key", name="uq_forms_key"),
    UniqueConstraint("project_id", "name_key", name="uq_forms_name"),
    sqlite_autoincrement=True,
)
"""`key` stands in the pages that post to the form; `definition` is a JSON object with what its owner decided."""

form_marks = Table(
    "form_marks",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("reference", String(8)),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_form_marks_expires_at", "expires_at"),
)
"""What must not count twice until it expires: submissions, with their email's id, and spent challenges, without one."""

submission_shares = Table(
    "submission_shares",
    metadata,
    Column("digest", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("email_id", String(8), nullable=False),
    PrimaryKeyConstraint("digest", "received_at", "email_id", name="pk_submission_shares"),
    Index("ix_submission_shares_received_at", "received_at"),
)
"""A row for each submission of the last hour. `digest` is a keyed one of the form and the visitor's address."""
