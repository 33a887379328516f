"""`Composer`: a validated `EmailRequest` becomes the finished bytes of one message. Used by `emails.send`.

The bytes are made once, before the first attempt, and are the same on every attempt; the `From` field is not among
them, because it names the account that sends (`Message.from_field`).
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from app.errors import RequestInvalid
from app.messages.headers import (
    PRIORITY_FIELDS,
    address_field,
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


class Composer:
    """One per process; its methods may be called from any thread."""

    def __init__(self, templates: Templates, limits: MessageLimits) -> None:
        self._templates = templates
        self._limits = limits

    def check(self, request: EmailRequest) -> None:
        """Refuse what `compose` must not be asked for, before anything is recorded; builds nothing large.

        Raises RequestInvalid for a body that would exceed `limits.rendered_body`, and for an address that cannot stand
        in a header.
        """
        try:
            ascii_address(request.email)
        except ValueError as error:
            raise RequestInvalid({"Email": ["The Email field is not a valid e-mail address."]}) from error
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
        to: str,
        message_id_domain: str,
        allows_raw_html: bool = False,
    ) -> Message:
        """The message for a request that passed `check`.

        `created_at` is aware and becomes Date; `to` is the recipient's address; `allows_raw_html` is true for a caller
        whose own HTML is sent as given, while everybody else's is sanitised. Raises ValueError for a recipient, a
        sender or a domain that cannot stand in a header.
        """
        rendered = render(
            request,
            self._templates,
            received_at=created_at,
            longest_subject=self._limits.subject_template,
            allows_raw_html=allows_raw_html,
        )
        parts = [text_part(rendered.text, "plain")]
        if rendered.html is not None:
            parts.append(text_part(rendered.html, "html"))
        token = _token_outside(parts)
        head = "".join(
            (
                address_field("To", to),
                address_field("Reply-To", request.email, request.username),
                unstructured_field("Subject", f"{rendered.subject} - [{email_id}]"),
                date_field(created_at.astimezone(UTC)),
                f"Message-ID: <{email_id}.{token}@{ascii_domain(message_id_domain)}>\r\n",
                f"X-Email-Id: {email_id}\r\n",
                PRIORITY_FIELDS[request.priority],
                "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
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


def _token_outside(parts: Sequence[Part]) -> str:
    """24 random hex digits that occur in none of the bodies; they make Message-ID and the boundaries unique."""
    while True:
        token = secrets.token_hex(12)
        if not any(token.encode("ascii") in part.body for part in parts):
            return token
