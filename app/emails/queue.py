"""Emails that nobody waits for: stored now, delivered by a worker (spec: delivery, "Asynchronous on request").

`enqueue` is called by the API; workers (threads of this service, or Celery's) take emails with `record.claim` and give
each to `deliver_one`.
"""

import random
import time
from dataclasses import replace

import structlog

from app.connections.smtp_configurations import reason_not_sendable
from app.emails import record, retries
from app.emails.configurations import group_of
from app.emails.errand import Errand, compose, plan
from app.emails.handing_over import HandingOver
from app.emails.office import Office
from app.emails.record import Also
from app.errors import HandOverUnrecorded, LetterboxError, NoServerLeft
from app.model.access import Caller
from app.model.connection import FIRST_SMTP_INDEX
from app.model.email import Email, EmailRequest, Purpose, Status
from app.model.form import Form
from app.model.outcome import Attempt, Delivery, Outcome, Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.content import MessageUnsafe
from app.storage import emails, queue
from app.storage.idempotency import IdempotencyKey
from app.storage.queue import QueuedMessage

log = structlog.get_logger(__name__)


def enqueue(
    office: Office,
    request: EmailRequest,
    *,
    caller: Caller | None = None,
    smtp_id: int | None = None,
    is_test: bool = False,
    key: IdempotencyKey | None = None,
    form: Form | None = None,
    purpose: Purpose | None = None,
    also: Also | None = None,
) -> Email:
    """Accept `request` durably and return its record, with status Queued.

    `form` is set for a visitor's submission: it says where that goes; another `purpose` is named. `also` is written in
    the same transaction; what it raises is raised here, with nothing accepted. So are RequestInvalid, KeyTaken,
    SMTPConfigurationNotFound, TestAccountMissing, Overloaded (the backlog is full), CooldownActive and
    RecordUnavailable.
    """

    def pack(email: Email) -> QueuedMessage:
        return QueuedMessage(
            message=compose(office, errand, email),
            recipients=errand.recipients.envelope,
            catch_all=errand.catch_all,
        )

    is_queued = False
    office.backlog.reserve()
    try:
        errand = _planned(office, request, caller=caller, smtp_id=smtp_id, is_test=is_test, form=form, purpose=purpose)
        email = record.open_queued_record(office, errand.draft, pack=pack, key=key, also=also)
        is_queued = True
    finally:
        office.backlog.release(is_queued=is_queued)
    office.bell.ring(email.id)
    return email


def pretend(
    office: Office, request: EmailRequest, *, form: Form, smtp_id: int | None = None, also: Also | None = None
) -> Email:
    """Everything that `enqueue` does for a submission, and raises, but no email: for a bot that must not notice.

    The cooldown and what `also` writes are committed.
    """
    office.backlog.reserve()
    try:
        errand = _planned(office, request, caller=None, smtp_id=smtp_id, is_test=False, form=form)
        # For the time that it takes.
        compose(office, errand, errand.draft)
        record.count_without_record(office, errand.draft, also=also)
    finally:
        office.backlog.release(is_queued=False)
    return errand.draft


def _planned(
    office: Office,
    request: EmailRequest,
    *,
    caller: Caller | None,
    smtp_id: int | None,
    is_test: bool,
    form: Form | None,
    purpose: Purpose | None = None,
) -> Errand:
    """The errand, its draft as a queue takes it. Raises what `plan` raises."""
    purpose = purpose or (Purpose.REQUEST if form is None else Purpose.SUBMISSION)
    errand = plan(office, request, caller=caller, smtp_id=smtp_id, is_test=is_test, form=form, purpose=purpose)
    now = office.clock()
    # Nobody tells a visitor later that the message did not arrive, so it is tried for as long as mail servers do.
    lifetime = retries.LIFETIME if form is None else retries.LIFETIME_OF_SUBMISSIONS
    draft = replace(errand.draft, status=Status.QUEUED, expires_at=now + lifetime, next_attempt_at=now)
    return replace(errand, draft=draft)


def deliver_one(office: Office, email: Email) -> Email:
    """One round of attempts at an email that this process has taken; returns its record as it is behind that.

    Sent, Failed and Uncertain are final; Deferred means that it will be tried again. Whatever breaks, the record tells
    the truth: nothing is lost, and what a server may have is never sent again. What can never be sent fails at once: a
    message that is not fit for the wire, or one for which no server is left. Of several recipients those whom a
    server refused only for now are left over for later rounds, in which nobody else gets a copy. Where the reply to the
    message is late the record stays as it is, Sending, and ends as soon as it comes or ten minutes have passed: a
    server that is slow holds no worker.
    """
    handing_over = HandingOver(office, email)
    queued: QueuedMessage | None = None
    try:
        queued = office.database.read(lambda connection: queue.find_message(connection, email.id))
        if queued is None:
            return _without_message(office, email)
        delivery = office.deliverer.deliver(
            queued.message,
            group=_candidates(office, email),
            is_test=email.is_test,
            recipients=queued.recipients,
            catch_all=queued.catch_all,
            deadline=time.monotonic() + office.settings.request_deadline_s,
            on_hand_over=handing_over,
        )
    except HandOverUnrecorded as error:
        return _again(office, email, error.attempts, queued)
    except NoServerLeft as error:
        return _fail(office, email, Outcome.SERVER_AT_FAULT, Stage.CONNECT, detail=str(error))
    except MessageUnsafe as error:
        return _fail(office, email, Outcome.MESSAGE_REFUSED, Stage.MESSAGE, detail=f"not fit to be sent: {error}")
    except LetterboxError as error:
        # The database is away: nothing was handed over.
        log.warning("a queued email has to wait", email_id=email.id, cause=str(error))
        return _again(office, email, (), queued)
    except BaseException:
        if handing_over.is_made:
            record.settle(office, email, attempts=(), status=Status.UNCERTAIN)
        else:
            _again(office, email, (), queued)
        raise
    if delivery.listen is None:
        return _end_round(office, email, queued, delivery)
    message = queued

    def end(late: Attempt | None) -> None:
        attempts = delivery.attempts if late is None else (*delivery.attempts[:-1], late)
        _end_late_round(office, email, message, Delivery(attempts))

    delivery.listen(end)
    return email


