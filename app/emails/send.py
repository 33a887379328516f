"""Send one email: from a validated request to a recorded outcome. Reads as the steps of the walk."""

import time
from collections.abc import Sequence

from app.emails import record
from app.emails.configurations import failover_order
from app.emails.office import Office
from app.errors import DeliveryFailed, DeliveryUncertain, HandOverUnrecorded
from app.model.email import Email, EmailRequest, Phase, Status
from app.model.outcome import Delivery, Outcome
from app.model.smtp import SMTPConfiguration
from app.storage import emails

_STATUS = {Outcome.ACCEPTED: Status.SENT, Outcome.UNKNOWN: Status.UNCERTAIN}


def send(office: Office, request: EmailRequest, *, smtp_id: int | None = None, is_test: bool = False) -> Email:
    """Deliver `request` and return its settled record.

    Raises RequestInvalid (rendered body too large), SMTPConfigurationNotFound, TestAccountMissing, CooldownActive and
    RecordUnavailable with nothing sent; DeliveryFailed and DeliveryUncertain with the record.
    """
    deadline = time.monotonic() + office.settings.request_deadline_s
    group = failover_order(office.settings.smtp_configurations, smtp_id=smtp_id, is_test=is_test)
    office.composer.check(request)
    email = record.open_record(office, _draft(office, request, requested=group[0], is_test=is_test))
    delivery = _deliver(office, request, email, group=group, deadline=deadline)
    status = _STATUS.get(delivery.outcome, Status.FAILED)
    return _answer(record.settle(office, email, attempts=delivery.attempts, status=status))


def _draft(office: Office, request: EmailRequest, *, requested: SMTPConfiguration, is_test: bool) -> Email:
    return Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=requested.index,
        is_test=is_test,
        created_at=office.clock(),
        reception_email=office.settings.reception_email,
        sender=request.email,
    )


def _deliver(
    office: Office, request: EmailRequest, email: Email, *, group: Sequence[SMTPConfiguration], deadline: float
) -> Delivery:
    """Compose once and hand the bytes to the servers. Whatever breaks on the way, the record tells the truth."""
    is_handed_over = False

    def on_hand_over() -> None:
        nonlocal is_handed_over
        # Whatever server had the message before has refused it, or there would be no further attempt.
        is_handed_over = False
        record.hand_over(office, email)
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
    except HandOverUnrecorded as error:
        record.settle(office, email, attempts=error.attempts, status=Status.FAILED)
        raise
    except BaseException:
        status = Status.UNCERTAIN if is_handed_over else Status.FAILED
        record.settle(office, email, attempts=(), status=status)
        raise


def _answer(email: Email) -> Email:
    if email.status is Status.UNCERTAIN:
        raise DeliveryUncertain(email)
    if email.status is Status.FAILED:
        raise DeliveryFailed(email)
    return email
