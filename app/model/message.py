"""A finished message: the bytes that go on the wire, composed once and the same on every attempt."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A composed RFC 5322 message without its `From` field, which names the account that sends.

    `content` holds only CRLF line ends, no NUL, and no line over 998 octets. `needs_smtputf8` is true when a header
    carries an address that ASCII cannot (RFC 6531).
    """

    email_id: str
    content: bytes
    needs_smtputf8: bool = False

    def from_field(self, address: str) -> bytes:
        """The `From` field for one account, to be sent right before `content`."""
        return b"From: <%b>\r\n" % address.encode("utf-8")