def _end_round(office: Office, email: Email, queued: QueuedMessage, delivery: Delivery) -> Email:
    if delivery.outcome is Outcome.SERVER_AT_FAULT:
        return _again(office, email, delivery.attempts, queued)
    if delivery.outcome is Outcome.ACCEPTED and delivery.deferred:
        left_over = replace(queued, recipients=delivery.deferred, catch_all=None)
        return _again(office, email, delivery.attempts, left_over)
    status = _FINAL.get(delivery.outcome, Status.FAILED)
    return record.settle(office, email, attempts=delivery.attempts, status=status)


def _end_late_round(office: Office, email: Email, queued: QueuedMessage, delivery: Delivery) -> Email:
    """The same where nobody was left to turn to the catch-all when the recipient was refused: the next round does."""
    is_refused = delivery.outcome is Outcome.RECIPIENT_REFUSED
    if is_refused and queued.catch_all is not None and delivery.attempts[-1].recipients == queued.recipients:
        stand_in = replace(queued, recipients=(queued.catch_all,), catch_all=None)
        return _again(office, email, delivery.attempts, stand_in)
    return _end_round(office, email, queued, delivery)


_FINAL = {Outcome.ACCEPTED: Status.SENT, Outcome.UNKNOWN: Status.UNCERTAIN}


def _again(office: Office, email: Email, attempts: tuple[Attempt, ...], queued: QueuedMessage | None) -> Email:
    """Try later, or give up when the email's time is over. `queued` is what is left to send, None when not known."""
    moment = retries.next_attempt(email.with_attempts(attempts), now=office.clock(), random=random.random)
    if moment is None:
        return record.settle(office, email, attempts=attempts, status=Status.FAILED)
    return record.put_back(office, email, attempts=attempts, next_attempt_at=moment, queued=queued)


def _fail(office: Office, email: Email, outcome: Outcome, stage: Stage, *, detail: str) -> Email:
    """Give up what no later attempt could deliver either; the record says why."""
    attempt = Attempt(
        smtp_id=email.requested_smtp_id,
        recipients=(),
        started_at=office.clock(),
        duration_ms=0,
        outcome=outcome,
        stage=stage,
        detail=detail,
    )
    return record.settle(office, email, attempts=(attempt,), status=Status.FAILED)


def _without_message(office: Office, email: Email) -> Email:
    """What becomes of an email whose message is not there."""
    found = office.database.read(lambda connection: emails.find(connection, email.id))
    if found is not None and found.status is Status.SENDING and found.rounds == email.rounds:
        return _fail(office, email, Outcome.MESSAGE_REFUSED, Stage.MESSAGE, detail="the stored message is gone")
    # Another worker has settled it, after this one was taken for dead.
    record.leave(office, email)
    return email


def _candidates(office: Office, email: Email) -> tuple[SMTPConfiguration, ...]:
    """The group that the request picked from, as it is now; from its first one where the picked one is gone.

    Raises NoServerLeft when none of them can carry it, and RecordUnavailable.
    """
    requested = email.requested_smtp_id
    group = group_of(office, email.project_id, requested)
    if not group and email.form_key is not None:
        # It is not the visitor's fault: as for what a form receives from now on.
        group = office.settings.smtp_configurations
    usable = [each for each in group if each.account_for(is_test=email.is_test) is not None]
    if not usable:
        raise NoServerLeft(_reason(office, email, is_empty=not group))
    indexes = [each.index for each in usable]
    if requested not in indexes:
        log.warning("a queued email's SMTP configuration is gone", email_id=email.id, smtp_id=requested)
    position = indexes.index(requested) if requested in indexes else 0
    return (*usable[position:], *usable[:position])


def _reason(office: Office, email: Email, *, is_empty: bool) -> str:
    if not is_empty:
        return "no test account is configured any more"
    if email.project_id is None or email.requested_smtp_id < FIRST_SMTP_INDEX:
        return "no SMTP configuration is left"
    return reason_not_sendable(office.database, email.project_id, email.requested_smtp_id)
