"""How much one form takes, whoever it comes from: its owner's mailbox is not to be flooded. Used by `submit`."""

from datetime import timedelta

from sqlalchemy import Connection

from app.errors import SubmissionLimitReached
from app.model.email import Email
from app.model.form import Form
from app.storage import emails
from app.storage.times import to_ms

_HOUR = timedelta(hours=1)


def demand_room(connection: Connection, form: Form, email: Email) -> None:
    """In the transaction that adds `email`. Raises SubmissionLimitReached."""
    since_ms = to_ms(email.created_at - _HOUR)
    count, oldest_ms = emails.of_form_since(connection, email, since_ms=since_ms)
    if count >= form.submissions_per_hour and oldest_ms is not None:
        raise SubmissionLimitReached(retry_after_s=max(1, (oldest_ms - since_ms + 999) // 1000))
