"""Queries of the table `form_marks`: what must not count twice until it expires. Used by `app.forms`."""

from typing import Any

from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from app.storage.pruning import delete_portion
from app.storage.tables import form_marks

CLOCK_DRIFT_MS = 60_000
"""How far the clocks of two machines may be apart."""


def find(connection: Connection, digest: str, *, now_ms: int, latest_ms: int) -> str | None:
    """The reference under which a living mark was made; None without a living mark, or without a reference in it.

    One that lives beyond `latest_ms` was made before the clock was set back, and has ended.
    """
    row = connection.execute(_FIND, {"of_digest": digest, "now_ms": now_ms, "latest_ms": latest_ms}).first()
    return None if row is None else row.reference


def add(connection: Connection, digest: str, *, reference: str | None, expires_ms: int, now_ms: int) -> bool:
    """Make a mark that lives until `expires_ms`; False, with nothing changed, when there is a living one."""
    latest_ms = expires_ms + CLOCK_DRIFT_MS
    values = {
        "of_digest": digest,
        "of_reference": reference,
        "until_ms": expires_ms,
        "now_ms": now_ms,
        "latest_ms": latest_ms,
    }
    return connection.execute(_ADD[connection.dialect.name], values).first() is not None


def prune(connection: Connection, *, now_ms: int) -> int:
    """Forget a portion of what has expired; the number of deleted rows."""
    return delete_portion(connection, form_marks, form_marks.c.expires_at <= now_ms)


_FIND = select(form_marks.c.reference).where(
    form_marks.c.digest == bindparam("of_digest"),
    form_marks.c.expires_at > bindparam("now_ms"),
    form_marks.c.expires_at <= bindparam("latest_ms"),
)
_DIALECTS = {"sqlite": sqlite, "postgresql": postgresql}


def _add_statement(dialect: Any) -> Any:
    insert = dialect.insert(form_marks).values(
        digest=bindparam("of_digest"), reference=bindparam("of_reference"), expires_at=bindparam("until_ms")
    )
    # One that has expired, and is not pruned yet, is taken over.
    return insert.on_conflict_do_update(
        index_elements=["digest"],
        set_={"reference": insert.excluded.reference, "expires_at": insert.excluded.expires_at},
        where=or_(form_marks.c.expires_at <= bindparam("now_ms"), form_marks.c.expires_at > bindparam("latest_ms")),
    ).returning(form_marks.c.digest)


_ADD = {name: _add_statement(dialect) for name, dialect in _DIALECTS.items()}
