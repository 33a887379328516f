"""The record of an uncertain email, corrected when its server replies after all. Used by `send`.

A queued email needs no correction: until the reply has come, or ten minutes have passed, it is being sent.
"""

from dataclasses import replace

import structlog
from sqlalchemy import Connection

from app.emails import reservation
from app.emails.office import Office
from app.model.email import Email, Status
from app.model.outcome import Attempt, Outcome
from app.storage import emails

log = structlog.get_logger(__name__)


def correct(office: Office, email: Email, attempt: Attempt | None) -> None:
    """Write what became of `email`, which was recorded as uncertain: Sent or Failed, by its last attempt as it ended.

    None leaves it uncertain. What failed leaves no trace in the sender's cooldown, as if it had been known at once.
    Never raises RecordUnavailable.
    """
    if attempt is None:
        return
    status = Status.SENT if attempt.outcome is Outcome.ACCEPTED else Status.FAILED
    corrected = replace(
        email,
        status=status,
        attempts=(*email.attempts[:-1], attempt),
        settled_at=office.clock(),
        delivered_smtp_id=attempt.smtp_id if status is Status.SENT else None,
    )

    def work(connection: Connection) -> None:
        if emails.correct_uncertain(connection, corrected) and status is Status.FAILED:
            reservation.take_back(office, connection, email)

    # What it corrects may be among the outcomes that were kept aside while the database was away.
    office.write_kept_outcomes()
    office.write_outcome(work)
    office.metrics.late_replies.labels(status).inc()
    log.info(f"email {status.lower()} after all", email_id=email.id, smtp_id=attempt.smtp_id, reply=attempt.detail)
