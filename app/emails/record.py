"""The durable truth about one email: recorded before any server hears of it, handed over, settled.

Each step is one transaction together with the sender's cooldown and the caller's idempotency key. A row that is being
sent carries a lease, which its process renews; once a lease has ended, its process is dead and any other one says what
is known. Spec: delivery, "The record comes first".
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import structlog
from sqlalchemy import Connection

from app.emails import reservation
from app.emails.office import Office
from app.errors import KeyTaken, RecordUnavailable
from app.guards.cooldown import Refusal
from app.model.email import Email, Phase, Status
from app.model.outcome import Attempt, Outcome
from app.storage import emails, idempotency, queue
from app.storage.idempotency import IdempotencyKey
from app.storage.queue import QueuedMessage
from app.storage.times import from_ms, to_ms

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""With a renewal every 5 seconds, rows of a dead process are settled within 40 seconds, a slow one keeps its own."""

KEY_LIFETIME = timedelta(hours=24)
"""How long an idempotency key is remembered."""

Also = Callable[[Connection, Email], None]
"""What is written together with an email that was added; what it raises undoes both."""

_MOST_IDS = 10
"""Of 32 random bits: among a million emails each is taken with a chance of 1 in 4000."""

_TURN_OF_THE_OLDEST = 4

_LEASE_MS = LEASE // timedelta(milliseconds=1)
_KEY_LIFETIME_MS = KEY_LIFETIME // timedelta(milliseconds=1)


def open_record(office: Office, draft: Email, *, key: IdempotencyKey | None = None) -> Email:
    """Reserve the sender's cooldown and write the row; returns it, with another id where the draft's was taken.

    Raises CooldownActive, KeyTaken, and RecordUnavailable with nothing recorded.
    """
    email = _with_free_id(draft, lambda email: _write_row(office, email, key=key, queued=None))
    office.under_way[email.id] = email
    return email


def open_queued_record(
    office: Office,
    draft: Email,
    *,
    pack: Callable[[Email], QueuedMessage],
    key: IdempotencyKey | None = None,
    also: Also | None = None,
) -> Email:
    """The same for an email that a worker will deliver; `pack` makes its message, which is stored with it."""
    return _with_free_id(draft, lambda email: _write_row(office, email, key=key, queued=pack(email), also=also))


def count_without_record(office: Office, draft: Email, *, also: Also | None) -> None:
    """What a submission does to its form's cooldown, and `also`, without the email. Raises what the others raise."""

    def work(connection: Connection) -> Refusal | None:
        now_ms = office.database.now_ms(connection)
        refusal = reservation.reserve(office, connection, draft, now_ms=now_ms)
        if refusal is None and also is not None:
            also(connection, draft)
        return refusal

    refusal = office.database.write(work, outlives_power=True)
    if refusal is not None:
        raise reservation.refused(office, refusal)


def hand_over(office: Office, email: Email) -> None:
    """Make durable that a server may get the message from now on.

    Raises RecordUnavailable when that cannot be written, or when the email has been given up in the meantime.
    """

    def work(connection: Connection) -> bool:
        now_ms = office.database.now_ms(connection)
        is_held = reservation.hold(office, connection, email, now_ms=now_ms)
        # A queued one is delivered without it, too: it was counted when another process took it for abandoned.
        return (is_held or email.is_queued) and emails.mark_handed_over(
            connection, email, lease_until_ms=now_ms + _LEASE_MS
        )

    # Of a queued email the row outlives a power failure, so this mark must, too, or it would be sent a second time.
    if not office.database.write(work, outlives_power=email.is_queued, never_refuses=True):
        raise RecordUnavailable("The request took too long and was given up; nothing was sent.")


def settle(office: Office, email: Email, *, attempts: tuple[Attempt, ...], status: Status) -> Email:
    """Record the outcome, settle the cooldown, and return the record as it now is. Never raises RecordUnavailable.

    `attempts` are those of this round, and `status` is what they came to. What failed now is Sent all the same where
    somebody got it in an earlier round.
    """
    now, now_ms = office.clock(), office.database.now_ms
    tried = email.with_attempts(attempts)
    accepted = tried.accepted
    if status is Status.FAILED and accepted:
        status = Status.SENT
    settled = replace(
        tried,
        status=status,
        phase=Phase.SETTLED,
        settled_at=now,
        next_attempt_at=None,
        delivered_smtp_id=accepted[-1].smtp_id if accepted and status is Status.SENT else None,
    )

    def work(connection: Connection) -> None:
        # What was settled as abandoned has had its cooldown counted. Now it only learns the truth; or it was queued
        # again since then, and has no reservation.
        is_own = emails.settle(connection, settled)
        if is_own and (not email.is_queued or reservation.hold(office, connection, email, now_ms=now_ms(connection))):
            # By the moment that is on record, which a late reply finds it by.
            reservation.settle(office, connection, settled, now_ms=to_ms(now))
        if email.is_queued and not settled.keeps_message:
            queue.remove_message(connection, email.id)

    office.write_outcome(work)
    leave(office, email)
    office.metrics.emails.labels(status).inc()
    _report(office, settled, attempts)
    return settled


def put_back(
    office: Office,
    email: Email,
    *,
    attempts: tuple[Attempt, ...],
    next_attempt_at: datetime,
    queued: QueuedMessage | None = None,
) -> Email:
    """Let a queued email wait for its next attempt. Never raises RecordUnavailable.

    `attempts` are those of this round, `queued` is what the later ones send, None when that is not known here.
    """
    waiting = replace(
        email.with_attempts(attempts),
        status=Status.DEFERRED,
        phase=Phase.RECORDED,
        next_attempt_at=next_attempt_at,
    )

    def work(connection: Connection) -> None:
        next_attempt_ms = office.database.moment_ms(connection, next_attempt_at)
        queue.put_back(connection, waiting, next_attempt_ms=next_attempt_ms, queued=queued)

    # The mark of the hand-over outlives a power failure. Alone it would leave this email as uncertain.
    office.write_outcome(work, outlives_power=True)
    leave(office, email)
    _report(office, waiting, attempts)
    return waiting


