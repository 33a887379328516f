"""The promise of message-safety over all fields together: whatever a caller writes, the message means what was meant.

COMPOSED_MESSAGES sets how many are composed; it is 2,000 where CI is set and 300 elsewhere.
"""

import base64
import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, event, given, settings

from app.messages.templates import Given
from app.model.email import EmailRequest, Priority
from app.model.message import Message
from app.settings import MessageLimits
from app.smtp.content import Content

from . import hostile
from .composing import COMPOSER, TEMPLATES
from .outline import assert_harmless
from .wire_parser import WirePart, read_addresses, read_message, read_text

EXAMPLES = int(os.environ.get("COMPOSED_MESSAGES", "2000" if os.environ.get("CI") else "100"))
SHARES = 4
"""So that several processes can share the work."""
NOW = datetime(2026, 1, 7, 12, 34, 56, 789000, tzinfo=UTC)
SUBJECT_LIMIT = MessageLimits().subject_template

REFUSED_IN_NAMES = set('"\\/<>|:*?;')

PRIORITY_FIELDS = {
    Priority.LOW: {"X-Priority": "5", "Importance": "low"},
    Priority.NORMAL: {},
    Priority.HIGH: {"X-Priority": "2", "Importance": "high"},
    Priority.URGENT: {
        "X-Priority": "1",
        "Importance": "high",
        "X-MSMail-Priority": "High",
        "Priority": "urgent",
    },
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
@settings(max_examples=EXAMPLES // SHARES, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=hostile.requests, charset=hostile.charsets)
def test_a_composed_message_means_what_was_intended(share: int, request: EmailRequest, charset: str) -> None:
    message = compose(request, charset)
    event("SMTPUTF8" if message.needs_smtputf8 else "ASCII")
    # The first field is added by whoever sends, so it has to fit in front of the others.
    content = message.from_field("service@example.org") + message.content
    part = read_message(content, allows_utf8=message.needs_smtputf8)
    check_fields(part, request, message)
    check_parts(part, request, charset)
    check_with_standard_library(content, part, request, message)
    assert b"unseen" not in content


@settings(max_examples=EXAMPLES // SHARES, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=hostile.requests, charset=hostile.charsets)
def test_for_a_server_without_smtputf8_only_addresses_are_left_out(request: EmailRequest, charset: str) -> None:
    message = compose(request, charset)
    content = message.from_field("service@example.org") + message.content
    reduced = message.in_ascii().content
    Content(reduced)
    assert reduced.isascii()
    if not message.needs_smtputf8:
        assert reduced == message.content
    whole = read_message(content, allows_utf8=message.needs_smtputf8)
    part = read_message(message.from_field("service@example.org") + reduced, allows_utf8=False)
    kept = [field for field in whole.fields if field[1].isascii()]
    assert [field for field in part.fields if field[0] not in ("To", "Cc")] == [
        field for field in kept if field[0] not in ("To", "Cc")
    ]
    assert [leaf.content for leaf in part.leaves()] == [leaf.content for leaf in whole.leaves()]


@settings(max_examples=EXAMPLES // SHARES, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=hostile.requests, headers=hostile.refused_headers)
def test_what_cannot_be_a_field_of_its_own_is_not_written(request: EmailRequest, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        compose(replace(request, headers=dict(request.headers) | headers))


def compose(request: EmailRequest, charset: str = "utf-8") -> Message:
    return COMPOSER.compose(
        request,
        email_id="A3F2B1C9",
        created_at=NOW,
        to=recipients(request),
        cc=request.cc,
        message_id_domain="example.org",
        charset=charset,
    )


def recipients(request: EmailRequest) -> tuple[str, ...]:
    return request.to or ("box@example.org",)


def check_fields(part: WirePart, request: EmailRequest, message: Message) -> None:
    expected = {
        "From": "<service@example.org>",
        "X-Email-Id": "A3F2B1C9",
        "MIME-Version": "1.0",
    } | PRIORITY_FIELDS[request.priority]
    assert {name: part[name] for name in expected} == expected
    own = {"To", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type"}
    if request.cc:
        own.add("Cc")
    if not part.parts:
        own.add("Content-Transfer-Encoding")
    extra = {name: value for name, value in request.headers.items() if as_header_text(value)}
    own |= extra.keys()
    if request.auto_submitted is not None and "auto-submitted" not in map(str.lower, extra):
        expected["Auto-Submitted"] = request.auto_submitted
        assert part["Auto-Submitted"] == request.auto_submitted
    assert sorted(part.names) == sorted([*expected, *own])
    assert parsedate_to_datetime(part["Date"]) == NOW.replace(microsecond=0)
    assert re.fullmatch(r"<A3F2B1C9\.[0-9a-f]{24}@example\.org>", part["Message-ID"])
    replies_to = [(as_header_text(request.username), ascii_form(request.email))]
    if request.reply_to:
        replies_to = [("", ascii_form(address)) for address in request.reply_to]
    assert read_addresses(part["Reply-To"]) == replies_to
    shown = [*map(ascii_form, recipients(request)), *map(ascii_form, request.cc)]
    cc = read_addresses(part["Cc"]) if request.cc else []
    assert read_addresses(part["To"]) + cc == [("", address) for address in shown]
    assert len(cc) == len(request.cc)
    assert message.needs_smtputf8 == (not "".join([*(address for _, address in replies_to), *shown]).isascii())
    assert read_text(part["Subject"]) == expected_subject(request)
    for name, value in extra.items():
        if name.lower().startswith("x-"):
            assert read_text(part[name]) == as_header_text(value)
        else:
            assert part[name] == value.strip()


def ascii_form(address: str) -> str:
    return address.replace("bücher", "xn--bcher-kva").replace("例え", "xn--r8jz45g")


def check_parts(part: WirePart, request: EmailRequest, charset: str) -> None:
    leaves = part.leaves()
    files = leaves[len(leaves) - len(request.attachments) :]
    texts = leaves[: len(leaves) - len(request.attachments)]
    if request.attachments:
        assert part.content_type == "multipart/mixed"
        assert len(part.parts) == 1 + len(request.attachments)
    text, html = expected_bodies(request)
    has_html = html is not None or (request.is_html and request.template is None)
    kinds = ["text/plain", "text/html"] if has_html else ["text/plain"]
    assert [leaf.content_type for leaf in texts] == kinds
    for leaf in texts:
        own = {"Content-Type", "Content-Transfer-Encoding"}
        assert own <= set(leaf.names) if leaf is part else own == set(leaf.names)
        assert leaf.parameters.keys() == {"charset"}
        assert leaf.parameters["charset"] in ("utf-8", charset.lower())
    if text is not None:
        assert texts[0].parameters["charset"] == expected_charset(text, charset)
        assert as_text(texts[0], ends_line=texts[0] is part) == as_lines(text, ends_line=texts[0] is part)
    if html is not None:
        assert texts[1].parameters["charset"] == expected_charset(html, charset)
        declaration = '<meta charset="{}">'
        html = html.replace(declaration.format("utf-8"), declaration.format(texts[1].parameters["charset"]))
        assert as_text(texts[1]) == as_lines(html)
    elif has_html:
        assert_harmless(as_text(texts[1]))
    for leaf, attachment in zip(files, request.attachments, strict=True):
        assert sorted(leaf.names) == ["Content-Disposition", "Content-Transfer-Encoding", "Content-Type"]
        content_type, parameters = intended_type(attachment.content_type)
        assert leaf.content_type == content_type
        assert {name: value for name, value in leaf.parameters.items() if name != "name"} == parameters
        assert leaf.file_name() == header_safe(attachment.file_name)
        assert leaf.content == base64.b64decode(attachment.base64)


def intended_type(content_type: str) -> tuple[str, dict[str, str]]:
    """What a hostile content type, in which every value is a quoted string, may become."""
    if content_type.startswith(("message/", "multipart/")):
        return "application/octet-stream", {}
    pairs = re.findall(r'; ([^=]+)="((?:[^"\\]|\\.)*)"', content_type)
    parameters = {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs if name != "name"}
    return content_type.partition(";")[0], parameters


def check_with_standard_library(content: bytes, part: WirePart, request: EmailRequest, message: Message) -> None:
    """The parsers that caused the rules read the same as ours."""
    legacy = message_from_bytes(content, policy=compat32)
    modern = message_from_bytes(content, _class=EmailMessage, policy=default)
    for parsed in (legacy, modern):
        assert parsed.keys() == part.names
        leaves = [leaf for leaf in parsed.walk() if not leaf.is_multipart()]
        assert [leaf.get_content_type() for leaf in leaves] == [leaf.content_type for leaf in part.leaves()]
        for leaf, ours in zip(leaves, part.leaves(), strict=True):
            assert leaf.keys() == ours.names
            payload = leaf.get_payload(decode=True)
            assert isinstance(payload, bytes)
            assert payload.removesuffix(b"\r\n") == ours.content.removesuffix(b"\r\n")
        for leaf, attachment in zip(leaves[len(leaves) - len(request.attachments) :], request.attachments, strict=True):
            # This parser takes spaces, quotes and angle brackets around a name away; so do we, or we refuse them, while
            # an attachment is read.
            if not REFUSED_IN_NAMES & set(attachment.file_name):
                assert leaf.get_filename("") == header_safe(attachment.file_name).strip()
        for leaf, attachment in zip(
            [leaf for leaf in modern.walk() if not leaf.is_multipart()][len(leaves) - len(request.attachments) :],
            request.attachments,
            strict=True,
        ):
            read = dict(leaf["Content-Type"].params)
            read.pop("name", None)
            assert read == intended_type(attachment.content_type)[1]
    if not message.needs_smtputf8:
        assert str(modern["Subject"]) == expected_subject(request)
        replies_to = [address for _, address in read_addresses(part["Reply-To"])]
        assert [each.addr_spec for each in modern["Reply-To"].addresses] == replies_to
        assert [each.addr_spec for each in modern["To"].addresses] == [*map(ascii_form, recipients(request))]


def header_safe(value: str) -> str:
    """The rule of message-safety for a header value, said with Unicode's own classes."""
    spaced = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or is_bidi_control(character) else character
        for character in value
    )
    return spaced.replace("=?", "= ?")


def is_bidi_control(character: str) -> bool:
    return character in "\u061c\u200e\u200f" or unicodedata.bidirectional(character) in (
        *("LRE", "RLE", "PDF", "LRO", "RLO"),
        *("LRI", "RLI", "FSI", "PDI"),
    )


def as_header_text(value: str) -> str:
    return header_safe(value).strip()


def expected_subject(request: EmailRequest) -> str:
    subject = request.subject
    if request.subject_template and not request.subject:
        subject = filled(request.subject_template, values(request))
    elif request.template is not None and not request.subject:
        subject = TEMPLATES.render(request.template, **given_of(request)).subject
    if is_blank(subject):
        subject = "Message from " + (request.email if is_blank(request.username) else as_header_text(request.username))
    if len(subject) > SUBJECT_LIMIT:
        subject = subject[: SUBJECT_LIMIT - 1] + "…"
    return header_safe(f"{subject} - [A3F2B1C9]").strip()


def is_blank(text: str) -> bool:
    return not any(unicodedata.category(character)[0] not in "CZ" for character in text)


def expected_bodies(request: EmailRequest) -> tuple[str | None, str | None]:
    """Text and HTML as they should arrive; (None, None) where only the sanitiser can say."""
    if request.template is not None:
        rendered = TEMPLATES.render(request.template, **given_of(request))
        return rendered.text, rendered.html
    if request.body_template:
        return (None, None) if request.is_html else (filled(request.body_template, values(request)), None)
    rendered = TEMPLATES.render_builtin(**given_of(request))
    return rendered.text, rendered.html if request.is_html else None


def given_of(request: EmailRequest) -> Given:
    return Given(
        email=request.email,
        username=request.username,
        message=request.message,
        custom_fields=request.custom_fields,
        priority=request.priority,
        received_at=NOW,
    )


def values(request: EmailRequest) -> dict[str, str]:
    own = {"Email": request.email, "Username": request.username, "Message": request.message}
    return dict(request.custom_fields) | own


def filled(template: str, known: dict[str, str]) -> str:
    """One pass from left to right, letter by letter."""
    result = ""
    while template:
        start = template.find("{")
        if start < 0:
            return result + template
        result, template = result + template[:start], template[start:]
        end = template.find("}")
        name = template[1:end]
        if end > 0 and "{" not in name and name in known:
            result, template = result + known[name], template[end + 1 :]
        else:
            result, template = result + "{", template[1:]
    return result


def expected_charset(text: str, charset: str) -> str:
    """Those of the hostile ones that mail is written in, if they can say the same."""
    if charset in ("ISO-8859-1", "windows-1252", "us-ascii", "iso-2022-jp", "Shift_JIS", "gb18030", "koi8-r"):
        with suppress(UnicodeError):
            if text.encode(charset).decode(charset) == text:
                return charset.lower()
    return "utf-8"


def as_text(leaf: WirePart, *, ends_line: bool = False) -> str:
    text = leaf.content.decode(leaf.parameters["charset"])
    if ends_line and not text.endswith("\r\n"):
        text += "\r\n"
    assert not re.search(r"\r(?!\n)|(?<!\r)\n", text)
    return text


def as_lines(text: str, *, ends_line: bool = False) -> str:
    text = re.sub(r"\r\n|\r|\n", "\r\n", re.sub("[\ud800-\udfff]", "\ufffd", text))
    return text + "\r\n" if ends_line and not text.endswith("\r\n") else text
