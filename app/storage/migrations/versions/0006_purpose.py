"""What an email is for.

Emails of forms from before are submissions, but for those that went to an address which a submission of the same form
had named in the minute before: these are confirmations. Revision: 0006, behind 0005.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    op.drop_column("emails", "purpose")
