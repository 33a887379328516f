"""Hostile values, composed once at start-up: the service does not start when one gets through. Used by `emails.office`.

The vectors are those that the standard library itself let through; what a Python version does with them can change, so
the finished bytes are read back with the very parsers that decode what they should not.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import getaddresses

from app.errors import SelfTestFailed
from app.messages.compose import Composer
from app.messages.headers import cleaned
from app.model.attachment import Attachment
from app.model.email import AutoSubmitted, EmailRequest

_SMUGGLED = "=?utf-8?q?a=0D=0ABcc:_evil=40x.example?="

_REQUESTS = (
    EmailRequest(
        email="sender@example.com",
        username='"Eve, <eve@x.example>, ' + "a, b <c@x.example>; " * 4,
        message="first\n.\nlast\r.\r\n.\n\r\nBcc: evil@x.example",
        subject_template=f"{_SMUGGLED}\r\nBcc: evil@x.example\u2028Bcc: evil@x.example",
        body_template="{Message}",
        auto_submitted=AutoSubmitted.GENERATED,
        attachments=(Attachment(f"{_SMUGGLED}\r\nX-Evil: 1.txt", 'text/plain; charset=utf-8; x="a;b\\"c"', "aGk=", 2),),
    ),
    EmailRequest(
        email="sender@example.com",
        username="=\0?utf-8?q?=0D=0ABcc:_evil=40x.example?=\x85Bcc: evil@x.example",
        message='<script>alert(1)</script>\n"><a href="javascript:alert(1)">' + "long" * 500,
        subject_template="{Username}{Message}" * 9,
        body_template='<a href="{Username}">{Message}</a>',
        is_html=True,
        reply_to=("sender@example.com",),
        headers={
            "X-Note": f"{_SMUGGLED}\r\nBcc: evil@x.example\r\n\r\n<b>\u2028\x85" + "naïve" * 40,
            "References": "<a@x.example>  " * 20,
            "Auto-Submitted": "no",
        },
        attachments=(Attachment("naïve\u202efdp." + "x" * 300, "application/octet-stream", "", 0),),
    ),
)

_KINDS = (
    ["multipart/mixed", "text/plain", "text/plain"],
    ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/octet-stream"],
)

_RECIPIENTS = tuple(f"recipient{number}@example.com" for number in range(5))

_FIELDS = {
    *("to", "cc", "reply-to", "subject", "date", "message-id", "x-email-id", "auto-submitted", "mime-version"),
    "content-type",
}
_PART_FIELDS = {"content-type", "content-transfer-encoding", "content-disposition"}

_PRINTABLE = bytes(range(0x20, 0x7F))


def run(composer: Composer) -> None:
    """Compose the vectors and read them back; raises SelfTestFailed with everything that was wrong."""
    faults = [
        fault for request, kinds in zip(_REQUESTS, _KINDS, strict=True) for fault in _faults(composer, request, kinds)
    ]
    if faults:
        raise SelfTestFailed("composing is not safe on this Python: " + "; ".join(faults))


def _faults(composer: Composer, request: EmailRequest, kinds: list[str]) -> Iterator[str]:
    content = composer.compose(
        request,
        email_id="00000000",
        created_at=datetime(2026, 1, 7, 12, 34, 56, tzinfo=UTC),
        to=_RECIPIENTS,
        cc=_RECIPIENTS[:1],
        message_id_domain="example.com",
    ).content
    names = _FIELDS.union(map(str.lower, request.headers))
    lines = content.split(b"\r\n")
    if any(line.translate(None, _PRINTABLE) for line in lines):
        yield "an octet that is not printable ASCII"
    if max(map(len, lines)) > 998:
        yield "a line of more than 998 octets"
    legacy = message_from_bytes(content, policy=compat32)
    modern = message_from_bytes(content, _class=EmailMessage, policy=default)
    for message in (legacy, modern):
        parts = list(message.walk())
        if [part.get_content_type() for part in parts] != kinds:
            yield f"other parts than {kinds}"
        if len(message) != len(names) or {name.lower() for name in message} != names:
            yield f"other fields than {sorted(names)}: {message.keys()}"
        if any(name.lower() not in _PART_FIELDS for part in parts[1:] for name in part):
            yield "a field in a part that nobody wrote"
        if parts[-1].get_filename() != cleaned(request.attachments[0].file_name):
            yield "another file name"
    for name, addresses in (("Reply-To", (request.email,)), ("To", _RECIPIENTS), ("Cc", _RECIPIENTS[:1])):
        if tuple(address for _, address in getaddresses([str(legacy[name])])) != addresses:
            yield f"another {name}"
    text = modern.get_body(("html",) if request.is_html else ("plain",))
    shown = text.get_content() if text is not None else ""
    if request.is_html:
        if "<script" in shown or "<a href" in shown:
            yield "HTML that acts"
    elif shown.splitlines() != request.message.splitlines():
        yield "another text"
