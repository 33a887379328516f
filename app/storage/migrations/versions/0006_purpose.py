"""What an email is for, and an index by which the one that has been due for longest is found.

Emails of forms from before are submissions, but for those that went to an address which a submission of the same form
had named in the minute before: these are confirmations. Revision: 0006, behind 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITS = sa.text("next_attempt_at IS NOT NULL")


def upgrade() -> None:
    # As SQL, because SQLite takes a constraint only together with its column.
    op.execute(
        "ALTER TABLE emails ADD COLUMN purpose VARCHAR(16) DEFAULT 'request' NOT NULL CONSTRAINT ck_emails_purpose"
        " CHECK (purpose IN ('request', 'submission', 'confirmation', 'monthly-test'))"
    )
    op.execute("UPDATE emails SET purpose = 'submission' WHERE form_key IS NOT NULL")
    op.execute(
        "UPDATE emails SET purpose = 'confirmation' WHERE form_key IS NOT NULL AND sender = '' AND EXISTS ("
        "SELECT 1 FROM emails AS submission WHERE submission.form_key = emails.form_key"
        " AND submission.created_at BETWEEN emails.created_at - 60000 AND emails.created_at"
        " AND submission.sender = emails.reception_email)"
    )
    op.create_index("ix_emails_due", "emails", ["next_attempt_at"], sqlite_where=_WAITS, postgresql_where=_WAITS)


def downgrade() -> None:
    op.drop_index("ix_emails_due", "emails")
    op.drop_column("emails", "purpose")
