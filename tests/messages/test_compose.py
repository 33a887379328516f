"""A whole message: its fields, its subject by the rules of email-api section 5, its form, and what `check` refuses."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from app.errors import RequestInvalid
from app.messages.compose import Composer
from app.model.attachment import Attachment
from app.model.email import AutoSubmitted, Priority
from app.settings import MessageLimits

from .composing import COMPOSER, NOW, TEMPLATES, composed, content_of, html_of, request, text_of
from .wire_parser import read_addresses, read_message, read_text


def subject_of(**given: Any) -> str:
    subject = read_text(composed(**given)["Subject"])
    assert subject.endswith(" - [A3F2B1C9]")
    return subject.removesuffix(" - [A3F2B1C9]")


def test_a_simple_message_is_readable_as_it_is() -> None:
    head, _, body = content_of(username="Ada", message="Hello\nworld", body_template="{Message}").partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    message_id = next(line for line in lines if line.startswith("Message-ID: "))
    assert lines == [
        "To: box@example.org",
        'Reply-To: "Ada" <ada@example.com>',
        "Subject: Message from Ada - [A3F2B1C9]",
        "Date: Wed, 07 Jan 2026 12:34:56 +0000",
        message_id,
        "X-Email-Id: A3F2B1C9",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
    ]
    assert body == b"Hello\r\nworld\r\n"


@pytest.mark.parametrize("spelled", ["Auto-Submitted", "auto-submitted"])
def test_what_the_caller_s_headers_say_of_the_writer_counts(spelled: str) -> None:
    assert composed(auto_submitted=AutoSubmitted.GENERATED)["Auto-Submitted"] == "auto-generated"
    message = composed(auto_submitted=AutoSubmitted.GENERATED, headers={spelled: "no"})
    assert [value for name, value in message.fields if name.lower() == "auto-submitted"] == ["no"]


def test_two_messages_never_share_a_message_id() -> None:
    assert len({composed()["Message-ID"] for _ in range(50)}) == 50


def test_the_date_is_in_utc_wherever_the_moment_was_taken() -> None:
    moment = NOW.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert read_message(compose_at(moment))["Date"] == "Wed, 07 Jan 2026 12:34:56 +0000"


def compose_at(moment: datetime) -> bytes:
    return COMPOSER.compose(
        request(), email_id="A3F2B1C9", created_at=moment, to=["box@example.org"], message_id_domain="bücher.example"
    ).content


def test_a_message_id_domain_in_any_script_becomes_ascii() -> None:
    assert read_message(compose_at(NOW))["Message-ID"].endswith("@xn--bcher-kva.example>")


@pytest.mark.parametrize(
    ("priority", "fields"),
    [
        (Priority.LOW, {"X-Priority": "5", "Importance": "low"}),
        (Priority.NORMAL, {}),
        (Priority.HIGH, {"X-Priority": "2", "Importance": "high"}),
        (
            Priority.URGENT,
            {"X-Priority": "1", "Importance": "high", "X-MSMail-Priority": "High", "Priority": "urgent"},
        ),
    ],
)
def test_a_priority_becomes_the_fields_that_clients_act_on(priority: Priority, fields: dict[str, str]) -> None:
    written = dict(composed(priority=priority).fields)
    assert {name: value for name, value in written.items() if name.endswith(("Priority", "Importance"))} == fields


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({}, "Message from ada@example.com"),
        ({"username": "Ada"}, "Message from Ada"),
        ({"username": " \u200b\r\n"}, "Message from ada@example.com"),
        ({"username": " Ada\r\n"}, "Message from Ada"),
        ({"subject_template": "About {key}", "custom_fields": {"key": "mail"}}, "About mail"),
        ({"subject_template": "About {key}"}, "About {key}"),
        ({"subject_template": "{Username}", "username": ""}, "Message from ada@example.com"),
        ({"subject_template": " \t\r\n\u202e\u200b\u2028"}, "Message from ada@example.com"),
        ({"subject_template": "   ", "username": "Ada", "template": "Minimal"}, "Message from Ada"),
        ({"subject_template": "", "username": "Ada", "template": "Minimal"}, "Contact: Ada"),
        ({"username": "Ada", "template": "Modern"}, "✉️ New Message from Ada"),
        ({"username": "Ada", "template": "Default"}, "Message from Ada"),
        ({"subject_template": "Mine", "template": "Modern"}, "Mine"),
        ({"username": "Ada", "body_template": "x"}, "Message from Ada"),
        ({"subject_template": "{Message}", "message": "a\r\nb\tc"}, "a  b c"),
        ({"subject_template": "{Username}", "username": "{Message}"}, "{Message}"),
        ({"subject_template": "{Username}", "username": "<b>&amp;"}, "<b>&amp;"),
        ({"subject_template": "=?utf-8?q?=0D=0ABcc:_x=40y.test?="}, "= ?utf-8?q?=0D=0ABcc:_x=40y.test?="),
    ],
)
def test_which_subject_a_message_gets(given: dict[str, Any], subject: str) -> None:
    assert subject_of(**given) == subject


def test_a_subject_that_repeats_a_long_message_is_cut() -> None:
    subject = subject_of(subject_template="{Message}" * 100, message="ä" * 200_000)
    assert subject == "ä" * 997 + "…"


def test_reply_to_is_the_sender_and_the_sender_only() -> None:
    part = composed(username="Eve, <a@x.test>", email="eve@bücher.example")
    assert read_addresses(part["Reply-To"]) == [("Eve, <a@x.test>", "eve@xn--bcher-kva.example")]
    assert read_addresses(part["To"]) == [("", "box@example.org")]


def test_a_local_part_beyond_ascii_needs_smtputf8_and_leaves_the_rest_ascii() -> None:
    message = COMPOSER.compose(
        request(email="jörg@example.com", username="Jörg", message="Grüße"),
        email_id="A3F2B1C9",
        created_at=NOW,
        to=["box@example.org"],
        message_id_domain="example.org",
    )
    assert message.needs_smtputf8
    beyond_ascii = [line for line in message.content.split(b"\r\n") if not line.isascii()]
    assert beyond_ascii == ["Reply-To: =?utf-8?b?SsO2cmc=?= <jörg@example.com>".encode()]
    assert not COMPOSER.compose(
        request(), email_id="A3F2B1C9", created_at=NOW, to=["box@example.org"], message_id_domain="example.org"
    ).needs_smtputf8


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, ["text/plain"]),
        ({"is_html": True}, ["text/plain", "text/html"]),
        ({"template": "Default", "is_html": True}, ["text/plain"]),
        ({"template": "Modern", "is_html": False}, ["text/plain", "text/html"]),
        ({"body_template": "<p>{Message}</p>"}, ["text/plain"]),
        ({"body_template": "<p>{Message}</p>", "is_html": True}, ["text/plain", "text/html"]),
        ({"body_template": "<p>{Message}</p>", "is_html": True, "template": "Default"}, ["text/plain"]),
    ],
)
@pytest.mark.parametrize("attached", [0, 1, 2])
def test_which_parts_a_message_has(given: dict[str, Any], kinds: list[str], attached: int) -> None:
    file = Attachment("a.pdf", "application/pdf", "YQ==", 1)
    part = composed(**given, attachments=(file,) * attached)
    assert [leaf.content_type for leaf in part.leaves()] == kinds + ["application/pdf"] * attached
    body = part.parts[0] if attached else part
    assert body.content_type == ("multipart/alternative" if len(kinds) == 2 else "text/plain")
    if attached:
        assert part.content_type == "multipart/mixed"


def test_the_template_beats_the_client_s_body() -> None:
    given = {"template": "Default", "body_template": "mine", "username": "Ada"}
    assert "mine" not in text_of(composed(**given))


def test_an_empty_body_template_is_none() -> None:
    assert "Hello!" in text_of(composed(body_template=""))


def test_a_plain_body_is_not_escaped_and_an_html_body_is() -> None:
    given: dict[str, Any] = {"message": "<b>&\n", "body_template": "[{Message}]"}
    assert text_of(composed(**given)) == "[<b>&\n]"
    assert "[&lt;b&gt;&amp;<br>]" in html_of(composed(**given, is_html=True))


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "data:text/html,x", " JAVASCRIPT:x", "java\nscript:x", '"onx="']
)
def test_a_value_in_a_link_of_the_client_s_template_cannot_act(value: str) -> None:
    part = composed(body_template='<a href="{Site}">site</a>', is_html=True, custom_fields={"Site": value})
    assert "<a>site</a>" in html_of(part)


def test_a_good_value_in_a_link_stays() -> None:
    part = composed(
        body_template="<a href='{Site}'>site</a>", is_html=True, custom_fields={"Site": "https://x.test/?a&b"}
    )
    assert '<a href="https://x.test/?a&amp;b">site</a>' in html_of(part)


def test_a_trusted_caller_s_html_is_sent_as_given_with_its_values_escaped() -> None:
    html = '<style>p{color:red}</style>\n<img src="https://x.test/logo.png"><p onclick="x">{Message}</p>'
    content = content_of(body_template=html, is_html=True, message="<script>\n", allows_raw_html=True)
    part = read_message(content)
    assert html_of(part) == html.replace("{Message}", "&lt;script&gt;<br>")
    assert text_of(part) == "<script>\n"


@pytest.mark.parametrize("recipient", ["box@example.org\r\nBcc: evil@x.test", "a@x.test, b@x.test", "box"])
def test_a_recipient_that_is_no_single_address_is_refused(recipient: str) -> None:
    with pytest.raises(ValueError, match="address"):
        COMPOSER.compose(
            request(), email_id="A3F2B1C9", created_at=NOW, to=[recipient], message_id_domain="example.org"
        )


def test_everybody_is_shown_but_the_blind_copies() -> None:
    message = COMPOSER.compose(
        request(bcc=("hidden@x.test",)),
        email_id="A3F2B1C9",
        created_at=NOW,
        to=["a@x.test", "b@bücher.example"],
        cc=["c@x.test"],
        message_id_domain="example.org",
    )
    part = read_message(message.content)
    assert read_addresses(part["To"]) == [("", "a@x.test"), ("", "b@xn--bcher-kva.example")]
    assert read_addresses(part["Cc"]) == [("", "c@x.test")]
    assert part.names[:3] == ["To", "Cc", "Reply-To"]
    assert b"hidden" not in message.content
    assert "Cc" not in composed().names


def test_replies_go_where_a_backend_says() -> None:
    part = composed(username="Ada", email="ada@example.com", reply_to=("desk@bücher.example",))
    assert part["Reply-To"] == "desk@xn--bcher-kva.example"
    several = ("desk@bücher.example", "ada@example.com")
    assert read_addresses(composed(reply_to=several)["Reply-To"]) == [
        ("", "desk@xn--bcher-kva.example"),
        ("", "ada@example.com"),
    ]


def refused(limit: int = 1024 * 1024, **given: Any) -> dict[str, list[str]]:
    with pytest.raises(RequestInvalid) as refusal:
        Composer(TEMPLATES, MessageLimits(rendered_body=limit)).check(request(**given))
    return refusal.value.errors


def test_check_passes_what_compose_can_make() -> None:
    for given in ({}, {"template": "Modern"}, {"body_template": "{Message}"}, {"is_html": True}):
        COMPOSER.check(request(**given))
    COMPOSER.check(request(message="x" * 200_000, template="Modern"))
    COMPOSER.check(request(message="x" * 1000, body_template="{Message}" * 1048))


def test_a_short_template_that_repeats_a_long_message_is_refused_before_it_is_built() -> None:
    errors = refused(message="x" * 200_000, body_template="{Message}" * 20_000)
    assert errors == {"EmailTemplate": ["The EmailTemplate field makes a body of more than 1048576 bytes."]}


def test_the_limit_of_a_body_is_exact_and_in_bytes() -> None:
    given = {"message": "ä" * 50, "body_template": "{Message}"}
    Composer(TEMPLATES, MessageLimits(rendered_body=100)).check(request(**given))
    assert refused(99, **given).keys() == {"EmailTemplate"}
    # Escaped and with its line breaks a message takes more room.
    Composer(TEMPLATES, MessageLimits(rendered_body=100)).check(request(message='"' * 25, body_template="{Message}"))
    assert refused(100, message='"' * 25, body_template="{Message}", is_html=True).keys() == {"EmailTemplate"}


@pytest.mark.parametrize("template", [None, "Default", "Modern"])
@pytest.mark.parametrize(
    "given",
    [
        {"message": '"' * 200_000, "custom_fields": {"key": "x" * 1_000_000}},
        {"message": "x", "custom_fields": {"key": "'" * 1_048_577}},
        {"message": "x" * 1_048_577},
    ],
)
def test_a_designed_body_has_the_same_limit(template: str | None, given: dict[str, Any]) -> None:
    assert refused(template=template, **given).keys() == {"Message"}


def test_a_designed_body_between_the_bounds_is_measured() -> None:
    given = {"template": "Modern", "message": "x" * 10_000}
    size = max(len(part.encode()) for part in (text_of(composed(**given)), html_of(composed(**given))))
    Composer(TEMPLATES, MessageLimits(rendered_body=size + 100)).check(request(**given))
    assert refused(size - 100, **given).keys() == {"Message"}


def test_an_address_that_cannot_stand_in_a_header_is_refused_before_anything_is_recorded() -> None:
    assert refused(email='"a"@x.test').keys() == {"Email"}


def test_every_bad_address_and_header_of_a_backend_is_named() -> None:
    bad = '"a"@x.test'
    errors = refused(
        to=("a@x.test", bad),
        cc=(bad,),
        bcc=("b@x.test", "c@x.test", bad),
        reply_to=(bad,),
        headers={"Bcc": "a", "X-A": "b"},
    )
    assert errors.keys() == {"To[1]", "Cc[0]", "Bcc[2]", "ReplyTo", "Headers.Bcc"}
    assert errors["To[1]"] == ["The To[1] field is not a valid e-mail address."]
    COMPOSER.check(request(to=("a@x.test",), cc=("b@x.test",), reply_to=("c@x.test",), headers={"X-A": "b"}))
