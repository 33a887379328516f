"""What a test server has received. Used by tests through `tests.smtp_server`."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy


@dataclass(frozen=True)
class Received:
    """A message that arrived to its end. `data` is what was sent, without doubled dots and the final one.

    `round_trips` counts the server's turns since the last message or, for the first one, since EHLO or AUTH.
    """

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    is_accepted: bool
    is_chunked: bool
    mail_parameters: str
    login: str | None
    connection: int
    round_trips: int

    @property
    def parsed(self) -> EmailMessage:
        return message_from_bytes(self.data, EmailMessage, policy=default_policy)
