"""The use cases of `/apiops`: list, read, create, update and delete a project's connections.

Whether the caller may is settled before. Every change is one transaction with its entry in the audit, and counts for
the senders of every process from its commit on. All of them raise RecordUnavailable.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy

from app.connections.drafts import draft_of
from app.connections.fields import Limits
from app.connections.live import mark_changed
from app.connections.registry import Registry
from app.connections.rows import from_row, to_row, unsealed_row, without_fields
from app.connections.sealing import SealBroken
from app.connections.types import TYPES, public_fields
from app.errors import (
    ConnectionExists,
    ConnectionInvalid,
    ConnectionNotFound,
    ConnectionUnreadable,
    ProjectNotFound,
    RecordConflict,
)
from app.model.access import Caller
from app.model.connection import Connection
from app.model.names import name_fault
from app.storage import audit, connections, queue
from app.storage.connections import ConnectionRow
from app.storage.times import to_ms


def list_connections(registry: Registry, caller: Caller, *, type: str | None = None) -> list[Connection]:
    """Those of one type, or all, ordered by name, with their secrets. Raises ConnectionInvalid for an unknown type."""
    if type is not None and type not in TYPES:
        raise ConnectionInvalid({"type": [f"The type must be one of {', '.join(TYPES)}."]})
    rows = registry.database.read(lambda transaction: connections.of_project(transaction, caller.project_id, type=type))
    return [_opened(registry, row) for row in rows]


def get_connection(registry: Registry, caller: Caller, name: str) -> Connection:
    """One connection, with its secrets for use in here. Raises ConnectionNotFound and ConnectionUnreadable."""
    row = _find(registry, caller, name)
    try:
        return from_row(registry.sealer, row)
    except SealBroken as error:
        raise ConnectionUnreadable(row.name) from error


def reveal_connection(registry: Registry, caller: Caller, name: str) -> Connection:
    """The same for a caller who is shown the secrets, which is recorded."""
    connection = get_connection(registry, caller, name)
    registry.database.write(lambda transaction: _record(registry, transaction, caller, "read-secrets", connection.name))
    return connection


def create_connection(registry: Registry, caller: Caller, name: str, body: Mapping[str, Any]) -> Connection:
    """Store what `body` describes. Raises ConnectionInvalid, ConnectionExists and ProjectNotFound."""
    draft = draft_of(body, project_id=caller.project_id, path_name=name, limits=_limits(registry))
    now_ms = to_ms(registry.clock())

    def create(transaction: sqlalchemy.Connection) -> Connection:
        connection_id = connections.add(transaction, unsealed_row(draft), now_ms=now_ms)
        if connection_id is None:
            raise ConnectionExists(draft.name)
        created = replace(draft, id=connection_id)
        connections.replace(transaction, to_row(registry.sealer, created), now_ms=now_ms)
        _record(registry, transaction, caller, "create", created.name, *_changed_fields(None, created))
        mark_changed(transaction)
        return created

    try:
        return registry.database.write(create)
    except RecordConflict as error:
        # A taken name is told above, so here it is the project that is gone.
        raise ProjectNotFound(caller.project) from error


def update_connection(registry: Registry, caller: Caller, name: str, body: Mapping[str, Any]) -> Connection:
    """Replace a connection by what `body` describes, and rename it when that says another name.

    Raises ConnectionNotFound, ConnectionInvalid, and ConnectionExists for a new name that is taken.
    """
    seen = _find(registry, caller, name)
    draft = draft_of(
        body, project_id=caller.project_id, path_name=seen.name, existing_type=seen.type, limits=_limits(registry)
    )
    now_ms = to_ms(registry.clock())

    def update(transaction: sqlalchemy.Connection) -> Connection:
        row = connections.find(transaction, caller.project_id, name, for_update=True)
        if row is None or row.id != seen.id:
            raise ConnectionNotFound(name)
        updated = replace(draft, id=row.id)
        connections.replace(transaction, to_row(registry.sealer, updated), now_ms=now_ms)
        changed = _changed_fields(_opened(registry, row), updated)
        _record(registry, transaction, caller, "update", row.name, *changed)
        queue.make_due(transaction, caller.project_id, now_ms=now_ms)
        mark_changed(transaction)
        return updated

    try:
        return registry.database.write(update)
    except RecordConflict as error:
        raise ConnectionExists(draft.name) from error


def delete_connection(registry: Registry, caller: Caller, name: str) -> Connection:
    """Delete a connection; what it was. Raises ConnectionNotFound."""

    _demand_possible(name)

    def delete(transaction: sqlalchemy.Connection) -> ConnectionRow:
        row = connections.find(transaction, caller.project_id, name, for_update=True)
        if row is None or not connections.remove(transaction, row.id):
            raise ConnectionNotFound(name)
        _record(registry, transaction, caller, "delete", row.name)
        queue.make_due(transaction, caller.project_id, now_ms=to_ms(registry.clock()))
        mark_changed(transaction)
        return row

    row = registry.database.write(delete)
    return _opened(registry, row)


def _demand_possible(name: str) -> None:
    """What is no name cannot be found, and a NUL must not reach a database that does not take one."""
    if name_fault(name) is not None:
        raise ConnectionNotFound(name)


def _find(registry: Registry, caller: Caller, name: str) -> ConnectionRow:
    _demand_possible(name)
    row = registry.database.read(lambda transaction: connections.find(transaction, caller.project_id, name))
    if row is None:
        raise ConnectionNotFound(name)
    return row


def _opened(registry: Registry, row: ConnectionRow) -> Connection:
    """What cannot be opened is without fields here: the others are listed, and it can still be replaced or deleted."""
    try:
        return from_row(registry.sealer, row)
    except SealBroken:
        return without_fields(row)


def _changed_fields(old: Connection | None, new: Connection) -> list[str]:
    before = {} if old is None else public_fields(old)
    after = public_fields(new)
    return [name for name in after | before if before.get(name) != after.get(name)]


def _record(
    registry: Registry, transaction: sqlalchemy.Connection, caller: Caller, action: str, subject: str, *fields: str
) -> None:
    audit.add(
        transaction,
        now_ms=to_ms(registry.clock()),
        project=caller.project,
        actor=caller.token_name,
        action=action,
        subject=subject,
        fields=fields,
    )


def _limits(registry: Registry) -> Limits:
    return Limits(ports=registry.settings.connection_ports, reach=registry.settings.connection_reach)
