"""Queries of the table `connections`. What is sealed stays sealed here; `app.connections` has the key."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from app.model.names import name_key
from app.storage.inserting import insert_or_none
from app.storage.tables import connections


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """One connection with its fields encrypted."""

    id: int
    project_id: int
    type: str
    name: str
    deploy_to_worker: bool
    enabled: bool
    sealed: str


def add(connection: Connection, row: ConnectionRow, *, now_ms: int) -> int | None:
    """Insert a connection, whatever `row.id` says; its id, or None when the project has one of that name.

    What is sealed is sealed for an id, so the same transaction goes on with `replace`.
    """
    values = _values(row) | {"created_at": now_ms, "updated_at": now_ms}
    return insert_or_none(connection, connections, values, unique=("project_id", "name_key"))


def replace(connection: Connection, row: ConnectionRow, *, now_ms: int) -> bool:
    """Write everything anew; False when the row is gone. Raises IntegrityError when the new name is taken."""
    statement = update(connections).where(connections.c.id == row.id, connections.c.project_id == row.project_id)
    return connection.execute(statement.values(**_values(row), updated_at=now_ms)).rowcount == 1


def find(connection: Connection, project_id: int, name: str, *, for_update: bool = False) -> ConnectionRow | None:
    """The project's connection of that name, without case. `for_update` lets no other writer at it until the commit."""
    statement = _ROWS.where(connections.c.project_id == project_id, connections.c.name_key == name_key(name))
    if for_update:
        statement = statement.with_for_update()  # SQLite has one writer at a time, and no such clause
    row = connection.execute(statement).first()
    return None if row is None else _from_row(row)


def of_project(connection: Connection, project_id: int, *, type: str | None = None) -> list[ConnectionRow]:
    """A project's connections of one type, or all, ordered by name."""
    statement = _ROWS.where(connections.c.project_id == project_id)
    if type is not None:
        statement = statement.where(connections.c.type == type)
    return [_from_row(row) for row in connection.execute(statement.order_by(connections.c.name_key))]


def sendable(connection: Connection, project_id: int) -> list[ConnectionRow]:
    """The project's connections that mail may leave through, oldest first."""
    statement = _ROWS.where(
        connections.c.project_id == project_id,
        connections.c.type == "email",
        connections.c.enabled,
        connections.c.deploy_to_worker,
    )
    return [_from_row(row) for row in connection.execute(statement.order_by(connections.c.id))]


def every(connection: Connection) -> list[ConnectionRow]:
    """All connections of all projects, for changing the key."""
    return [_from_row(row) for row in connection.execute(_ROWS.order_by(connections.c.id))]


def reseal(connection: Connection, connection_id: int, *, old: str, new: str) -> bool:
    """Write what was sealed anew, unless somebody changed it in the meantime."""
    statement = update(connections).where(connections.c.id == connection_id, connections.c.sealed == old)
    return connection.execute(statement.values(sealed=new)).rowcount == 1


def remove(connection: Connection, connection_id: int) -> bool:
    """Delete a connection; False when it is gone already."""
    return connection.execute(delete(connections).where(connections.c.id == connection_id)).rowcount == 1


def _values(row: ConnectionRow) -> dict[str, Any]:
    return {
        "project_id": row.project_id,
        "type": row.type,
        "name": row.name,
        "name_key": name_key(row.name),
        "deploy_to_worker": row.deploy_to_worker,
        "enabled": row.enabled,
        "sealed": row.sealed,
    }


def _from_row(row: Row[Any]) -> ConnectionRow:
    return ConnectionRow(
        id=row.id,
        project_id=row.project_id,
        type=row.type,
        name=row.name,
        deploy_to_worker=row.deploy_to_worker,
        enabled=row.enabled,
        sealed=row.sealed,
    )


_ROWS = select(connections)
