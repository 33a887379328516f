"""Send one email: from a validated request to a recorded outcome. Reads as the steps of the walk."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import structlog
from sqlalchemy import Connection

from app.emails.configurations import failover_order
from app.emails.office import Office
from app.errors import CooldownActive, DeliveryFailed, DeliveryUncertain, RecordUnavailable
from app.guards import cooldown
from app.guards.cooldown import HOLD_MS, Refusal
from app.model.email import Email, EmailRequest, Phase, Status
from app.model.message import Message
from app.model.outcome import Attempt, Delivery, Outcome
from app.model.smtp import SMTPConfiguration
from app.storage import emails
from app.storage.times import to_ms

log = structlog.get_logger(__name__)


class _Reservation(TypedDict):
    """Whose cooldown an email holds: the arguments that every function of `guards.cooldown` takes."""

    sender: str
    smtp_id: int
    is_test: bool
    reserved_by: str


_STATUS = {Outcome.ACCEPTED: Status.SENT, Outcome.UNKNOWN: Status.UNCERTAIN}


def send(office: Office, request: EmailRequest, *, smtp_id: int | None = None, is_test: bool = False) -> Email:
    """Deliver `request` and return its settled record.

    Raises RequestInvalid (rendered body too large), SMTPConfigurationNotFound, TestAccountMissing, CooldownActive and
    RecordUnavailable with nothing sent; DeliveryFailed and DeliveryUncertain with the record.
    """
    deadline = time.monotonic() + office.settings.request_deadline_s
    group = failover_order(office.settings.smtp_configurations, smtp_id=smtp_id, is_test=is_test)
    office.composer.check(request)
    email = _record(office, request, requested=group[0], is_test=is_test)
    delivery = _deliver(office, request, email, group=group, deadline=deadline)
    return _answer(settle(office, email, attempts=delivery.attempts, status=_status_of(delivery)))


def _record(office: Office, request: EmailRequest, *, requested: SMTPConfiguration, is_test: bool) -> Email:
    """Reserve the sender's cooldown and write the row, in one transaction, before any server hears of it."""
    now = office.clock()
    draft = Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=requested.index,
        is_test=is_test,
        created_at=now,
        reception_email=office.settings.reception_email,
        sender=request.email,
    )
    now_ms = to_ms(now)

    def work(connection: Connection) -> Email | Refusal:
        email = draft
        while True:
            if office.settings.guards.cooldown_enabled:
                step_ms = office.settings.guards.cooldown_step_s * 1000
                refusal = cooldown.reserve(connection, **_reservation(email), now_ms=now_ms, step_ms=step_ms)
                if refusal is not None:
                    return refusal
            if emails.add(connection, email, lease_until_ms=now_ms + HOLD_MS):
                return email
            if office.settings.guards.cooldown_enabled:
                cooldown.settle(connection, **_reservation(email), counted=False, now_ms=now_ms)
            email = replace(email, id=emails.new_id())

    result = office.database.write(work)
    if isinstance(result, Refusal):
        office.metrics.refusals.labels(guard="cooldown").inc()
        raise CooldownActive(wait_s=result.wait_s, usage=result.usage)
    return result


def _deliver(
    office: Office, request: EmailRequest, email: Email, *, group: Sequence[SMTPConfiguration], deadline: float
) -> Delivery:
    """Compose once and hand the bytes to the servers. Whatever breaks on the way, the record tells the truth."""
    is_handed_over = False

    def on_hand_over() -> None:
        nonlocal is_handed_over
        _mark_handed_over(office, email, message)
        is_handed_over = True

    try:
        message = office.composer.compose(
            request,
            email_id=email.id,
            created_at=email.created_at,
            to=email.reception_email,
            message_id_domain=group[0].account.address.rpartition("@")[2],
        )
        return office.deliverer.deliver(
            message,
            group=group,
            is_test=email.is_test,
            recipient=email.reception_email,
            catch_all=office.settings.catchall_email,
            deadline=deadline,
            on_hand_over=on_hand_over,
        )
    except BaseException:
        settle(office, email, attempts=(), status=Status.UNCERTAIN if is_handed_over else Status.FAILED)
        raise


def _mark_handed_over(office: Office, email: Email, message: Message) -> None:
    now_ms = to_ms(office.clock())
    # As long as the data and the wait for the reply may take, by the rules of `smtp.delivery`.
    hold_ms = HOLD_MS + len(message.content) // 100

    def work(connection: Connection) -> bool:
        if office.settings.guards.cooldown_enabled:
            cooldown.extend(connection, **_reservation(email), now_ms=now_ms, hold_ms=hold_ms)
        return emails.mark_handed_over(connection, email.id, lease_until_ms=now_ms + hold_ms)

    if not office.database.write(work):
        raise RecordUnavailable(f"email {email.id} was given up before it could be handed over")


def settle(office: Office, email: Email, *, attempts: tuple[Attempt, ...], status: Status) -> Email:
    """Record the outcome, settle the cooldown, and return the record as it now is."""
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
    is_counted = status in (Status.SENT, Status.UNCERTAIN)

    def work(connection: Connection) -> None:
        emails.settle(connection, settled)
        if office.settings.guards.cooldown_enabled:
            cooldown.settle(connection, **_reservation(email), counted=is_counted, now_ms=to_ms(now))

    office.write_outcome(work)
    office.metrics.emails.labels(status).inc()
    for attempt in attempts:
        office.metrics.attempts.labels(attempt.smtp_id, attempt.outcome).inc()
    _log(settled)
    return settled


def _reservation(email: Email) -> _Reservation:
    return {
        "sender": cooldown.normalise_sender(email.sender),
        "smtp_id": email.requested_smtp_id,
        "is_test": email.is_test,
        "reserved_by": email.id,
    }


def _status_of(delivery: Delivery) -> Status:
    return _STATUS.get(delivery.outcome, Status.FAILED)


def _answer(email: Email) -> Email:
    if email.status is Status.UNCERTAIN:
        raise DeliveryUncertain(email)
    if email.status is Status.FAILED:
        raise DeliveryFailed(email)
    return email


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
