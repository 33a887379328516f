"""The bytes of a received message -> `StoredMessage`. Used by `store`.

Anything may arrive here, so nothing is expected to be well-formed. The stdlib parser runs with the `compat32` policy:
the newer one parses every field into an object on access and raises on many a malformed one, while this one hands over
the raw text, which `decoding` turns into something that can be shown.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from itertools import islice
from typing import TypeAlias

from app.inbox.decoding import decode_bytes, decode_field, plain_file_name
from app.inbox.message import StoredAttachment, StoredMessage, Summary

PARTS_LIMIT = 500
"""More parts than any person attaches; a page with a hundred thousand of them helps nobody."""

CONTAINERS_LIMIT = 50
"""The stdlib parser's time grows with the square of the depth: a thousand multiparts in 50 KB take it 15 seconds."""

_CONTAINER = re.compile(rb"(?:multipart|message)/", re.IGNORECASE)

# What the stdlib is known to raise on hostile input.
_MALFORMED = (MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError)

# In quotes, because the class takes parameters for the type checker only.
_Part: TypeAlias = "Message[str, str]"


def read_message(
    content: bytes, *, id: str, received_at: datetime, envelope_from: str, recipients: tuple[str, ...]
) -> StoredMessage:
    """Decode a message. Never raises: of what cannot be parsed, the fields and the raw body are shown."""
    root = _parse(content)
    bodies: dict[str, str] = {}
    attachments: list[StoredAttachment] = []
    for part in islice(_leaves(root), PARTS_LIMIT):
        content_type = _content_type(part)
        if content_type in ("text/plain", "text/html") and content_type not in bodies and not _is_attached(part):
            bodies[content_type] = decode_bytes(_payload(part), _claim(part.get_content_charset))
        else:
            attachments.append(_attachment(part, content_type=content_type, number=len(attachments) + 1))
    headers = tuple((decode_field(name), decode_field(value)) for name, value in root.raw_items())
    first = {name.lower(): value for name, value in reversed(headers)}
    summary = Summary(
        id=id,
        received_at=received_at,
        size=len(content),
        subject=first.get("subject", ""),
        sender=first.get("from", ""),
        reply_to=first.get("reply-to", ""),
        to=first.get("to", ""),
        attachment_count=len(attachments),
    )
    return StoredMessage(
        summary=summary,
        envelope_from=decode_field(envelope_from),
        recipients=tuple(decode_field(recipient) for recipient in recipients),
        headers=headers,
        text=bodies.get("text/plain"),
        html=bodies.get("text/html"),
        attachments=tuple(attachments),
    )


def _parse(content: bytes) -> _Part:
    is_nested = len(list(islice(_CONTAINER.finditer(content), CONTAINERS_LIMIT + 1))) > CONTAINERS_LIMIT
    try:
        return BytesParser(policy=compat32).parsebytes(content, headersonly=is_nested)
    except _MALFORMED:
        return BytesParser(policy=compat32).parsebytes(content, headersonly=True)


def _leaves(root: _Part) -> Iterator[_Part]:
    """The parts that hold something, in order. A message inside the message is one leaf, not opened."""
    waiting: list[_Part] = [root]
    while waiting:
        part = waiting.pop()
        children = part.get_payload()
        if isinstance(children, list) and part.get_content_maintype() != "message":
            waiting.extend(child for child in reversed(children) if isinstance(child, Message))
        else:
            yield part


def _content_type(part: _Part) -> str:
    """A multipart that could not be taken apart is shown as text: better than nothing."""
    content_type = decode_field(part.get_content_type())
    return "text/plain" if content_type.startswith("multipart/") else content_type


def _is_attached(part: _Part) -> bool:
    return _claim(part.get_content_disposition) == "attachment" or _claim(part.get_filename) is not None


def _payload(part: _Part) -> bytes:
    """The part's bytes, decoded from base64 or quoted-printable; as they came where that fails."""
    try:
        if part.is_multipart():
            return b"".join(child.as_bytes() for child in part.get_payload() if isinstance(child, Message))
        payload = part.get_payload(decode=True)
    except _MALFORMED:
        payload = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return payload if isinstance(payload, bytes) else b""


def _attachment(part: _Part, *, content_type: str, number: int) -> StoredAttachment:
    ending = {"message/rfc822": ".eml", "text/html": ".html", "text/plain": ".txt"}.get(content_type, "")
    return StoredAttachment(
        number=number,
        file_name=plain_file_name(_claim(part.get_filename) or "") or f"attachment-{number}{ending}",
        content_type=content_type,
        content_id=decode_field(str(part.get("Content-ID", ""))).strip("<> "),
        content=_payload(part),
    )


def _claim(read: Callable[[], str | None]) -> str | None:
    """A parameter of a field, or None where the stdlib cannot make sense of it."""
    try:
        return read()
    except _MALFORMED:
        return None
