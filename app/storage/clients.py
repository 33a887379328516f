"""Queries of the table `clients`: OAuth 2 clients, whose secret is kept as a digest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from app.model.access import Client, Permission
from app.storage.access_tokens import permissions_from_text, permissions_to_text
from app.storage.tables import clients, projects
from app.storage.times import from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """What is needed to judge a secret and to issue a token."""

    id: int
    project_id: int
    name: str
    permissions: frozenset[Permission]
    secret_digest: str


def add(
    connection: Connection,
    *,
    project_id: int,
    client_id: str,
    secret_digest: str,
    name: str,
    permissions: Iterable[Permission],
    now_ms: int,
) -> int:
    values = {
        "project_id": project_id,
        "client_id": client_id,
        "secret_digest": secret_digest,
        "name": name,
        "permissions": permissions_to_text(permissions),
        "created_at": now_ms,
    }
    added: int = connection.execute(insert(clients).values(**values).returning(clients.c.id)).scalar_one()
    return added


def find_credentials(connection: Connection, client_id: str) -> ClientCredentials | None:
    """What is known of a client that is not revoked."""
    statement = select(clients).where(clients.c.client_id == client_id, clients.c.revoked_at.is_(None))
    row = connection.execute(statement).first()
    if row is None:
        return None
    return ClientCredentials(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        permissions=permissions_from_text(row.permissions),
        secret_digest=row.secret_digest,
    )


def every(connection: Connection, *, project_id: int | None = None) -> list[Client]:
    """All clients, oldest first."""
    statement = _LISTED if project_id is None else _LISTED.where(clients.c.project_id == project_id)
    return [_from_row(row) for row in connection.execute(statement)]


def revoke(connection: Connection, client_id: str, *, now_ms: int) -> Client | None:
    """Revoke a client, and with it its tokens; returns it, None when there is none."""
    statement = update(clients).where(clients.c.client_id == client_id, clients.c.revoked_at.is_(None))
    connection.execute(statement.values(revoked_at=now_ms))
    row = connection.execute(_LISTED.where(clients.c.client_id == client_id)).first()
    return None if row is None else _from_row(row)


def _from_row(row: Row[Any]) -> Client:
    return Client(
        id=row.id,
        client_id=row.client_id,
        name=row.name,
        project=row.project,
        permissions=permissions_from_text(row.permissions),
        created_at=from_ms(row.created_at),
        revoked_at=None if row.revoked_at is None else from_ms(row.revoked_at),
    )


_LISTED = (
    select(clients, projects.c.name.label("project"))
    .join(projects, projects.c.id == clients.c.project_id)
    .order_by(clients.c.id)
)
