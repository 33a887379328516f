"""A connection of a project, as `/apiops` manages it (spec: connections-api)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIRST_SMTP_INDEX = 1000
"""Configured SMTP configurations have indexes below it, connections from here upward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`fields` holds what belongs to the type, under the wire's names, secrets in clear: it is never shown in a repr.

    `id` is 0 until the connection is stored, then a positive number that is never given again.
    """

    id: int = 0
    project_id: int
    type: str
    name: str
    description: str | None = None
    deploy_to_worker: bool = True
    enabled: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def smtp_index(self) -> int:
        """What `smtpId` picks an email connection by; stays the same through renames."""
        return FIRST_SMTP_INDEX - 1 + self.id

    @property
    def is_sendable(self) -> bool:
        """Whether mail may leave through it."""
        return self.type == "email" and self.enabled and self.deploy_to_worker


@dataclass(frozen=True, slots=True)
class Deployment:
    """What became of a connection in one environment; `message` is for its owner."""

    environment: str
    success: bool
    message: str
