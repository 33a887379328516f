"""The composer that these tests share, with the real templates, and a short way to a composed and parsed message."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.messages.compose import Composer
from app.messages.templates import Templates
from app.model.email import EmailRequest
from app.settings import MessageLimits

from .wire_parser import WirePart, read_message

TEMPLATES = Templates(Path(__file__).parents[2] / "templates" / "email")
COMPOSER = Composer(TEMPLATES, MessageLimits())
NOW = datetime(2026, 1, 7, 12, 34, 56, 789000, tzinfo=UTC)


def request(**given: Any) -> EmailRequest:
    return EmailRequest(**({"email": "ada@example.com", "message": "Hello!"} | given))


def content_of(composer: Composer = COMPOSER, /, *, allows_raw_html: bool = False, **given: Any) -> bytes:
    """The finished bytes for a request with these properties."""
    return composer.compose(
        request(**given),
        email_id="A3F2B1C9",
        created_at=NOW,
        to=["box@example.org"],
        message_id_domain="example.org",
        allows_raw_html=allows_raw_html,
    ).content


def composed(**given: Any) -> WirePart:
    """The message for a request with these properties, as it reads on the wire."""
    return read_message(content_of(**given))


def text_of(part: WirePart) -> str:
    """The first text of a message, with LF for its line breaks."""
    return part.leaves()[0].content.decode("utf-8").replace("\r\n", "\n")


def html_of(part: WirePart) -> str:
    (html,) = (leaf for leaf in part.leaves() if leaf.content_type == "text/html")
    return html.content.decode("utf-8").replace("\r\n", "\n")
