"""What each visitor's address has sent through a form within the hour. Revision: 0008, behind 0006."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "submission_shares",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("email_id", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("digest", "received_at", "email_id", name="pk_submission_shares"),
    )
    op.create_index("ix_submission_shares_received_at", "submission_shares", ["received_at"])


def downgrade() -> None:
    op.drop_table("submission_shares")
