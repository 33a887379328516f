"""A finished message: the bytes that go on the wire, composed once and the same on every attempt."""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Message:
    """A composed RFC 5322 message without its `From` field, which names the account that sends.

    `content` holds only CRLF line ends, no NUL, and no line over 998 octets. `needs_smtputf8` is true when a header
    carries an address that ASCII cannot (RFC 6531).
    """

    email_id: str
    content: bytes
    needs_smtputf8: bool = False

    def in_ascii(self) -> "Message":
        """The same message for a server without SMTPUTF8: what ASCII cannot write is left out of its header.

        Of a list of recipients the others stay; Reply-To goes as a whole. The rest, Message-ID and body, is the same.
        """
        end = self.content.find(b"\r\n\r\n")
        # A field goes on in the lines that begin with a space (RFC 5322 section 2.2.3).
        fields = re.split(rb"\r\n(?![ \t])", self.content[:end])
        written = [field if field.isascii() else _without_beyond_ascii(field) for field in fields]
        head = b"\r\n".join(field for field in written if field)
        return replace(self, content=b"".join((head, memoryview(self.content)[end:])), needs_smtputf8=False)

    def from_field(self, address: str) -> bytes:
        """The `From` field for one account, to be sent right before `content`."""
        return b"From: <%b>\r\n" % address.encode("utf-8")


def _without_beyond_ascii(field: bytes) -> bytes:
    """An address field of ours with those of its addresses that are ASCII; empty when it is none, or none is left."""
    name, _, value = field.partition(b":")
    if name not in (b"To", b"Cc"):
        return b""
    kept = [address for address in map(bytes.strip, value.split(b",")) if address.isascii()]
    if kept:
        return name + b": " + b",\r\n ".join(kept)
    return b"To: undisclosed-recipients:;" if name == b"To" else b""
