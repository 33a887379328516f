"""`Composer`: a validated `EmailRequest` becomes the finished bytes of one message. Used by `emails.send`.

The bytes are made once, before the first attempt, and are the same on every attempt; the `From` field is not among
them, because it names the account that sends (`Message.from_field`).
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from app.errors import RequestInvalid
from app.messages.charsets import UTF_8
from app.messages.extra_fields import AUTO_SUBMITTED, extra_fields, header_faults
from app.messages.headers import (
    PRIORITY_FIELDS,
    address_field,
    address_list_field,
    ascii_address,
    ascii_domain,
    date_field,
    unstructured_field,
)
from app.messages.mime import Part, alternative, mixed, text_part
from app.messages.rendering import exceeds, render
from app.messages.templates import Templates
from app.model.email import EmailRequest
from app.model.message import Message
from app.settings import MessageLimits

_END_OF_HEAD = b"\r\n\r\n"
_TO_FIELD = re.compile(rb"^To:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.MULTILINE)


class Composer:
    """One per process; its methods may be called from any thread."""

    def __init__(self, templates: Templates, limits: MessageLimits) -> None:
        self._templates = templates
        self._limits = limits

    def check(self, request: EmailRequest) -> None:
        """Refuse what `compose` must not be asked for, before anything is recorded; builds nothing large.

        Raises RequestInvalid for a body that would exceed `limits.rendered_body`, for an address that cannot stand in a
        header, and for a header that cannot be added.
        """
        faults = {name: [f"The {name} field is not a valid e-mail address."] for name in _bad_addresses(request)}
        faults |= {f"Headers.{name}": [fault] for name, fault in header_faults(request.headers).items()}
        if faults:
            raise RequestInvalid(faults)
        limit = self._limits.rendered_body
        if exceeds(limit, request, self._templates):
            name = "EmailTemplate" if request.body_template and request.template is None else "Message"
            raise RequestInvalid({name: [f"The {name} field makes a body of more than {limit} bytes."]})

    def compose(
        self,
        request: EmailRequest,
        *,
        email_id: str,
        created_at: datetime,
        to: Sequence[str],
        cc: Sequence[str] = (),
        message_id_domain: str,
        allows_raw_html: bool = False,
        charset: str = UTF_8,
    ) -> Message:
        """The message for a request that passed `check`.

        `created_at` is aware and becomes Date; `to` and `cc` are the addresses that everybody sees, while nothing here
        writes `request.bcc`; `allows_raw_html` is true for a caller whose own HTML is sent as given, while everybody
        else's is sanitised; `charset` is what texts are in that fit there. Raises ValueError for a recipient, a sender
        or a domain that cannot stand in a header.
        """
        rendered = render(
            request,
            self._templates,
            received_at=created_at,
            longest_subject=self._limits.subject_template,
            allows_raw_html=allows_raw_html,
        )
        parts = [text_part(rendered.text, "plain", charset)]
        if rendered.html is not None:
            parts.append(text_part(rendered.html, "html", charset))
        token = _token_outside(parts)
        head = "".join(
            (
                address_list_field("To", to),
                address_list_field("Cc", cc) if cc else "",
                _reply_to_field(request),
                unstructured_field("Subject", f"{rendered.subject} - [{email_id}]"),
                date_field(created_at.astimezone(UTC)),
                f"Message-ID: <{email_id}.{token}@{ascii_domain(message_id_domain)}>\r\n",
                f"X-Email-Id: {email_id}\r\n",
                extra_fields(request.headers) if request.headers else "",
                PRIORITY_FIELDS[request.priority],
                _auto_submitted_field(request),
                "MIME-Version: 1.0\r\n",
            )
        )
        # "=_" is in no quoted-printable text and "_" in no base64, so the boundaries can only meet a 7bit text.
        body = parts[0] if len(parts) == 1 else alternative(parts, f"=_alternative_{token}")
        if request.attachments:
            content = mixed(head.encode("utf-8"), body, request.attachments, f"=_mixed_{token}")
        else:
            content = f"{head}{body.fields}\r\n".encode() + body.body
            if not content.endswith(b"\r\n"):
                content += b"\r\n"
        return Message(email_id, content, needs_smtputf8=not head.isascii())


def readdressed(message: Message, to: Sequence[str]) -> Message:
    """A composed message with other addresses in To; everything else stays, so that it is known as the same one."""
    head, end, body = message.content.partition(_END_OF_HEAD)
    field = address_list_field("To", to).encode("utf-8")
    new_head = _TO_FIELD.sub(lambda _: field, head + b"\r\n", count=1)
    return replace(message, content=new_head + end[2:] + body, needs_smtputf8=not new_head.isascii())


def _reply_to_field(request: EmailRequest) -> str:
    if request.reply_to:
        return address_list_field("Reply-To", request.reply_to)
    return address_field("Reply-To", request.email, request.username) if request.email else ""


def _auto_submitted_field(request: EmailRequest) -> str:
    """Nothing where the caller's own headers say it."""
    if request.auto_submitted is None or AUTO_SUBMITTED in map(str.lower, request.headers):
        return ""
    return f"Auto-Submitted: {request.auto_submitted}\r\n"


def _bad_addresses(request: EmailRequest) -> Iterator[str]:
    """The property, as documented, of every address that cannot stand in a header."""
    lists = (("To", request.to), ("Cc", request.cc), ("Bcc", request.bcc))
    # A form need not ask for an address.
    named = [("Email", request.email)] if request.email else []
    named += [("ReplyTo", address) for address in request.reply_to]
    named += [(f"{name}[{index}]", address) for name, found in lists for index, address in enumerate(found)]
    for name, address in named:
        try:
            ascii_address(address)
        except ValueError:
            yield name


def _token_outside(parts: Sequence[Part]) -> str:
    """24 random hex digits that occur in none of the bodies; they make Message-ID and the boundaries unique."""
    while True:
        token = secrets.token_hex(12)
        if not any(token.encode("ascii") in part.body for part in parts):
            return token
