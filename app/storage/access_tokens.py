"""Queries of the table `access_tokens`. A token itself is nowhere, only its digest."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from app.model.access import AccessToken, Caller, Permission
from app.storage.pruning import delete_portion
from app.storage.tables import access_tokens, clients, projects
from app.storage.times import from_ms


def add(
    connection: Connection,
    *,
    project_id: int,
    digest: str,
    name: str,
    permissions: Iterable[Permission],
    now_ms: int,
    expires_at_ms: int | None,
    client: int | None = None,
) -> int:
    """Insert a token by its digest; returns its id. `client` is the row id of the client that it was issued to."""
    values = {
        "project_id": project_id,
        "client_id": client,
        "digest": digest,
        "name": name,
        "permissions": permissions_to_text(permissions),
        "created_at": now_ms,
        "expires_at": expires_at_ms,
    }
    added: int = connection.execute(insert(access_tokens).values(**values).returning(access_tokens.c.id)).scalar_one()
    return added


def find_caller(connection: Connection, digest: str) -> Caller | None:
    """Who shows the token with that digest; None when there is none or it is revoked. Expiry is left to the caller."""
    row = connection.execute(_CALLER, {"token_digest": digest}).first()
    if row is None:
        return None
    return Caller(
        token_id=row.id,
        token_name=row.name,
        project_id=row.project_id,
        project=row.project,
        permissions=permissions_from_text(row.permissions),
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
    )


def every(connection: Connection, *, project_id: int | None = None) -> list[AccessToken]:
    """The tokens made by an operator, oldest first; those that clients got for themselves are not among them."""
    statement = _LISTED if project_id is None else _LISTED.where(access_tokens.c.project_id == project_id)
    return [_from_row(row) for row in connection.execute(statement)]


def revoke(connection: Connection, token_id: int, *, now_ms: int) -> AccessToken | None:
    """Revoke a token; returns it, None when there is none. One that was revoked before keeps its date."""
    statement = update(access_tokens).where(access_tokens.c.id == token_id, access_tokens.c.revoked_at.is_(None))
    connection.execute(statement.values(revoked_at=now_ms))
    row = connection.execute(_LISTED.where(access_tokens.c.id == token_id)).first()
    return None if row is None else _from_row(row)


def note_use(connection: Connection, used_at_ms: Mapping[int, int]) -> None:
    """Write when tokens were last used: token id -> epoch milliseconds."""
    for token_id, moment in used_at_ms.items():
        connection.execute(_USED, {"token_id": token_id, "used_at": moment})


def prune(connection: Connection, *, older_than_ms: int) -> int:
    """Delete a portion of clients' tokens that expired before a moment; the number of deleted rows.

    An operator's stay, so that the list tells the story.
    """
    is_of_client = access_tokens.c.client_id.is_not(None)
    return delete_portion(connection, access_tokens, is_of_client & (access_tokens.c.expires_at < older_than_ms))


def permissions_to_text(permissions: Iterable[Permission]) -> str:
    return ",".join(sorted(permissions))


def permissions_from_text(text: str) -> frozenset[Permission]:
    return frozenset(Permission(name) for name in text.split(",") if name)


def _from_row(row: Row[Any]) -> AccessToken:
    return AccessToken(
        id=row.id,
        name=row.name,
        project=row.project,
        permissions=permissions_from_text(row.permissions),
        created_at=from_ms(row.created_at),
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
        revoked_at=None if row.revoked_at is None else from_ms(row.revoked_at),
        last_used_at=None if row.last_used_at is None else from_ms(row.last_used_at),
    )


_CALLER = (
    select(
        access_tokens.c.id,
        access_tokens.c.name,
        access_tokens.c.project_id,
        access_tokens.c.permissions,
        access_tokens.c.expires_at,
        projects.c.name.label("project"),
    )
    .join(projects, projects.c.id == access_tokens.c.project_id)
    .join(clients, clients.c.id == access_tokens.c.client_id, isouter=True)
    .where(
        access_tokens.c.digest == bindparam("token_digest"),
        access_tokens.c.revoked_at.is_(None),
        clients.c.revoked_at.is_(None),
    )
)
_LISTED = (
    select(access_tokens, projects.c.name.label("project"))
    .join(projects, projects.c.id == access_tokens.c.project_id)
    .where(access_tokens.c.client_id.is_(None))
    .order_by(access_tokens.c.id)
)
_USED = (
    update(access_tokens)
    .where(
        access_tokens.c.id == bindparam("token_id"),
        access_tokens.c.last_used_at.is_(None) | (access_tokens.c.last_used_at < bindparam("used_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)
