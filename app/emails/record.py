"""The durable truth about one email: recorded before any server hears of it, handed over, settled.

Each step is one transaction together with the sender's cooldown. A row that is being sent carries a lease, which its
process renews; once a lease has ended, its process is dead and any other one says what is known. Spec: delivery, "The
record comes first".
"""

from dataclasses import replace
from datetime import timedelta
from typing import TypedDict

import structlog
from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import CooldownActive, RecordUnavailable
from app.guards import cooldown
from app.guards.cooldown import Refusal
from app.model.email import Email, Phase, Status
from app.model.outcome import Attempt, Outcome
from app.storage import emails
from app.storage.times import to_ms

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""With a renewal every 5 seconds, rows of a dead process are settled within 40 seconds, a slow one keeps its own."""

_LEASE_MS = LEASE // timedelta(milliseconds=1)


class _Reservation(TypedDict):
    """Whose cooldown an email holds: the arguments that every function of `guards.cooldown` takes."""

    sender: str
    smtp_id: int
    is_test: bool
    reserved_by: str


def open_record(office: Office, draft: Email) -> Email:
    """Reserve the sender's cooldown and write the row; returns it, with another id where the draft's was taken.

    Raises CooldownActive, and RecordUnavailable with nothing recorded.
    """
    now_ms = to_ms(office.clock())
    step_ms = office.settings.guards.cooldown_step_s * 1000

    def work(connection: Connection) -> Email | Refusal:
        email = draft
        while True:
            if _has_cooldown(office, email):
                refusal = cooldown.reserve(connection, **_reservation(email), now_ms=now_ms, step_ms=step_ms)
                if refusal is not None:
                    return refusal
            if emails.add(connection, email, lease_until_ms=now_ms + _LEASE_MS):
                return email
            _settle_cooldown(office, connection, email, is_counted=False, now_ms=now_ms)
            email = replace(email, id=emails.new_id())

    result = office.database.write(work)
    if isinstance(result, Refusal):
        office.metrics.refusals.labels(guard="cooldown").inc()
        raise CooldownActive(wait_s=result.wait_s, usage=result.usage)
    office.under_way[result.id] = result
    return result


def hand_over(office: Office, email: Email) -> None:
    """Make durable that a server may get the message from now on.

    Raises RecordUnavailable when that cannot be written, or when the email has been given up in the meantime.
    """
    now_ms = to_ms(office.clock())

    def work(connection: Connection) -> bool:
        return _hold(office, connection, email, now_ms=now_ms) and emails.mark_handed_over(
            connection, email.id, lease_until_ms=now_ms + _LEASE_MS
        )

    if not office.database.write(work):
        raise RecordUnavailable("The request took too long and was given up; nothing was sent.")


def settle(office: Office, email: Email, *, attempts: tuple[Attempt, ...], status: Status) -> Email:
    """Record the outcome, settle the cooldown, and return the record as it now is. Never raises RecordUnavailable."""
    now = office.clock()
    last = attempts[-1] if attempts else None
    settled = replace(
        email,
        status=status,
        phase=Phase.SETTLED,
        settled_at=now,
        attempts=attempts,
        delivered_smtp_id=last.smtp_id if last and status is Status.SENT else None,
    )

    def work(connection: Connection) -> None:
        # A row that was settled as abandoned has had its cooldown counted; now it only learns the truth.
        if emails.settle(connection, settled):
            _settle_cooldown(office, connection, email, is_counted=_counts(status), now_ms=to_ms(now))

    office.write_outcome(work)
    office.under_way.pop(email.id, None)
    office.metrics.emails.labels(status).inc()
    for attempt in attempts:
        office.metrics.attempts.labels(attempt.smtp_id, attempt.outcome).inc()
    _log(settled)
    return settled


def renew_leases(office: Office) -> None:
    """Say of every email that this process is sending that it still is."""
    under_way = list(office.under_way.values())
    now_ms = to_ms(office.clock())

    def work(connection: Connection) -> None:
        for email in under_way:
            emails.renew_lease(connection, email.id, lease_until_ms=now_ms + _LEASE_MS)
            _hold(office, connection, email, now_ms=now_ms)

    if under_way:
        office.database.write(work)


def settle_abandoned(office: Office) -> None:
    """Say of emails whose process died what became of them: Failed, or Uncertain once they were handed over."""
    now_ms = to_ms(office.clock())

    def work(connection: Connection) -> list[Email]:
        abandoned = emails.settle_abandoned(connection, now_ms=now_ms)
        for email in abandoned:
            _settle_cooldown(office, connection, email, is_counted=_counts(email.status), now_ms=now_ms)
        return abandoned

    for email in office.database.write(work):
        office.metrics.emails.labels(email.status).inc()
        log.warning("an email was left behind by its process", email_id=email.id, status=email.status)


def _counts(status: Status) -> bool:
    return status in (Status.SENT, Status.UNCERTAIN)


def _has_cooldown(office: Office, email: Email) -> bool:
    """A backend sends every alert from one address, so only senders without a token have to wait."""
    return office.settings.guards.cooldown_enabled and email.project_id is None


def _hold(office: Office, connection: Connection, email: Email, *, now_ms: int) -> bool:
    """Keep the cooldown reserved; False when it lapsed and another message of the sender has it."""
    if not _has_cooldown(office, email):
        return True
    return cooldown.extend(connection, **_reservation(email), now_ms=now_ms)


def _settle_cooldown(office: Office, connection: Connection, email: Email, *, is_counted: bool, now_ms: int) -> None:
    if _has_cooldown(office, email):
        cooldown.settle(connection, **_reservation(email), counted=is_counted, now_ms=now_ms)


def _reservation(email: Email) -> _Reservation:
    return {
        "sender": cooldown.normalise_sender(email.sender),
        "smtp_id": email.requested_smtp_id,
        "is_test": email.is_test,
        "reserved_by": email.id,
    }


def _log(email: Email) -> None:
    say = log.info if email.status is Status.SENT else log.warning
    say(
        f"email {email.status.lower()}",
        email_id=email.id,
        smtp_id=email.requested_smtp_id,
        delivered_by=email.delivered_smtp_id,
        trouble=[
            f"SMTP_{attempt.smtp_id} {attempt.outcome} at {attempt.stage}: {attempt.detail}"
            for attempt in email.attempts
            if attempt.outcome is not Outcome.ACCEPTED
        ],
    )
