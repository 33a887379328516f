"""Queries on emails that wait for a worker: the rows of `emails` with a next attempt, and their `queued_messages`.

The row is the truth. A worker takes it by a lease; while it is taken there is no next attempt, so nobody else takes it.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    Subquery,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy import (
    values as rows_of,
)

from app.model.connection import FIRST_SMTP_INDEX
from app.model.email import Email, Phase, Priority, Purpose, Status
from app.model.message import Message
from app.storage.emails import attempts_to_json, from_row
from app.storage.tables import emails, queued_messages

_RANKS = sorted(priority.rank for priority in Priority)
_LONG_MS = 60_000
"""Who has been due for that long gets a turn whatever the priority; while the workers keep up, nobody is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """What a worker needs besides the record: the finished bytes and who gets them."""

    message: Message
    recipients: tuple[str, ...]
    catch_all: str | None


def add_message(connection: Connection, queued: QueuedMessage) -> None:
    """Keep the bytes, in the transaction that adds the row."""
    values = {
        "email_id": queued.message.email_id,
        "content": queued.message.content,
        "needs_smtputf8": queued.message.needs_smtputf8,
        "recipients": json.dumps(queued.recipients),
        "catch_all": queued.catch_all,
    }
    connection.execute(insert(queued_messages).values(**values))


def find_message(connection: Connection, email_id: str) -> QueuedMessage | None:
    row = connection.execute(select(queued_messages).where(queued_messages.c.email_id == email_id)).first()
    if row is None:
        return None
    return QueuedMessage(
        message=Message(row.email_id, bytes(row.content), row.needs_smtputf8),
        recipients=tuple(json.loads(row.recipients)),
        catch_all=row.catch_all,
    )


def remove_message(connection: Connection, email_id: str) -> None:
    """Forget the bytes of an email if it is settled."""
    connection.execute(_REMOVE, {"settled_id": email_id})


def claim(connection: Connection, *, now_ms: int, lease_until_ms: int, limit: int, oldest: int = 0) -> list[Email]:
    """Take what is due, the most urgent first; nobody else has it until the lease ends.

    Up to `oldest` of them are those that have been due for longest, whatever their priority, if for more than a minute.
    """
    taken: list[Email] = []
    if oldest:
        longest_due = _longest_due(due_ms=now_ms - _LONG_MS, limit=oldest)
        taken += _take(connection, longest_due, now_ms=now_ms, lease_until_ms=lease_until_ms)
    if len(taken) < limit:
        most_urgent = _most_urgent(connection, now_ms=now_ms, limit=limit - len(taken), is_locking=True)
        taken += _take(connection, most_urgent, now_ms=now_ms, lease_until_ms=lease_until_ms)
    return sorted(taken, key=lambda email: email.priority.rank)


# The index of what waits is by priority, and within one by time. So each priority is looked up by itself, as far as it
# is needed: what is not due yet, or has another priority, is not looked at, however much that is.


def _most_urgent(connection: Connection, *, now_ms: int, limit: int, is_locking: bool) -> Select[Any]:
    """The ids of what is due, by priority, within one by time."""
    c = emails.c
    if connection.dialect.name == "sqlite":
        # It goes through the ranks in their order, and stops at the limit.
        due = select(c.id).where(c.priority.in_(_RANKS), c.next_attempt_at <= now_ms)
        return due.order_by(c.priority, c.next_attempt_at).limit(limit)
    ranks = rows_of(column("rank", Integer), name="ranks").data([(rank,) for rank in _RANKS])
    of_rank = select(c.id).where(c.priority == ranks.c.rank, c.next_attempt_at <= now_ms)
    of_rank = of_rank.order_by(c.next_attempt_at).limit(limit)
    if is_locking:
        # No further than to the limit, because the outer one stops asking: nothing is locked in vain.
        of_rank = of_rank.with_for_update(skip_locked=True)
    heads = of_rank.lateral("heads")
    return select(heads.c.id).select_from(ranks.join(heads, true())).limit(limit)


def _longest_due(*, due_ms: int, limit: int) -> Select[Any]:
    """The ids of what has been due since `due_ms` or before, by time alone."""
    heads = _heads(due_ms=due_ms, limit=limit)
    due = select(emails.c.id).where(emails.c.id.in_(select(heads.c.id))).order_by(emails.c.next_attempt_at)
    return due.limit(limit).with_for_update(skip_locked=True)  # SQLite has no such clause


def _heads(*, due_ms: int, limit: int) -> Subquery:
    """The first ones of each priority that are due at a moment: ids and times."""
    c = emails.c
    due = select(c.id, c.next_attempt_at).where(c.next_attempt_at <= due_ms).order_by(c.next_attempt_at).limit(limit)
    of_each = [due.where(c.priority == rank).subquery() for rank in _RANKS]
    return union_all(*(select(head.c.id, head.c.next_attempt_at) for head in of_each)).subquery("heads")


def _take(connection: Connection, due: Select[Any], *, now_ms: int, lease_until_ms: int) -> list[Email]:
    if connection.dialect.name == "postgresql":
        # As a mere subquery it may be run again for each row that it is joined to, and each time skips what is locked
        # by then and locks the next ones: more than the limit would be taken.
        locked = due.cte("due").prefix_with("MATERIALIZED")
        due = select(locked.c.id)
    taken = (
        update(emails)
        .where(emails.c.id.in_(due), emails.c.next_attempt_at <= now_ms)
        .values(status=Status.SENDING, next_attempt_at=None, lease_until=lease_until_ms, rounds=emails.c.rounds + 1)
        .returning(*emails.c)
    )
    return [from_row(row) for row in connection.execute(taken)]


