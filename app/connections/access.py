"""Access tokens and OAuth clients: what the command line does with them, and `POST /apiops/auth/token`.

Every change is one transaction with its entry in the audit. A token or a client's secret is returned once, by the call
that makes it; only its digest is stored.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import compare_digest, token_hex, token_urlsafe
from typing import TypeVar

from sqlalchemy import Connection

from app.connections.live import digest_of
from app.connections.projects import demand_name, find, find_or_add, record
from app.connections.registry import Registry
from app.errors import ClientRejected, ProjectNotFound, RecordConflict, RequestInvalid
from app.model.access import AccessToken, Client, Permission
from app.storage import access_tokens, audit, clients
from app.storage.times import to_ms

Result = TypeVar("Result")

ISSUED_FOR = timedelta(hours=1)
"""How long the token stands that a client exchanges its credentials for."""

LONGEST_LIFE = timedelta(days=36_500)

ISSUE_TOKEN = "issue-token"  # noqa: S105 - the name of an act in the audit

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_DIGEST = digest_of(token_hex(32))
"""Nobody's secret: what an unknown client's is compared with, so that it takes as long as a known one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredential:
    """What an OAuth client shows; told once."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """An access token as `POST /apiops/auth/token` answers it. `expires_in` is in seconds."""

    access_token: str = field(repr=False)
    expires_in: int


def create_token(
    registry: Registry,
    *,
    project: str,
    permissions: Iterable[Permission],
    name: str = "",
    expires_in: timedelta | None = None,
) -> str:
    """Make an access token, and its project when that is missing; returns the token, which nobody can read again.

    Without a name it gets one of its own. Raises RequestInvalid.
    """
    token = f"lbx_{token_urlsafe(32)}"
    digest = digest_of(token)
    name = name or f"token {digest[:6]}"
    granted = _demand_grant(project=project, permissions=permissions, name=name)
    if expires_in is not None and not timedelta(0) < expires_in <= LONGEST_LIFE:
        raise RequestInvalid({"expires_in": ["A token lasts longer than no time and at most 100 years."]})
    now = registry.clock()
    now_ms = to_ms(now)

    def create(connection: Connection) -> None:
        owner = find_or_add(connection, project, now_ms=now_ms)
        access_tokens.add(
            connection,
            project_id=owner.id,
            digest=digest,
            name=name,
            permissions=granted,
            now_ms=now_ms,
            expires_at_ms=None if expires_in is None else to_ms(now + expires_in),
        )
        record(connection, owner.name, action="create-token", subject=name, fields=sorted(granted), now_ms=now_ms)

    _write_in(registry, project, create)
    return token


def list_tokens(registry: Registry, project: str | None = None) -> list[AccessToken]:
    """Those that were made on the command line, oldest first. Raises ProjectNotFound."""
    return registry.database.read(
        lambda connection: access_tokens.every(connection, project_id=_project_id(connection, project))
    )


def revoke_token(registry: Registry, token_id: int) -> AccessToken | None:
    """Make a token worthless from the next request on; returns it, None when there is none of that id."""
    now_ms = to_ms(registry.clock())

    def revoke(connection: Connection) -> AccessToken | None:
        token = access_tokens.revoke(connection, token_id, now_ms=now_ms)
        if token is not None:
            record(connection, token.project, action="revoke-token", subject=token.name, now_ms=now_ms)
        return token

    return registry.database.write(revoke)


def create_client(
    registry: Registry, *, project: str, permissions: Iterable[Permission], name: str = ""
) -> ClientCredential:
    """Make an OAuth client, and its project when that is missing; its tokens get its permissions.

    Without a name it gets one of its own. Raises RequestInvalid.
    """
    credential = ClientCredential(client_id=f"lbc_{token_urlsafe(12)}", client_secret=f"lbs_{token_urlsafe(32)}")
    secret_digest = digest_of(credential.client_secret)
    name = name or f"client {secret_digest[:6]}"
    granted = _demand_grant(project=project, permissions=permissions, name=name)
    now_ms = to_ms(registry.clock())

    def create(connection: Connection) -> None:
        owner = find_or_add(connection, project, now_ms=now_ms)
        clients.add(
            connection,
            project_id=owner.id,
            client_id=credential.client_id,
            secret_digest=secret_digest,
            name=name,
            permissions=granted,
            now_ms=now_ms,
        )
        record(connection, owner.name, action="create-client", subject=name, fields=sorted(granted), now_ms=now_ms)

    _write_in(registry, project, create)
    return credential


def list_clients(registry: Registry, project: str | None = None) -> list[Client]:
    """All clients, oldest first. Raises ProjectNotFound."""
    return registry.database.read(
        lambda connection: clients.every(connection, project_id=_project_id(connection, project))
    )


def revoke_client(registry: Registry, client_id: str) -> Client | None:
    """Make a client and all its tokens worthless from the next request on; None when there is none of that id."""
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    now_ms = to_ms(registry.clock())

    def revoke(connection: Connection) -> Client | None:
        client = clients.revoke(connection, client_id, now_ms=now_ms)
        if client is not None:
            record(connection, client.project, action="revoke-client", subject=client.name, now_ms=now_ms)
        return client

    return registry.database.write(revoke)


def exchange(registry: Registry, *, client_id: str, client_secret: str) -> IssuedToken:
    """Issue a token to a client that shows its credentials (RFC 6749, section 4.4). Raises ClientRejected.

    An unknown client costs the same work as a wrong secret, and both are told the same.
    """
    # What no client is named is looked up too, as nobody: a database need not take every text.
    known_id = client_id if _CLIENT_ID.fullmatch(client_id) else ""
    client = registry.database.read(lambda connection: clients.find_credentials(connection, known_id))
    is_right = compare_digest(digest_of(client_secret), _NO_DIGEST if client is None else client.secret_digest)
    if client is None or not is_right:
        raise ClientRejected
    owner, token = client, f"lbx_{token_urlsafe(32)}"
    digest = digest_of(token)
    now = registry.clock()

    def issue(connection: Connection) -> None:
        access_tokens.add(
            connection,
            project_id=owner.project_id,
            client=owner.id,
            digest=digest,
            name=owner.name,
            permissions=owner.permissions,
            now_ms=to_ms(now),
            expires_at_ms=to_ms(now + ISSUED_FOR),
        )
        caller = access_tokens.find_caller(connection, digest)
        if caller is None:
            # The client was revoked since its secret was judged.
            raise ClientRejected
        # No process remembers anything of a token that is new, so nothing is marked as changed.
        audit.add(
            connection,
            now_ms=to_ms(now),
            project=caller.project,
            actor=owner.name,
            action=ISSUE_TOKEN,
            subject=known_id,
        )

    try:
        _write_in(registry, "", issue)
    except ProjectNotFound as error:
        raise ClientRejected from error
    return IssuedToken(access_token=token, expires_in=int(ISSUED_FOR.total_seconds()))


def _project_id(connection: Connection, name: str | None) -> int | None:
    return None if name is None else find(connection, name).id


def _write_in(registry: Registry, project: str, work: Callable[[Connection], Result]) -> Result:
    """A write into a project, which somebody may delete at the same time. Raises ProjectNotFound then."""
    try:
        return registry.database.write(work)
    except RecordConflict:
        raise ProjectNotFound(project) from None


def _demand_grant(*, project: str, permissions: Iterable[Permission], name: str) -> frozenset[Permission]:
    demand_name("project", project)
    demand_name("name", name)
    granted = frozenset(permissions)
    if not granted:
        raise RequestInvalid({"permissions": ["At least one permission is required."]})
    return granted
