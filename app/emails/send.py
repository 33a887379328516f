"""Send one email while its caller waits: from a validated request to a recorded outcome."""

import time
from functools import partial

from app.emails import late_reply, record
from app.emails.errand import Errand, compose, plan
from app.emails.handing_over import HandingOver
from app.emails.office import Office
from app.emails.turnstile import Turn
from app.errors import DeliveryFailed, DeliveryUncertain, HandOverUnrecorded
from app.model.access import Caller
from app.model.email import Email, EmailRequest, Purpose, Status
from app.model.outcome import Delivery, Outcome
from app.storage import idempotency
from app.storage.idempotency import IdempotencyKey

_STATUS = {Outcome.ACCEPTED: Status.SENT, Outcome.UNKNOWN: Status.UNCERTAIN}


def send(
    office: Office,
    request: EmailRequest,
    *,
    caller: Caller | None = None,
    smtp_id: int | None = None,
    is_test: bool = False,
    purpose: Purpose = Purpose.REQUEST,
    key: IdempotencyKey | None = None,
    turn: Turn | None = None,
) -> Email:
    """Deliver `request` and return its settled record. A `caller` is a backend; None is a visitor of a public form.

    With a `turn` the caller has been counted among those who wait for SMTP servers.

    Raises RequestInvalid (rendered body too large), SMTPConfigurationNotFound, TestAccountMissing, Overloaded,
    KeyTaken, CooldownActive and RecordUnavailable with nothing sent; DeliveryFailed and DeliveryUncertain with the
    record.
    """
    deadline = time.monotonic() + office.settings.request_deadline_s
    errand = plan(office, request, caller=caller, smtp_id=smtp_id, is_test=is_test, purpose=purpose)
    with office.turnstile.passing(errand.draft.requested_smtp_id, turn):
        email = record.open_record(office, errand.draft, key=key)
        delivery = _deliver(office, errand, email, key=key, deadline=deadline)
        status = _STATUS.get(delivery.outcome, Status.FAILED)
        settled = record.settle(office, email, attempts=delivery.attempts, status=status)
        if delivery.listen is not None:
            # Only now, so that the correction finds what it corrects.
            delivery.listen(partial(late_reply.correct, office, settled))
        return answer(settled)


def answer(email: Email) -> Email:
    """The settled record of an email that was sent; raises DeliveryFailed and DeliveryUncertain with the others."""
    if email.status is Status.UNCERTAIN:
        raise DeliveryUncertain(email)
    if email.status is Status.FAILED:
        raise DeliveryFailed(email)
    return email


def _deliver(office: Office, errand: Errand, email: Email, *, key: IdempotencyKey | None, deadline: float) -> Delivery:
    """Compose once and hand the bytes to the servers. Whatever breaks on the way, the record tells the truth."""
    handing_over = HandingOver(office, email)
    try:
        return office.deliverer.deliver(
            compose(office, errand, email),
            group=errand.group,
            is_test=email.is_test,
            recipients=errand.recipients.envelope,
            catch_all=errand.catch_all,
            deadline=deadline,
            on_hand_over=handing_over,
        )
    except HandOverUnrecorded as error:
        record.settle(office, email, attempts=error.attempts, status=Status.FAILED)
        if key is not None:
            # The caller is asked to come again, and then it is to be sent.
            office.write_outcome(lambda connection: idempotency.release(connection, key, email_id=email.id))
        raise
    except BaseException:
        status = Status.UNCERTAIN if handing_over.is_made else Status.FAILED
        record.settle(office, email, attempts=(), status=status)
        raise
