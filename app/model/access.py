"""Who may do what: projects, the permissions of their access tokens, and the caller that a token stands for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    """What a token allows in its project; written `RESOURCE:ACTION` on the command line."""

    CONNECTIONS_VIEW = "CONNECTIONS:VIEW"
    """List and read connections, without their secrets."""
    CONNECTIONS_MANAGE = "CONNECTIONS:MANAGE"
    """Everything with connections, their secrets included."""
    EMAILS_SEND = "EMAILS:SEND"
    """Send as a backend, through the project's connections too."""
    EMAILS_VIEW = "EMAILS:VIEW"
    """List the project's emails."""
    FORMS_MANAGE = "FORMS:MANAGE"
    """Everything with the project's web forms."""


_IMPLIED = {Permission.CONNECTIONS_MANAGE: Permission.CONNECTIONS_VIEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A backend that showed a valid access token. Whoever shows none is anonymous, and is `None` everywhere."""

    token_id: int
    token_name: str
    project_id: int
    project: str
    permissions: frozenset[Permission]
    expires_at: datetime | None = None

    def may(self, *permissions: Permission) -> bool:
        """Whether the token has at least one of them, itself or implied by another."""
        granted = self.permissions | {_IMPLIED[own] for own in self.permissions if own in _IMPLIED}
        return not granted.isdisjoint(permissions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A name under which connections, tokens and emails belong together."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What is kept of an access token: never the token, only its digest, and that not here."""

    id: int
    name: str
    project: str
    permissions: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OAuth 2 client (RFC 6749, section 4.4), whose credentials are exchanged for short-lived access tokens."""

    id: int
    client_id: str
    name: str
    project: str
    permissions: frozenset[Permission]
    created_at: datetime
    revoked_at: datetime | None
