"""Queries of the table `idempotency_keys`: which request of a caller made which email. Used by `emails`."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.storage.pruning import delete_portion
from app.storage.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one request; `fingerprint` is a digest of what it asked for."""

    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a key was used for."""

    fingerprint: str
    email_id: str


def add(connection: Connection, key: IdempotencyKey, *, email_id: str, now_ms: int, valid_from_ms: int) -> bool:
    """Bind a key to an email; False when the caller has used it since `valid_from_ms`."""
    values = {
        "of_caller": key.caller,
        "of_key": key.key,
        "of_body": key.fingerprint,
        "of_email": email_id,
        "now_ms": now_ms,
        "valid_from_ms": valid_from_ms,
    }
    return connection.execute(_ADD[connection.dialect.name], values).first() is not None


def find(connection: Connection, key: IdempotencyKey, *, valid_from_ms: int) -> KnownKey | None:
    """What the key was used for since then."""
    values = {"of_caller": key.caller, "of_key": key.key, "valid_from_ms": valid_from_ms}
    row = connection.execute(_FIND, values).first()
    return None if row is None else KnownKey(row.fingerprint, row.email_id)


def release(connection: Connection, key: IdempotencyKey, *, email_id: str) -> None:
    """Forget that the key was used for this email."""
    connection.execute(
        delete(idempotency_keys).where(
            _columns.caller == key.caller, _columns.key == key.key, _columns.email_id == email_id
        )
    )


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Forget a portion of the keys that were used before a moment; the number of deleted rows."""
    return delete_portion(connection, idempotency_keys, idempotency_keys.c.created_at < older_than_ms)


_columns = idempotency_keys.c
_FIND = select(_columns.fingerprint, _columns.email_id).where(
    _columns.caller == bindparam("of_caller"),
    _columns.key == bindparam("of_key"),
    _columns.created_at >= bindparam("valid_from_ms"),
)
_DIALECTS = {"sqlite": sqlite, "postgresql": postgresql}


def _add_statement(dialect: Any) -> Any:
    insert = dialect.insert(idempotency_keys).values(
        caller=bindparam("of_caller"),
        key=bindparam("of_key"),
        fingerprint=bindparam("of_body"),
        email_id=bindparam("of_email"),
        created_at=bindparam("now_ms"),
    )
    # A key that is too old to count, and not pruned yet, is taken over.
    return insert.on_conflict_do_update(
        index_elements=["caller", "key"],
        set_={
            "fingerprint": insert.excluded.fingerprint,
            "email_id": insert.excluded.email_id,
            "created_at": insert.excluded.created_at,
        },
        where=_columns.created_at < bindparam("valid_from_ms"),
    ).returning(_columns.email_id)


_ADD = {name: _add_statement(dialect) for name, dialect in _DIALECTS.items()}
