"""Send one email: from a validated request to a recorded outcome. Reads as the steps of the walk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.emails import record
from app.emails.configurations import failover_order, group_of
from app.emails.office import Office
from app.errors import DeliveryFailed, DeliveryUncertain, HandOverUnrecorded
from app.model.access import Caller
from app.model.email import Email, EmailRequest, Phase, Status
from app.model.outcome import Delivery, Outcome
from app.model.smtp import SMTPConfiguration
from app.storage import emails

_STATUS = {Outcome.ACCEPTED: Status.SENT, Outcome.UNKNOWN: Status.UNCERTAIN}


def send(
    office: Office,
    request: EmailRequest,
    *,
    caller: Caller | None = None,
    smtp_id: int | None = None,
    is_test: bool = False,
) -> Email:
    """Deliver `request` and return its settled record. A `caller` is a backend; None is a visitor of a public form.

    Raises RequestInvalid (rendered body too large), SMTPConfigurationNotFound, TestAccountMissing, CooldownActive and
    RecordUnavailable with nothing sent; DeliveryFailed and DeliveryUncertain with the record.
    """
    deadline = time.monotonic() + office.settings.request_deadline_s
    group = failover_order(group_of(office, caller, smtp_id), smtp_id=smtp_id, is_test=is_test)
    office.composer.check(request)
    recipients = _recipients(office, request, requested=group[0], is_test=is_test, caller=caller)
    draft = _draft(office, request, requested=group[0], is_test=is_test, recipients=recipients, caller=caller)
    email = record.open_record(office, draft)
    delivery = _deliver(office, request, email, group=group, recipients=recipients, deadline=deadline)
    status = _STATUS.get(delivery.outcome, Status.FAILED)
    return _answer(record.settle(office, email, attempts=delivery.attempts, status=status))


@dataclass(frozen=True, slots=True)
class _Recipients:
    """Who gets the message: by header field, and in the envelope each address once."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()

    @property
    def envelope(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


def _recipients(
    office: Office, request: EmailRequest, *, requested: SMTPConfiguration, is_test: bool, caller: Caller | None
) -> _Recipients:
    """Those of the request, to whom only a backend may send, else the configured one.

    A test message of a project's connection goes to that connection's own test address, and to nobody else.
    """
    if is_test and requested.test_recipient is not None:
        return _Recipients((requested.test_recipient,))
    if caller is None:
        return _configured(office)
    return _Recipients(request.to or _configured(office).to, request.cc, request.bcc)


def _configured(office: Office) -> _Recipients:
    return _Recipients((office.settings.reception_email,))


def _draft(
    office: Office,
    request: EmailRequest,
    *,
    requested: SMTPConfiguration,
    is_test: bool,
    recipients: _Recipients,
    caller: Caller | None,
) -> Email:
    return Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=requested.index,
        is_test=is_test,
        created_at=office.clock(),
        reception_email=recipients.to[0],
        sender=request.email,
        project_id=caller.project_id if caller else None,
    )


def _deliver(
    office: Office,
    request: EmailRequest,
    email: Email,
    *,
    group: Sequence[SMTPConfiguration],
    recipients: _Recipients,
    deadline: float,
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
            to=recipients.to,
            cc=recipients.cc,
            message_id_domain=group[0].account.address.rpartition("@")[2],
            allows_raw_html=email.project_id is not None,
            charset=group[0].charset,
        )
        return office.deliverer.deliver(
            message,
            group=group,
            is_test=email.is_test,
            recipients=recipients.envelope,
            # It stands in for the configured recipient; whoever names recipients learns which were refused.
            catch_all=office.settings.catchall_email if recipients == _configured(office) else None,
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
