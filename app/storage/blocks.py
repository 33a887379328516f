"""Queries of the table `blocks`, which tells operators who is blocked. Used by `guards.blocks`.

What refuses requests is the limits' storage. A row is written when a block is set, and `lifted_at` when an operator
takes it back; running processes look for the latter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, exists, insert, select, update

from app.storage.pruning import delete_portion
from app.storage.tables import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """One block of one client, times in epoch milliseconds."""

    client: str
    reason: str
    blocked_at: int
    blocked_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A block that an operator took back."""

    block_id: int
    client: str
    lifted_at: int


def add(connection: Connection, rows: Sequence[BlockRow]) -> None:
    connection.execute(
        _ADD,
        [
            {
                "client": row.client,
                "reason": row.reason,
                "blocked_at": row.blocked_at,
                "blocked_until": row.blocked_until,
            }
            for row in rows
        ],
    )


def standing(connection: Connection, *, now_ms: int) -> list[BlockRow]:
    """The blocks that stand now, the newest first."""
    rows = connection.execute(_STANDING, {"now_ms": now_ms})
    return [
        BlockRow(client=client, reason=reason, blocked_at=blocked_at, blocked_until=blocked_until)
        for client, reason, blocked_at, blocked_until in rows
    ]


def lift(connection: Connection, *, client: str, now_ms: int) -> int:
    """Take back what stands against a client; returns how many blocks that were."""
    return connection.execute(_LIFT, {"lifted_client": client, "now_ms": now_ms}).rowcount


def lifted_since(connection: Connection, *, since_ms: int, now_ms: int) -> list[Lift]:
    """What was lifted from a moment on, without clients who have been blocked again since."""
    rows = connection.execute(_LIFTED_SINCE, {"since_ms": since_ms, "now_ms": now_ms})
    return [Lift(block_id=block_id, client=client, lifted_at=lifted_at) for block_id, client, lifted_at in rows]


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Delete a portion of the blocks that ended before a moment; the number of deleted rows."""
    return delete_portion(connection, blocks, blocks.c.blocked_until < older_than_ms)


_NOW = bindparam("now_ms", type_=blocks.c.blocked_until.type)
_STANDS = and_(blocks.c.lifted_at.is_(None), blocks.c.blocked_until > _NOW)
_newer = blocks.alias("newer")

_ADD = insert(blocks)
_STANDING = (
    select(blocks.c.client, blocks.c.reason, blocks.c.blocked_at, blocks.c.blocked_until)
    .where(_STANDS)
    .order_by(blocks.c.blocked_at.desc(), blocks.c.id.desc())
)
_LIFT = update(blocks).where(blocks.c.client == bindparam("lifted_client"), _STANDS).values(lifted_at=_NOW)
_LIFTED_SINCE = select(blocks.c.id, blocks.c.client, blocks.c.lifted_at).where(
    blocks.c.lifted_at >= bindparam("since_ms"),
    ~exists().where(_newer.c.client == blocks.c.client, _newer.c.lifted_at.is_(None), _newer.c.blocked_until > _NOW),
)
