"""How much one form takes in an hour, in all and from one address. Used by `submit`.

Its owner's mailbox is not to be flooded, and no single visitor is to close the form for all others.
"""

from datetime import timedelta
from math import ceil

from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import SubmissionLimitReached, SubmissionShareUsed
from app.forms.signing import keyed_digest
from app.forms.submission import Visitor
from app.model.email import Email
from app.model.form import Form
from app.storage import emails, submission_shares
from app.storage.times import to_ms

_HOUR = timedelta(hours=1)
_LEAST_SHARE = 5
_SHARE = 10
"""One address may use this part of what a form takes."""


def share_of(office: Office, form: Form, visitor: Visitor) -> str:
    """What stands for the visitor's address (of IPv6 the /64) in the account of this form."""
    return keyed_digest(office.settings, "share", form.key, visitor.client)


def demand_room(connection: Connection, form: Form, email: Email, *, share: str) -> None:
    """In the transaction that adds `email`.

    Raises SubmissionLimitReached, of which SubmissionShareUsed is one, with the time when there is room again.
    """
    since_ms = to_ms(email.created_at - _HOUR)
    # What lies further ahead than other machines' clocks is from before the clock was set back, and does not count.
    moments = {"since_ms": since_ms, "until_ms": to_ms(email.created_at + _HOUR)}
    received = emails.of_form_between(connection, email, **moments)
    own = submission_shares.used(connection, share, **moments)
    most_of_one = max(_LEAST_SHARE, form.submissions_per_hour // _SHARE)
    waits = [
        (oldest_ms - since_ms, error)
        for (number, oldest_ms), most, error in (
            (received, form.submissions_per_hour, SubmissionLimitReached),
            (own, most_of_one, SubmissionShareUsed),
        )
        if number >= most and oldest_ms is not None
    ]
    if waits:
        wait_ms, longer = max(waits, key=lambda wait: wait[0])
        raise longer(retry_after_s=max(1, ceil(wait_ms / 1000)))


def use_share(connection: Connection, email: Email, *, share: str) -> None:
    """In the same transaction: `email` counts for its visitor's address."""
    submission_shares.add(connection, share, email_id=email.id, now_ms=to_ms(email.created_at))