def claim(office: Office, *, limit: int = 1) -> list[Email]:
    """Take queued emails that are due, the most urgent first. Raises RecordUnavailable.

    Every fourth one is that which has been due for longest, where that is more than a minute: a steady stream of urgent
    ones takes three quarters of the work, and nobody's waiting lasts until the email expires.
    """
    oldest = sum(turn % _TURN_OF_THE_OLDEST == 0 for turn in islice(office.turns, limit))

    def work(connection: Connection) -> list[Email]:
        now_ms = office.database.now_ms(connection)
        return queue.claim(connection, now_ms=now_ms, lease_until_ms=now_ms + _LEASE_MS, limit=limit, oldest=oldest)

    taken = office.database.write(work)
    office.under_way.update((email.id, email) for email in taken)
    return taken


def leave(office: Office, email: Email) -> None:
    """This process is not sending it any more; in a later round it may be."""
    known = office.under_way.get(email.id)
    if known is not None and known.rounds == email.rounds:
        del office.under_way[email.id]


def renew_leases(office: Office) -> None:
    """Say of every email that this process is sending that it still is."""
    under_way = list(office.under_way.values())

    def work(connection: Connection) -> None:
        now_ms = office.database.now_ms(connection)
        for email in under_way:
            emails.renew_lease(connection, email, lease_until_ms=now_ms + _LEASE_MS)
            reservation.hold(office, connection, email, now_ms=now_ms)

    if under_way:
        office.database.write(work)


def settle_abandoned(office: Office) -> None:
    """Say of emails whose process died what became of them.

    Uncertain once they were handed over; before that Failed, or to be tried again where a worker delivers them.
    """

    def work(connection: Connection) -> list[Email]:
        now_ms = office.database.now_ms(connection)
        abandoned = emails.settle_abandoned(connection, now_ms=now_ms)
        for email in abandoned:
            reservation.settle(office, connection, email, now_ms=now_ms)
            if not email.keeps_message:
                queue.remove_message(connection, email.id)
        return abandoned

    for email in office.database.write(work):
        office.metrics.emails.labels(email.status).inc()
        log.warning("an email was left behind by its process", email_id=email.id, status=email.status)


def _with_free_id(draft: Email, write: Callable[[Email], bool]) -> Email:
    """The draft as it was written: under its own id, or the first one that is not taken."""
    email = draft
    for _ in range(_MOST_IDS):
        if write(email):
            return email
        email = replace(email, id=emails.new_id())
    raise RecordUnavailable("No free id was found for the email, so nothing was sent.")


def _write_row(
    office: Office,
    email: Email,
    *,
    key: IdempotencyKey | None,
    queued: QueuedMessage | None,
    also: Also | None = None,
) -> bool:
    """One transaction for everything that an email begins with. False, with nothing written, when its id is taken."""

    def is_known(connection: Connection, valid_from_ms: int) -> bool:
        return key is not None and idempotency.find(connection, key, valid_from_ms=valid_from_ms) is not None

    def work(connection: Connection) -> bool | Refusal | KeyTaken:
        now_ms = office.database.now_ms(connection)
        valid_from_ms = now_ms - _KEY_LIFETIME_MS
        if is_known(connection, valid_from_ms):
            return KeyTaken()
        refusal = reservation.reserve(office, connection, email, now_ms=now_ms)
        if refusal is not None:
            # Where another process has just recorded the same request, that is what the sender has to wait for.
            return KeyTaken() if is_known(connection, valid_from_ms) else refusal
        row = email if queued is None else email.due_at(from_ms(now_ms))
        if not emails.add(connection, row, lease_until_ms=None if queued else now_ms + _LEASE_MS):
            reservation.settle(office, connection, email, now_ms=now_ms)
            return False
        if queued is not None:
            queue.add_message(connection, queued)
        if key is not None:
            is_first = idempotency.add(connection, key, email_id=email.id, now_ms=now_ms, valid_from_ms=valid_from_ms)
            if not is_first:
                # Another process has just taken it: raised, so that nothing of this is committed.
                raise KeyTaken
        if also is not None:
            also(connection, email)
        return True

    # What is answered with 202 is a promise, and so is the answer to a repeated request.
    is_promise, is_plain = queued is not None or key is not None, key is None and also is None
    result = office.database.write(work, outlives_power=is_promise, never_refuses=is_plain)
    if isinstance(result, KeyTaken):
        raise result
    if isinstance(result, Refusal):
        raise reservation.refused(office, result)
    return result


def _report(office: Office, email: Email, attempts: tuple[Attempt, ...]) -> None:
    """Count the attempts of a round, and say in the log what they came to."""
    for attempt in attempts:
        office.metrics.attempts.labels(attempt.smtp_id, attempt.outcome).inc()
    say = log.info if email.status is Status.SENT else log.warning
    say(
        f"email {email.status.lower()}",
        email_id=email.id,
        smtp_id=email.requested_smtp_id,
        delivered_by=email.delivered_smtp_id,
        trouble=[
            f"SMTP_{attempt.smtp_id} {attempt.outcome} at {attempt.stage}: {attempt.detail}"
            for attempt in attempts
            if attempt.outcome is not Outcome.ACCEPTED
        ],
    )
