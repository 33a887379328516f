"""The cooldown that an email holds while it is on its way. Used by `record`, in its transactions."""

from datetime import timedelta
from typing import TypedDict

from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import CooldownActive
from app.guards import cooldown
from app.guards.cooldown import Refusal
from app.model.email import Email, Status
from app.storage.times import to_ms

_FRESH = timedelta(seconds=5)
"""As often as reservations are renewed; a younger one need not be."""

_MARGIN_MS = timedelta(hours=1) // timedelta(milliseconds=1)


def reserve(office: Office, connection: Connection, email: Email, *, now_ms: int) -> Refusal | None:
    """Reserve the sender's cooldown, or say how long it has to wait."""
    if not _has_cooldown(office, email):
        return None
    step_ms = office.settings.guards.cooldown_step_s * 1000
    hold_ms = _hold_ms(email, now_ms)
    reservation = _reservation(email)
    refusal = cooldown.reserve(connection, **reservation, now_ms=now_ms, step_ms=step_ms, hold_ms=hold_ms)
    if refusal is None and email.form_key is not None:
        # What a form has received counts at once: its visitor shall not wait for as long as a server is away.
        cooldown.settle(connection, **reservation, counted=True, now_ms=now_ms)
    return refusal


def refused(office: Office, refusal: Refusal) -> CooldownActive:
    """The refusal as it is raised, once its transaction is over; it is counted."""
    office.metrics.refusals.labels(guard="cooldown").inc()
    return CooldownActive(wait_s=refusal.wait_s, usage=refusal.usage)


def hold(office: Office, connection: Connection, email: Email, *, now_ms: int) -> bool:
    """Keep the cooldown reserved; False when it lapsed and another message of the sender has it."""
    if not _is_on_hold(office, email):
        return True
    if office.clock() - email.created_at < _FRESH:
        # Nearly every message gets here within milliseconds, and a page that is not written saves 7 us.
        return cooldown.is_held(connection, **_reservation(email))
    return cooldown.extend(connection, **_reservation(email), now_ms=now_ms, hold_ms=_hold_ms(email, now_ms))


def settle(office: Office, connection: Connection, email: Email, *, now_ms: int) -> None:
    """Count the email where it was delivered or may have been; else it leaves no trace."""
    if _is_on_hold(office, email):
        is_counted = email.status in (Status.SENT, Status.UNCERTAIN)
        cooldown.settle(connection, **_reservation(email), counted=is_counted, now_ms=now_ms)


def take_back(office: Office, connection: Connection, email: Email) -> None:
    """Count a settled email no more: it was uncertain, and is known now to have failed."""
    if _is_on_hold(office, email) and email.settled_at is not None:
        counted = _reservation(email)
        cooldown.take_back(
            connection,
            sender=counted["sender"],
            smtp_id=counted["smtp_id"],
            is_test=counted["is_test"],
            counted_at_ms=to_ms(email.settled_at),
            created_at_ms=to_ms(email.created_at),
            step_ms=office.settings.guards.cooldown_step_s * 1000,
        )


class _Reservation(TypedDict):
    """The arguments that every function of `guards.cooldown` takes."""

    sender: str
    smtp_id: int
    is_test: bool
    reserved_by: str


def _reservation(email: Email) -> _Reservation:
    return {
        "sender": f"{_scope(email)}{cooldown.normalise_sender(email.sender)}",
        "smtp_id": email.requested_smtp_id,
        "is_test": email.is_test,
        "reserved_by": email.id,
    }


def _scope(email: Email) -> str:
    """What somebody wrote to one project's form is nothing to another's."""
    return f"{email.form_key} " if email.form_key is not None and email.project_id is not None else ""


def _has_cooldown(office: Office, email: Email) -> bool:
    """A backend sends every alert from one address, so only visitors have to wait; of a form, those who say who."""
    is_visitors = email.project_id is None or email.form_key is not None
    return office.settings.guards.cooldown_enabled and is_visitors and email.sender != ""


def _is_on_hold(office: Office, email: Email) -> bool:
    """Whether its reservation waits for what becomes of it."""
    return email.form_key is None and _has_cooldown(office, email)


def _hold_ms(email: Email, now_ms: int) -> int:
    """A queued email waits for workers, which may be away: it holds until it is certain to have been settled."""
    if email.expires_at is None:
        return cooldown.HOLD_MS
    return max(cooldown.HOLD_MS, to_ms(email.expires_at) + _MARGIN_MS - now_ms)
