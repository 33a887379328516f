"""MIME parts (RFC 2045, 2046): texts, attachments, and the multiparts that hold them. Used by `messages.compose`.

A part is its header fields and its body; both are already what goes on the wire. Everything here is 7-bit, so no server
has to be asked for 8BITMIME.
"""

import binascii
import io
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.messages.charsets import UTF_8, declared, fitted
from app.messages.content_types import ContentType
from app.messages.headers import parameter
from app.model.attachment import Attachment

_LONGEST_PLAIN_LINE = 998
_ENCODED_LINE = 76
_LINES_AT_ONCE = 512
_BASE64_LINES = struct.Struct(f"{_ENCODED_LINE}s" * _LINES_AT_ONCE)

_TOUCHED_LINE = re.compile(r"\n(?:From |\.\n)")
"""A lone dot ends a message where dots are not doubled or are looked for behind other line ends than CRLF; mailbox
files get a ">" in front of "From ". One search costs a third of two."""

_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A text, or a multipart of texts. `body` has no line end behind its last line unless the text has one."""

    fields: str
    body: bytes


def text_part(text: str, subtype: str, charset: str = UTF_8) -> Part:
    """`text` as a part of type `text/<subtype>`, in `charset` if it fits there; its line breaks become CRLF.

    It goes as it is when it is printable ASCII in lines that nothing on the way touches, for their length, for a lone
    dot, or for `From ` at their start; else in quoted-printable or base64, whichever is shorter.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    name, octets = fitted(text, charset)
    if subtype == "html":
        octets = declared(octets, name)
    unusual = len(octets.translate(None, _PLAIN))
    if not unusual and _may_go_as_it_is(text):
        encoding, body = "7bit", octets
    else:
        encoding, body = _encoded(octets, escapes=unusual + octets.count(b"="))
    return Part(
        f"Content-Type: text/{subtype}; charset={name}\r\nContent-Transfer-Encoding: {encoding}\r\n",
        body.replace(b"\n", b"\r\n"),
    )


def alternative(parts: Sequence[Part], boundary: str) -> Part:
    """The same content in several forms, plainest first (RFC 2046 section 5.1.4)."""
    pieces = []
    for part in parts:
        pieces += [f"--{boundary}\r\n{part.fields}\r\n".encode("ascii"), part.body, b"\r\n"]
    pieces.append(f"--{boundary}--".encode("ascii"))
    return Part(_multipart_fields("alternative", boundary), b"".join(pieces))


def mixed(head: bytes, first: Part, attachments: Sequence[Attachment], boundary: str) -> bytes:
    """A whole message: the header fields in `head`, and a multipart/mixed body of `first` and the attachments.

    Written into one buffer that becomes the result: a large attachment exists twice here, as it came and wrapped.
    """
    out = io.BytesIO()
    out.writelines([head, _multipart_fields("mixed", boundary).encode("ascii"), b"\r\n"])
    delimiter = f"--{boundary}\r\n".encode("ascii")
    out.writelines([delimiter, first.fields.encode("ascii"), b"\r\n", first.body, b"\r\n"])
    for attachment in attachments:
        out.writelines([delimiter, _attachment_fields(attachment).encode("ascii"), b"\r\n"])
        out.writelines(_wrapped_base64(attachment.base64))
    out.write(f"--{boundary}--\r\n".encode("ascii"))
    return out.getvalue()


def _encoded(octets: bytes, *, escapes: int) -> tuple[str, bytes]:
    """The encoding and the body, its lines ended with LF. `escapes` is how many octets `=XX` would stand for."""
    # An escape costs two octets more; base64 costs a third on everything.
    if 6 * escapes <= len(octets):
        body = binascii.b2a_qp(octets)
        # The C code forgets its limit when the last space of a line has to be encoded.
        if max(map(len, body.split(b"\n"))) <= _ENCODED_LINE:
            return "quoted-printable", body
    encoded = binascii.b2a_base64(octets.replace(b"\n", b"\r\n"), newline=False)
    return "base64", b"\n".join(_base64_lines(encoded))


def _multipart_fields(subtype: str, boundary: str) -> str:
    return f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n'


def _attachment_fields(attachment: Attachment) -> str:
    # The name stands in both fields because older clients and filters look only at Content-Type.
    content_type = ContentType.read(attachment.content_type)
    return (
        f"{content_type.field()}{parameter('name', attachment.file_name)}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment{parameter('filename', attachment.file_name)}\r\n"
    )


def _wrapped_base64(encoded: str) -> Iterator[bytes]:
    """`encoded` in lines of 76 with CRLF after each, in pieces of some hundred lines; one empty line for nothing."""
    whole = len(encoded) - len(encoded) % _BASE64_LINES.size
    for start in range(0, whole, _BASE64_LINES.size):
        # One call in C cuts some hundred lines.
        yield b"\r\n".join(_BASE64_LINES.unpack(encoded[start : start + _BASE64_LINES.size].encode("ascii")))
        yield b"\r\n"
    if whole < len(encoded) or not encoded:
        yield b"\r\n".join(_base64_lines(encoded[whole:].encode("ascii")))
        yield b"\r\n"


def _base64_lines(encoded: bytes) -> Iterator[bytes]:
    return (encoded[start : start + _ENCODED_LINE] for start in range(0, len(encoded), _ENCODED_LINE))


def _may_go_as_it_is(text: str) -> bool:
    return not _TOUCHED_LINE.search(f"\n{text}\n") and not _has_long_line(text)


def _has_long_line(text: str) -> bool:
    """Leaps from line start to line start, as far as a longest line would reach: a few looks in a whole text."""
    start, length = 0, len(text)
    while length - start > _LONGEST_PLAIN_LINE:
        last_end = text.rfind("\n", start, start + _LONGEST_PLAIN_LINE + 1)
        if last_end < 0:
            return True
        start = last_end + 1
    return False
