"""What a caller asks for (`EmailRequest`) and what is recorded of it (`Email`).

Used by every room: the API builds the request, `messages` renders it, `storage` keeps the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from app.model.attachment import Attachment
from app.model.outcome import Attempt, Outcome

MOST_ATTEMPTS = 100
"""So many are kept of an email that was tried for a day; the first and the last tell the story."""


class Priority(StrEnum):
    """How urgent a message is; `messages.headers` turns it into the headers that mail clients act on."""

    LOW = "Low"
    NORMAL = "Normal"
    HIGH = "High"
    URGENT = "Urgent"

    @property
    def rank(self) -> int:
        """Its place in a queue: 0 comes first."""
        return _RANKS[self]


_RANKS = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class AutoSubmitted(StrEnum):
    """What a machine wrote (RFC 3834, section 5); mail programs send no automatic answers to it."""

    GENERATED = "auto-generated"
    REPLIED = "auto-replied"


class Status(StrEnum):
    """Where an email stands. Only the last three are final."""

    QUEUED = "Queued"
    """Accepted durably; a worker will take it."""
    SENDING = "Sending"
    """Recorded; it is being handed to a server."""
    DEFERRED = "Deferred"
    """No server took it yet, or not yet for every recipient; a worker will try again."""
    SENT = "Sent"
    """A server answered 2xx after the final dot; whom of several recipients no server took is on record."""
    FAILED = "Failed"
    """No server took it; it is certain that nothing was delivered."""
    UNCERTAIN = "Uncertain"
    """It was handed over and no reply came: it may have been delivered, so it is not sent again by itself."""


class Purpose(StrEnum):
    """What an email is for: who wrote it, and what may become of it, depends on that."""

    REQUEST = "request"
    """A caller of the API asked for it, or an operator on the command line."""
    SUBMISSION = "submission"
    """What a visitor wrote in a form, for the form's owner."""
    CONFIRMATION = "confirmation"
    """Tells a visitor that a submission was received."""
    MONTHLY_TEST = "monthly-test"
    """Finds out whether the first SMTP configuration works."""


class Phase(StrEnum):
    """How far a recorded email got; it tells after a crash whether a server may have the message."""

    RECORDED = "recorded"
    HANDED_OVER = "handed-over"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailRequest:
    """A validated request to send one message. Every text is as the caller wrote it; nothing is cleaned yet.

    `template` and `body_template` exclude each other: when both were given, `template` wins. `subject` is text, and
    wins over `subject_template`, in which placeholders are filled. From `to` on, only a
    caller with an access token is listened to; without `to` the mail goes to the configured recipient. `email` is empty
    for the submission of a form that asks for no address. `auto_submitted` is None for what a person wrote.
    """

    email: str
    message: str
    username: str = ""
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    body_template: str | None = None
    subject: str = ""
    subject_template: str | None = None
    is_html: bool = False
    priority: Priority = Priority.NORMAL
    attachments: tuple[Attachment, ...] = ()
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    auto_submitted: AutoSubmitted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """The record of one email: the truth that `GET /api/v1/emails/{id}` shows.

    `id` is 8 upper-case hex digits. Datetimes are aware and in UTC. `project_id` is the project of the access token
    that it was sent with, or of the form, None for an anonymous caller's; `form_key` is that of the form that it was
    submitted in; `reception_email` is the first recipient. `expires_at` is
    set when nobody waits for the outcome: workers try until then, `rounds` times so far, again at `next_attempt_at`.
    """

    id: str
    status: Status
    phase: Phase
    requested_smtp_id: int
    is_test: bool
    created_at: datetime
    reception_email: str
    sender: str
    delivered_smtp_id: int | None = None
    settled_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    project_id: int | None = None
    form_key: str | None = None
    purpose: Purpose = Purpose.REQUEST
    priority: Priority = Priority.NORMAL
    expires_at: datetime | None = None
    next_attempt_at: datetime | None = None
    rounds: int = 0

    @property
    def is_queued(self) -> bool:
        """Whether workers deliver it, instead of a caller's own request."""
        return self.expires_at is not None

    @property
    def keeps_message(self) -> bool:
        """Whether the finished bytes stay: of what a visitor wrote there is no other copy."""
        return self.purpose is Purpose.SUBMISSION and self.status in (Status.FAILED, Status.UNCERTAIN)

    def due_at(self, now: datetime) -> "Email":
        """The same queued record, due at that moment, and expiring as long after it as was decided."""
        if self.expires_at is None or self.next_attempt_at is None:
            return self
        return replace(self, next_attempt_at=now, expires_at=now + (self.expires_at - self.next_attempt_at))

    def with_attempts(self, attempts: tuple[Attempt, ...]) -> "Email":
        """The same record with these attempts behind its own.

        At most `MOST_ATTEMPTS` are kept, but all in which a server took the message: they say who has it.
        """
        every = (*self.attempts, *attempts)
        if len(every) <= MOST_ATTEMPTS:
            return replace(self, attempts=every)
        surplus = len(every) - MOST_ATTEMPTS
        kept = list(every[: MOST_ATTEMPTS // 2])
        for attempt in every[MOST_ATTEMPTS // 2 :]:
            if surplus > 0 and attempt.outcome is not Outcome.ACCEPTED:
                surplus -= 1
            else:
                kept.append(attempt)
        return replace(self, attempts=tuple(kept))

    @property
    def accepted(self) -> tuple[Attempt, ...]:
        """The attempts in which a server took the message; several where it deferred some of the recipients."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome is Outcome.ACCEPTED)

    @property
    def refused_recipients(self) -> tuple[str, ...]:
        """Who did not get an email that others got; nobody as long as it is not certain."""
        accepted = self.accepted
        if self.status is not Status.SENT or not accepted:
            return ()
        taken = {each for attempt in accepted for each in attempt.recipients if each not in attempt.refused}
        # The first one named everybody, each later one only those whom it left over.
        return tuple(each for each in accepted[0].refused if each not in taken)

    @property
    def is_given_up(self) -> bool:
        """Whether the last attempts failed: for everybody, or for those whom earlier ones had left over."""
        if self.status is not Status.SENT or not self.attempts:
            return self.status is Status.FAILED
        last = self.attempts[-1]
        return last.outcome is not Outcome.ACCEPTED or bool(last.deferred)
