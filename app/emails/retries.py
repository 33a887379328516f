"""When an email that could not be delivered yet is tried again: pure functions. Used by `queue`."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from app.model.email import Email, Priority
from app.model.outcome import Outcome

LIFETIME = timedelta(hours=24)
"""How long an email is tried. Behind it nobody waits for the message any more, and its sender should learn so."""

LIFETIME_OF_SUBMISSIONS = timedelta(days=5)
"""The same for what visitors wrote in forms: nobody would tell them. RFC 5321, section 4.5.4.1 asks for 4 to 5 days."""

_FIRST = {Priority.URGENT: timedelta(seconds=10)}
_FIRST_OF_OTHERS = timedelta(seconds=40)
_LONGEST = {Priority.URGENT: timedelta(minutes=10)}
_LONGEST_OF_OTHERS = timedelta(hours=1)
_JITTER = 0.25
"""Each pause is up to so much shorter or longer, so that a thousand emails of one outage do not come back at once."""


def next_attempt(email: Email, *, now: datetime, random: Callable[[], float]) -> datetime | None:
    """The moment of the next attempt behind those on record; None when the email's time is over.

    Pauses double: from 40 seconds to an hour, from 10 seconds to 10 minutes for an urgent one. `random` gives 0 to 1.
    The last attempt is made when the lifetime ends, not an hour before.
    """
    if email.expires_at is None or now >= email.expires_at:
        return None
    first = _FIRST.get(email.priority, _FIRST_OF_OTHERS)
    longest = _LONGEST.get(email.priority, _LONGEST_OF_OTHERS)
    # Beyond 20 doublings every pause is the longest; the bound keeps the power small.
    # Not by `email.rounds`: a round whose process died tells nothing of the servers. A recipient who was refused does
    # not count, because the same round goes on with the catch-all at the same server.
    rounds = Counter(attempt.smtp_id for attempt in email.attempts if attempt.outcome is not Outcome.RECIPIENT_REFUSED)
    failures = max(rounds.values(), default=1)
    doublings = min(failures - 1, 20)
    pause = min(longest, first * (1 << doublings))
    return min(email.expires_at, now + pause * (1 + _JITTER * (2 * random() - 1)))
