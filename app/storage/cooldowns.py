"""Queries of the table `cooldowns`: one row per sender, SMTP configuration and test mode. Used by `guards.cooldown`.

Every function takes the connection of the caller's transaction. The statements are built once, because each POST runs
three of them; upserts are spelled the same on SQLite and PostgreSQL.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, delete, func, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.storage.prepared import Prepared
from app.storage.pruning import delete_portion
from app.storage.tables import cooldowns


class CooldownKey(NamedTuple):
    """Whose cooldown it is. `sender` is in normal form."""

    sender: str
    smtp_id: int
    is_test: bool


class CooldownRow(NamedTuple):
    """How often a key was used, when last, and until when somebody holds it (times in epoch milliseconds)."""

    usage: int
    last_sent_at: int | None
    reserved_until: int | None


def reserve(
    connection: Connection, key: CooldownKey, *, email_id: str, now_ms: int, step_ms: int, hold_ms: int
) -> bool:
    """Reserve the key for one email until `hold_ms` from now, in one atomic statement; False when it has to wait."""
    until_ms = now_ms + hold_ms
    values = {"email_id": email_id, "now_ms": now_ms, "until_ms": until_ms, "step_ms": step_ms}
    return _RESERVE.count(connection, _parameters(key) | values) == 1


def find(connection: Connection, key: CooldownKey) -> CooldownRow | None:
    row = connection.execute(_FIND, _parameters(key)).first()
    return None if row is None else CooldownRow(*row)


def is_held(connection: Connection, key: CooldownKey, *, email_id: str) -> bool:
    """Whether this email holds the reservation."""
    return _LOOK.row(connection, _parameters(key) | {"email_id": email_id}) is not None


def extend(connection: Connection, key: CooldownKey, *, email_id: str, until_ms: int) -> bool:
    """Hold a reservation for longer; False when this email does not hold it any more."""
    values = {"email_id": email_id, "until_ms": until_ms}
    return _EXTEND.count(connection, _parameters(key) | values) == 1


def count(connection: Connection, key: CooldownKey, *, email_id: str, now_ms: int) -> None:
    """One more message of this key was delivered; releases the reservation when this email holds it."""
    _COUNT.count(connection, _parameters(key) | {"email_id": email_id, "now_ms": now_ms})


def release(connection: Connection, key: CooldownKey, *, email_id: str) -> None:
    """Give a reservation back as if it had never been; does nothing when this email does not hold it."""
    values = _parameters(key) | {"email_id": email_id}
    if connection.execute(_DELETE_UNUSED, values).rowcount == 0:
        connection.execute(_RELEASE, values)


def take_back(connection: Connection, key: CooldownKey, *, counted_at_ms: int, free_at_ms: int, step_ms: int) -> None:
    """One message less; where none was counted since `counted_at_ms`, the next one has waited since `free_at_ms`."""
    values = {"counted_at_ms": counted_at_ms, "free_at_ms": free_at_ms, "step_ms": step_ms}
    connection.execute(_TAKE_BACK, _parameters(key) | values)
    connection.execute(_DELETE_TAKEN_BACK, _parameters(key))


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Delete a portion of what was last used before a moment and is not reserved since then; the number of rows."""
    used_at, reserved_until = (func.coalesce(moment, 0) for moment in (_columns.last_sent_at, _columns.reserved_until))
    return delete_portion(connection, cooldowns, and_(used_at < older_than_ms, reserved_until < older_than_ms))


def _parameters(key: CooldownKey) -> dict[str, Any]:
    return {"key_sender": key.sender, "key_smtp_id": key.smtp_id, "key_is_test": key.is_test}


_columns = cooldowns.c
_KEY_COLUMNS = ("sender", "smtp_id", "is_test")
_KEY: Final = {name: bindparam(f"key_{name}", type_=_columns[name].type) for name in _KEY_COLUMNS}
_IS_KEY = and_(*(_columns[name] == value for name, value in _KEY.items()))
_NOW = bindparam("now_ms", type_=_columns.last_sent_at.type)
_UNTIL = bindparam("until_ms", type_=_columns.reserved_until.type)
_STEP = bindparam("step_ms", type_=_columns.last_sent_at.type)
_EMAIL_ID = bindparam("email_id", type_=_columns.reserved_by.type)
_IS_HELD = and_(_IS_KEY, _columns.reserved_by == _EMAIL_ID)

_IS_FREE = or_(_columns.reserved_until.is_(None), _columns.reserved_until <= _NOW, _columns.reserved_by == _EMAIL_ID)
_HAS_WAITED = or_(_columns.last_sent_at.is_(None), _columns.last_sent_at + _columns.usage * _STEP <= _NOW)

_FIND = select(_columns.usage, _columns.last_sent_at, _columns.reserved_until).where(_IS_KEY)
_LOOK = Prepared(select(_columns.usage).where(_IS_HELD))
_EXTEND = Prepared(update(cooldowns).where(_IS_HELD).values(reserved_until=_UNTIL))
_RELEASE = update(cooldowns).where(_IS_HELD).values(reserved_by=null(), reserved_until=null())
_DELETE_UNUSED = delete(cooldowns).where(_IS_HELD, _columns.usage == 0)


# The moment of the message before it is not known any more; it was over at the time, so any that is over will do.
_TAKE_BACK = (
    update(cooldowns)
    .where(_IS_KEY, _columns.usage > 0)
    .values(
        usage=_columns.usage - 1,
        last_sent_at=case(
            (
                _columns.last_sent_at != bindparam("counted_at_ms", type_=_columns.last_sent_at.type),
                _columns.last_sent_at,
            ),
            (_columns.usage == 1, null()),
            else_=bindparam("free_at_ms", type_=_columns.last_sent_at.type) - (_columns.usage - 1) * _STEP,
        ),
    )
)
_DELETE_TAKEN_BACK = delete(cooldowns).where(_IS_KEY, _columns.usage == 0, _columns.reserved_by.is_(None))


def _reserve_statement(dialect: str) -> Any:
    insert = _DIALECTS[dialect].insert(cooldowns).values(**_KEY, usage=0, reserved_by=_EMAIL_ID, reserved_until=_UNTIL)
    return insert.on_conflict_do_update(
        index_elements=_KEY_COLUMNS,
        set_={"reserved_by": insert.excluded.reserved_by, "reserved_until": insert.excluded.reserved_until},
        where=and_(_IS_FREE, _HAS_WAITED),
    )


def _count_statement(dialect: str) -> Any:
    # The row may be gone or somebody else's by now; the message was delivered all the same, so it counts.
    is_own = _columns.reserved_by == _EMAIL_ID
    later = case((_columns.last_sent_at > _NOW, _columns.last_sent_at), else_=_NOW)
    insert = _DIALECTS[dialect].insert(cooldowns).values(**_KEY, usage=1, last_sent_at=_NOW)
    return insert.on_conflict_do_update(
        index_elements=_KEY_COLUMNS,
        set_={
            "usage": _columns.usage + 1,
            "last_sent_at": later,
            "reserved_by": case((is_own, null()), else_=_columns.reserved_by),
            "reserved_until": case((is_own, null()), else_=_columns.reserved_until),
        },
    )


_DIALECTS: Final[dict[str, Any]] = {"sqlite": sqlite, "postgresql": postgresql}
_RESERVE: Final = Prepared(_reserve_statement)
_COUNT: Final = Prepared(_count_statement)
