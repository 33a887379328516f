"""How an attempt to hand a message to a server ends, and where it was when it ended (spec: delivery, "Outcomes")."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """The five ends of an attempt; each decides by itself what happens next."""

    ACCEPTED = "accepted"
    """2xx after the final dot: done."""
    SERVER_AT_FAULT = "server-at-fault"
    """The server or the account failed before anything was accepted: the next configuration is tried."""
    RECIPIENT_REFUSED = "recipient-refused"
    """The mailbox was refused: the catch-all recipient is tried, else the email has failed."""
    MESSAGE_REFUSED = "message-refused"
    """The content was refused: a verdict that is repeated elsewhere, so the email has failed."""
    UNKNOWN = "unknown"
    """Everything was handed over and no reply came: never sent again."""


class Stage(StrEnum):
    """The step of the SMTP dialogue that an attempt was in when it ended."""

    DNS = "dns"
    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "tls"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one configuration.

    `recipients` are those that were named to the server, `refused` those of them that it did not take: of a message
    that was accepted, they are the ones who did not get it. `deferred` are those of the refused whom it may take later.

    `code` and `enhanced_code` are the deciding reply's (None without one); `detail` is for the operator, at most 500
    characters, free of control characters, and never shown to a caller.
    """

    smtp_id: int
    recipients: tuple[str, ...]
    started_at: datetime
    duration_ms: int
    outcome: Outcome
    stage: Stage
    code: int | None = None
    enhanced_code: str | None = None
    detail: str = ""
    refused: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()


Late = Callable[[Attempt | None], None]
"""Gets the last attempt as it ended after all, once; None when no reply came in ten minutes, or none that decides."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The end of all attempts at one message: the last one's outcome decides."""

    attempts: tuple[Attempt, ...]
    listen: Callable[[Late], None] | None = field(default=None, compare=False, repr=False)
    """Of an unknown outcome whose server may still reply: begins to listen for it."""

    @property
    def outcome(self) -> Outcome:
        return self.attempts[-1].outcome

    @property
    def delivered_by(self) -> int | None:
        last = self.attempts[-1]
        return last.smtp_id if last.outcome is Outcome.ACCEPTED else None

    @property
    def refused(self) -> tuple[str, ...]:
        """Whom the last server did not take; of a delivered message, those who did not get it."""
        return self.attempts[-1].refused

    @property
    def deferred(self) -> tuple[str, ...]:
        """Whom the last server did not take yet; of a delivered message, those who may still get it."""
        return self.attempts[-1].deferred
