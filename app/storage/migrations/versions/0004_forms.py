"""Forms, what of their submissions must not count twice, and the form of an email.

Revision: 0004, behind 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("emails", sa.Column("form_key", sa.String(32)))
    op.create_index(
        "ix_emails_form",
        "emails",
        ["form_key", "created_at"],
        sqlite_where=sa.text("form_key IS NOT NULL"),
        postgresql_where=sa.text("form_key IS NOT NULL"),
    )
    op.create_table(
        "forms",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(100), nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("key", name="uq_forms_key"),
        sa.UniqueConstraint("project_id", "name_key", name="uq_forms_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "form_marks",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("reference", sa.String(8)),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_form_marks_expires_at", "form_marks", ["expires_at"])


def downgrade() -> None:
    op.drop_table("form_marks")
    op.drop_table("forms")
    op.drop_index("ix_emails_form", "emails")
    op.drop_column("emails", "form_key")