def put_back(
    connection: Connection, email: Email, *, next_attempt_ms: int, queued: QueuedMessage | None = None
) -> bool:
    """Let an email that could not be delivered yet wait for its next attempt; False when it is not that worker's own.

    Its attempts so far are written, and it counts as not handed over again. `queued` is what the later rounds send, to
    whom none has sent it yet. With it also one that was settled as abandoned waits again: the worker knows what became
    of the hand-over, and has the message.
    """
    values = {
        "email_id": email.id,
        "tries": attempts_to_json(email.attempts),
        "next_ms": next_attempt_ms,
        "round": email.rounds,
    }
    if connection.execute(_PUT_BACK, values).rowcount == 1:
        if queued is not None:
            _readdress(connection, queued)
        return True
    if queued is None or connection.execute(_PUT_BACK_ABANDONED, values).rowcount == 0:
        return False
    if find_message(connection, email.id) is None:
        add_message(connection, queued)
    else:
        _readdress(connection, queued)
    return True


def _readdress(connection: Connection, queued: QueuedMessage) -> None:
    values = {
        "id_of_message": queued.message.email_id,
        "left_over": json.dumps(queued.recipients),
        "stand_in": queued.catch_all,
    }
    connection.execute(_READDRESS, values)


def undelivered(connection: Connection, form_key: str) -> list[tuple[str, Status]]:
    """The submissions of a form that failed or are uncertain, oldest first, whose messages were kept: ids and statuses.

    It does not matter to whom they were addressed.
    """
    kept = select(emails.c.id, emails.c.status).join(queued_messages, queued_messages.c.email_id == emails.c.id)
    of_form = kept.where(
        emails.c.form_key == form_key,
        emails.c.purpose == Purpose.SUBMISSION,
        emails.c.status.in_((Status.FAILED, Status.UNCERTAIN)),
    )
    return [(row.id, Status(row.status)) for row in connection.execute(of_form.order_by(emails.c.created_at))]


def queue_again(connection: Connection, email: Email, queued: QueuedMessage, *, now_ms: int, expires_ms: int) -> bool:
    """Let a settled email whose message was kept be tried anew, with this message and for these recipients.

    Through `email.requested_smtp_id`. False when its record is not as `email` says any more.
    """
    is_as_it_was = emails.c.id == email.id, emails.c.status == email.status, emails.c.rounds == email.rounds
    anew = {
        "status": Status.DEFERRED,
        "phase": Phase.RECORDED,
        "requested_smtp_id": email.requested_smtp_id,
        "reception_email": queued.recipients[0],
        "settled_at": None,
        "lease_until": None,
        "next_attempt_at": now_ms,
        "expires_at": expires_ms,
    }
    if connection.execute(update(emails).where(*is_as_it_was).values(**anew)).rowcount == 0:
        return False
    connection.execute(delete(queued_messages).where(queued_messages.c.email_id == email.id))
    add_message(connection, queued)
    return True


def make_due(connection: Connection, project_id: int, *, now_ms: int) -> None:
    """Let a project's emails that wait for another attempt through its connections have it now: those have changed."""
    waits = emails.c.project_id == project_id, emails.c.status == Status.DEFERRED, emails.c.next_attempt_at > now_ms
    through_connections = emails.c.requested_smtp_id >= FIRST_SMTP_INDEX
    connection.execute(update(emails).where(*waits, through_connections).values(next_attempt_at=now_ms))


def due_ids(connection: Connection, *, now_ms: int, limit: int) -> list[str]:
    """What a worker should be told of, the most urgent first."""
    due = _most_urgent(connection, now_ms=now_ms, limit=limit, is_locking=False)
    return list(connection.execute(due).scalars())


def waiting(connection: Connection, *, most: int) -> int:
    """How many emails wait for an attempt; no more than `most` are counted."""
    waits = select(emails.c.id).where(emails.c.next_attempt_at.is_not(None)).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(waits)).scalar_one()


def oldest_due_ms(connection: Connection, *, now_ms: int) -> int | None:
    """Since when the longest waiting of the emails that are due has been due; None when there is none."""
    statement = select(func.min(_heads(due_ms=now_ms, limit=1).c.next_attempt_at))
    return connection.execute(statement).scalar()


_REMOVE = delete(queued_messages).where(
    queued_messages.c.email_id == bindparam("settled_id"),
    exists().where(emails.c.id == queued_messages.c.email_id, emails.c.phase == Phase.SETTLED),
)
_DEFER = (
    update(emails)
    .where(emails.c.id == bindparam("email_id"), emails.c.rounds == bindparam("round"))
    .values(
        status=Status.DEFERRED,
        phase=Phase.RECORDED,
        attempts=bindparam("tries"),
        settled_at=None,
        lease_until=None,
        next_attempt_at=bindparam("next_ms"),
    )
)
_PUT_BACK = _DEFER.where(emails.c.status == Status.SENDING)
_PUT_BACK_ABANDONED = _DEFER.where(emails.c.status == Status.UNCERTAIN)
# The bytes may be many, and in most rounds nobody was taken: a row that says the same is not written again.
_READDRESS = (
    update(queued_messages)
    .where(
        queued_messages.c.email_id == bindparam("id_of_message"),
        queued_messages.c.recipients != bindparam("left_over"),
    )
    .values(recipients=bindparam("left_over"), catch_all=bindparam("stand_in"))
)
