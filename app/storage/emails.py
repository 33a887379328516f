"""Queries on `emails`. Functions take a connection, because a use case puts several into one transaction."""

import json
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, null, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.model.email import Email, Phase, Priority, Purpose, Status
from app.model.outcome import Attempt, Outcome, Stage
from app.storage.prepared import Prepared
from app.storage.pruning import delete_portion
from app.storage.tables import emails
from app.storage.times import from_ms, to_ms

_PRIORITIES = {priority.rank: priority for priority in Priority}


def _insert_statement(dialect: str) -> Any:
    values = {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in emails.c}
    insert = {"sqlite": sqlite, "postgresql": postgresql}[dialect].insert(emails).values(**values)
    return insert.on_conflict_do_nothing(index_elements=["id"])


_INSERT = Prepared(_insert_statement)
_BY_ID = select(emails).where(emails.c.id == bindparam("email_id"))
_OF_FORM_BETWEEN = select(func.count(), func.min(emails.c.created_at)).where(
    emails.c.form_key == bindparam("key"),
    emails.c.created_at > bindparam("since_ms"),
    emails.c.created_at < bindparam("until_ms"),
    emails.c.purpose == Purpose.SUBMISSION,
    emails.c.id != bindparam("but"),
)
# A row that was taken back and given to another worker is in another round: what the first one says of it is too late.
_IS_HELD = and_(
    emails.c.id == bindparam("email_id"), emails.c.status == Status.SENDING, emails.c.rounds == bindparam("round")
)
_HAND_OVER = Prepared(update(emails).where(_IS_HELD).values(phase=Phase.HANDED_OVER, lease_until=bindparam("until")))
_RENEW = update(emails).where(_IS_HELD).values(lease_until=bindparam("until"))
_CORRECT = (
    update(emails)
    .where(emails.c.id == bindparam("email_id"))
    .values(
        status=bindparam("new_status"),
        phase=Phase.SETTLED,
        delivered_smtp_id=bindparam("delivered_by"),
        settled_at=bindparam("settled"),
        attempts=bindparam("tries"),
        lease_until=null(),
        next_attempt_at=null(),
    )
)
# The lease says it all; the other two let the index of what is under way be used.
_IS_ABANDONED = and_(
    emails.c.lease_until < bindparam("now_ms"), emails.c.settled_at.is_(None), emails.c.next_attempt_at.is_(None)
)
_TAKE_BACK = (
    update(emails)
    .where(
        _IS_ABANDONED,
        emails.c.phase == Phase.RECORDED,
        emails.c.expires_at.is_not(None),
    )
    .values(status=Status.DEFERRED, lease_until=None, next_attempt_at=bindparam("now_ms"))
)
_SETTLE = Prepared(_CORRECT.where(emails.c.phase != Phase.SETTLED, emails.c.rounds == bindparam("round")))
_CORRECT_ABANDONED = _CORRECT.where(emails.c.status == Status.UNCERTAIN, emails.c.rounds == bindparam("round"))
_CORRECT_UNSENT = _CORRECT.where(emails.c.status != Status.SENT)


def new_id() -> str:
    """8 upper-case hex digits, unpredictable."""
    return token_hex(4).upper()


def add(connection: Connection, email: Email, *, lease_until_ms: int | None) -> bool:
    """Insert the record; False when its id is taken. One that is queued has no lease yet."""
    values = {
        "new_id": email.id,
        "new_status": email.status.value,
        "new_phase": email.phase.value,
        "new_requested_smtp_id": email.requested_smtp_id,
        "new_delivered_smtp_id": email.delivered_smtp_id,
        "new_is_test": email.is_test,
        "new_sender": email.sender,
        "new_reception_email": email.reception_email,
        "new_attempts": attempts_to_json(email.attempts),
        "new_created_at": to_ms(email.created_at),
        "new_settled_at": None,
        "new_lease_until": lease_until_ms,
        "new_project_id": email.project_id,
        "new_priority": email.priority.rank,
        "new_rounds": email.rounds,
        "new_expires_at": None if email.expires_at is None else to_ms(email.expires_at),
        "new_next_attempt_at": None if email.next_attempt_at is None else to_ms(email.next_attempt_at),
        "new_form_key": email.form_key,
        "new_purpose": email.purpose.value,
    }
    return _INSERT.count(connection, values) == 1


def find(connection: Connection, email_id: str) -> Email | None:
    row = connection.execute(_BY_ID, {"email_id": email_id}).first()
    return None if row is None else from_row(row)


def page(
    connection: Connection,
    *,
    project_id: int,
    status: Status | None,
    smtp_id: int | None,
    since_ms: int | None,
    before: tuple[int, str] | None,
    limit: int,
) -> list[Email]:
    """A project's emails, newest first; None does not narrow. `before` is the place, time and id, of an email."""
    c = emails.c
    statement = select(emails).where(c.project_id == project_id)
    if status is not None:
        statement = statement.where(c.status == status.value)
    if smtp_id is not None:
        statement = statement.where(c.requested_smtp_id == smtp_id)
    if since_ms is not None:
        statement = statement.where(c.created_at >= since_ms)
    if before is not None:
        statement = statement.where(tuple_(c.created_at, c.id) < before)
    newest_first = statement.order_by(c.created_at.desc(), c.id.desc()).limit(limit)
    return [from_row(row) for row in connection.execute(newest_first)]


