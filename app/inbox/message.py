"""What the inbox knows about a message it received: made by `reader`, handed out by `store`, shown by the pages.

Every text in here is decoded, free of control characters and of lone surrogates, so it can be put on a page as it is
(escaped, of course: it is still what a stranger wrote).
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One line of the list. `received_at` is this machine's clock, not the Date field; `size` is in bytes."""

    id: str
    received_at: datetime
    size: int
    subject: str
    sender: str
    reply_to: str
    to: str
    attachment_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttachment:
    """A part that is not shown as the body. `number` counts from 1 in the order of the message.

    `file_name` is a plain name without separators, never empty. `content_type` is what the message claims.
    """

    number: int
    file_name: str
    content_type: str
    content_id: str
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A whole message. `text` and `html` are None where the message has no such part.

    `envelope_from` and `recipients` are MAIL FROM and RCPT TO, which no field of the message needs to repeat.
    """

    summary: Summary
    envelope_from: str
    recipients: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[StoredAttachment, ...]
