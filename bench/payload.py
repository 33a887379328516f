"""What is posted to all systems alike, and what their mails look like.

A request is a file for the load generator. The run of `#` in it becomes a number, so each has a sender of its own.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.messages.rendering import render
from app.messages.templates import Templates
from app.model.email import EmailRequest

JSON_OCTETS = 752
ATTACHMENT_OCTETS = 25 * 1024 * 1024
TEMPLATE = "Minimal"
"""The smallest of the templates with a text and an HTML part."""

_TEMPLATES = Path(__file__).parents[1] / "templates" / "email"
_LINE = "Hello! Do you have a table for two on Friday evening?\n"


def write_request(directory: Path) -> Path:
    """A visitor's message of 752 octets of JSON."""
    return _write(directory / "request.http", _padded(_visitor()))


def write_attachment(directory: Path) -> Path:
    """The same with an attachment of 25 MB."""
    content = bytes(range(256)) * (ATTACHMENT_OCTETS // 256)
    attachment = {
        "FileName": "plan.bin",
        "ContentType": "application/octet-stream",
        "Base64Content": base64.b64encode(content).decode(),
    }
    return _write(directory / "attachment.http", json.dumps(_visitor() | {"Attachments": [attachment]}).encode())


def write_message(directory: Path, *, octets: int) -> Path:
    """A message for the load generator's `smtp_replies=3`: what the sink is measured with alone."""
    head = "To: office@example.com\r\nSubject: Hello\r\n\r\n"
    message = (head + (_LINE.strip() + "\r\n") * octets)[:octets].encode()
    envelope = f"MAIL FROM:<web@example.com> SIZE={octets}\r\nRCPT TO:<office@example.com>\r\nBDAT {octets} LAST\r\n"
    path = directory / "message.smtp"
    path.write_bytes(envelope.encode() + message)
    return path


def write_get(directory: Path, name: str, path: str, *, token: str) -> Path:
    """A request of a backend for something on record."""
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
    file = directory / f"{name}.http"
    file.write_text(head)
    return file


def write_peer_templates(directory: Path) -> tuple[Path, Path]:
    """The text and the HTML part of the service's template with `{Name}` for each value, for peers to fill."""
    fields = {"Company": "{Company}", "Phone": "{Phone}"}
    request = EmailRequest(
        email="{Email}", username="{Username}", message="{Message}", custom_fields=fields, template=TEMPLATE
    )
    templates = Templates(_TEMPLATES)
    rendered = render(request, templates, received_at=datetime.now(UTC), longest_subject=998, allows_raw_html=False)
    text, html = directory / "peer.txt", directory / "peer.html"
    text.write_text(rendered.text)
    html.write_text(rendered.html or "")
    return text, html


def _visitor() -> dict[str, Any]:
    return {
        "Email": "visitor-################@example.com",
        "Username": "Anna Example",
        "Message": _LINE * 9,
        "Template": TEMPLATE,
        "CustomFields": {"Company": "Example Ltd", "Phone": "+49 30 123456"},
    }


def _padded(request: dict[str, Any]) -> bytes:
    missing = JSON_OCTETS - len(json.dumps(request).encode())
    return json.dumps(request | {"Message": request["Message"] + "!" * missing}).encode()


def _write(path: Path, body: bytes) -> Path:
    head = "POST /api/v1/emails HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    path.write_bytes(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return path


def plain_response(username: str, password: str) -> str:
    """The response to AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{username}\0{password}".encode()).decode()