def of_form_between(connection: Connection, email: Email, *, since_ms: int, until_ms: int) -> tuple[int, int | None]:
    """How many other submissions of the email's form there are in that time, and when the oldest of them was made."""
    moments = {"since_ms": since_ms, "until_ms": until_ms}
    row = connection.execute(_OF_FORM_BETWEEN, moments | {"key": email.form_key, "but": email.id}).one()
    return row[0], row[1]


def mark_handed_over(connection: Connection, email: Email, *, lease_until_ms: int) -> bool:
    """Make durable that a server may get the message. False when the row is no longer being sent by this process."""
    values = {"email_id": email.id, "round": email.rounds, "until": lease_until_ms}
    return _HAND_OVER.count(connection, values) == 1


def renew_lease(connection: Connection, email: Email, *, lease_until_ms: int) -> None:
    connection.execute(_RENEW, {"email_id": email.id, "round": email.rounds, "until": lease_until_ms})


def settle(connection: Connection, email: Email) -> bool:
    """Write the outcome of `email`; False when the row is not that process's own to settle any more.

    It was given up as abandoned then, or another worker has it. All the same only who talked to a server knows the
    truth: that it was delivered, or may have been, is written; that it failed only where nobody else has tried since.
    """
    values = {
        "email_id": email.id,
        "new_status": email.status.value,
        "delivered_by": email.delivered_smtp_id,
        "settled": None if email.settled_at is None else to_ms(email.settled_at),
        "tries": attempts_to_json(email.attempts),
    }
    if _SETTLE.count(connection, values | {"round": email.rounds}) == 1:
        return True
    if email.is_given_up:
        connection.execute(_CORRECT_ABANDONED, values | {"round": email.rounds})
    else:
        connection.execute(_CORRECT_UNSENT, values)
    return False


def correct_uncertain(connection: Connection, email: Email) -> bool:
    """Write what became of an email that is uncertain; False when it is not, or was in another round since then."""
    values = {
        "email_id": email.id,
        "new_status": email.status.value,
        "delivered_by": email.delivered_smtp_id,
        "settled": None if email.settled_at is None else to_ms(email.settled_at),
        "tries": attempts_to_json(email.attempts),
        "round": email.rounds,
    }
    return connection.execute(_CORRECT_ABANDONED, values).rowcount == 1


def settle_abandoned(connection: Connection, *, now_ms: int) -> list[Email]:
    """Settle the rows whose lease has ended, and return them.

    Handed over is Uncertain; not handed over is Failed, or waits for its next attempt where a worker delivers it.
    """
    connection.execute(_TAKE_BACK, {"now_ms": now_ms})
    abandoned = []
    for phase, status in ((Phase.RECORDED, Status.FAILED), (Phase.HANDED_OVER, Status.UNCERTAIN)):
        statement = (
            update(emails)
            .where(_IS_ABANDONED, emails.c.phase == phase)
            .values(status=status, phase=Phase.SETTLED, settled_at=now_ms, lease_until=None)
            .returning(*emails.c)
        )
        abandoned += [from_row(row) for row in connection.execute(statement, {"now_ms": now_ms})]
    return abandoned


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Delete a portion of the settled rows created before then; the number of deleted rows."""
    is_settled = emails.c.phase == Phase.SETTLED
    return delete_portion(connection, emails, is_settled & (emails.c.created_at < older_than_ms))


def from_row(row: Row[tuple[object, ...]]) -> Email:
    values = row._mapping
    return Email(
        id=values["id"],
        status=Status(values["status"]),
        phase=Phase(values["phase"]),
        requested_smtp_id=values["requested_smtp_id"],
        delivered_smtp_id=values["delivered_smtp_id"],
        is_test=values["is_test"],
        sender=values["sender"],
        reception_email=values["reception_email"],
        created_at=from_ms(values["created_at"]),
        settled_at=None if values["settled_at"] is None else from_ms(values["settled_at"]),
        attempts=_attempts_from_json(values["attempts"]),
        project_id=values["project_id"],
        form_key=values["form_key"],
        purpose=Purpose(values["purpose"]),
        priority=_PRIORITIES[values["priority"]],
        rounds=values["rounds"],
        expires_at=None if values["expires_at"] is None else from_ms(values["expires_at"]),
        next_attempt_at=None if values["next_attempt_at"] is None else from_ms(values["next_attempt_at"]),
    )


def attempts_to_json(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        # As every record begins.
        return "[]"
    return json.dumps(
        [
            {
                "smtpId": attempt.smtp_id,
                "recipients": attempt.recipients,
                "startedAt": to_ms(attempt.started_at),
                "durationMs": attempt.duration_ms,
                "outcome": attempt.outcome,
                "stage": attempt.stage,
                "code": attempt.code,
                "enhancedCode": attempt.enhanced_code,
                "detail": attempt.detail,
                "refused": attempt.refused,
                "deferred": attempt.deferred,
            }
            for attempt in attempts
        ]
    )


def _attempts_from_json(text: str) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            smtp_id=entry["smtpId"],
            recipients=tuple(entry["recipients"] if "recipients" in entry else [entry["recipient"]]),
            started_at=from_ms(entry["startedAt"]),
            duration_ms=entry["durationMs"],
            outcome=Outcome(entry["outcome"]),
            stage=Stage(entry["stage"]),
            code=entry["code"],
            enhanced_code=entry["enhancedCode"],
            detail=entry["detail"],
            refused=tuple(entry.get("refused", ())),
            deferred=tuple(entry.get("deferred", ())),
        )
        for entry in json.loads(text)
    )
