"""Queries of the table `submission_shares`: how much of a form's hour one address has used. Used by `app.forms`."""

from sqlalchemy import Connection, bindparam, func, insert, select

from app.storage.pruning import delete_portion
from app.storage.tables import submission_shares


def used(connection: Connection, digest: str, *, since_ms: int, until_ms: int) -> tuple[int, int | None]:
    """How many submissions there are between two moments, and when the oldest of them was received."""
    row = connection.execute(_USED, {"of_digest": digest, "since_ms": since_ms, "until_ms": until_ms}).one()
    return row[0], row[1]


def add(connection: Connection, digest: str, *, email_id: str, now_ms: int) -> None:
    connection.execute(_ADD, {"digest": digest, "received_at": now_ms, "email_id": email_id})


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Forget a portion of what was received before a moment; the number of deleted rows."""
    return delete_portion(connection, submission_shares, submission_shares.c.received_at < older_than_ms)


_columns = submission_shares.c
_ADD = insert(submission_shares)
_USED = select(func.count(), func.min(_columns.received_at)).where(
    _columns.digest == bindparam("of_digest"),
    _columns.received_at > bindparam("since_ms"),
    _columns.received_at < bindparam("until_ms"),
)
