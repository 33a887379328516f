"""Header fields that a backend adds: which are allowed, and how they look on the wire."""

import pytest

from app.messages.extra_fields import extra_fields, header_faults

from .composing import composed, content_of
from .wire_parser import read_text

NAME = "The name of a header must have 1 to 76 visible ASCII characters, and no colon."
ALLOWED = "The Headers field allows X-*, List-*, In-Reply-To, References and Auto-Submitted only."


@pytest.mark.parametrize(
    "name", ["X-Note", "x-note", "X-" + "n" * 74, "List-Unsubscribe", "LIST-ID", "In-Reply-To", "references"]
)
def test_an_allowed_header_has_no_fault(name: str) -> None:
    assert header_faults({name: "<1@x.test>"}) == {}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", NAME),
        ("X-A:", NAME),
        ("X A", NAME),
        ("X-A\r\nBcc", NAME),
        ("X-A\n", NAME),
        ("X-É", NAME),
        ("X-" + "n" * 75, NAME),
        ("X-", ALLOWED),
        ("List-", ALLOWED),
        ("X", ALLOWED),
        ("Bcc", ALLOWED),
        ("to", ALLOWED),
        ("From", ALLOWED),
        ("Sender", ALLOWED),
        ("Subject", ALLOWED),
        ("Message-ID", ALLOWED),
        ("Content-Type", ALLOWED),
        ("Resent-To", ALLOWED),
        ("Return-Path", ALLOWED),
        ("My-X-A", ALLOWED),
        ("References2", ALLOWED),
        ("X-Email-Id", "The header X-Email-Id is written by the service."),
        ("x-PRIORITY", "The header x-PRIORITY is written by the service."),
        ("X-MSMail-Priority", "The header X-MSMail-Priority is written by the service."),
    ],
)
def test_any_other_name_is_refused_and_never_written(name: str, sentence: str) -> None:
    assert header_faults({name: "a"}) == {name: sentence}
    with pytest.raises(ValueError, match="header"):
        extra_fields({name: "a"})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("X-A", "", "The Headers.X-A field must not be blank."),
        ("X-A", " \t", "The Headers.X-A field must not be blank."),
        ("X-A", "x" * 999, "The Headers.X-A field must be a string with a maximum length of 998."),
        ("X-A", "a\r\nBcc: b@x.test", "The Headers.X-A field must not contain line breaks or control characters."),
        ("X-A", "a\tb", "The Headers.X-A field must not contain line breaks or control characters."),
        ("X-A", "a\x85b", "The Headers.X-A field must not contain line breaks or control characters."),
        ("X-A", "a\u2028b", "The Headers.X-A field must not contain line breaks or control characters."),
        ("X-A", "a\0b", "The Headers.X-A field must not contain line breaks or control characters."),
        ("Auto-Submitted", "auto-replied", "The Headers.Auto-Submitted field must be no or auto-generated."),
        ("auto-submitted", "no; x=y", "The Headers.auto-submitted field must be no or auto-generated."),
        ("References", "<é@x.test>", "The Headers.References field must be written in ASCII."),
        ("List-Id", "=?utf-8?q?a?=", "The Headers.List-Id field must not contain =?."),
        (
            "List-Help",
            "<" + "x" * 997,
            "The Headers.List-Help field is too long for one line and has no space to fold it at.",
        ),
    ],
)
def test_a_value_that_cannot_be_written_has_a_sentence(name: str, value: str, sentence: str) -> None:
    assert header_faults({name: value}) == {name: sentence}


def test_one_name_in_two_spellings_is_refused() -> None:
    assert header_faults({"X-A": "1", "x-a": "2"}) == {"x-a": "The header x-a is given more than once."}


def test_all_faults_are_said_at_once() -> None:
    assert header_faults({"Bcc": "a", "X-B": "\n", "X-C": "fine"}).keys() == {"Bcc", "X-B"}


def test_extra_fields_stand_behind_the_email_s_id_in_their_order() -> None:
    names = composed(headers={"X-Zebra": "1", "References": "<1@x.test>", "X-Ant": "2"}).names
    start = names.index("X-Email-Id")
    assert names[start : start + 5] == ["X-Email-Id", "X-Zebra", "References", "X-Ant", "MIME-Version"]


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("X-Note", "plain", "X-Note: plain"),
        ("X-Note", "a naïve note", "X-Note: =?utf-8?q?a_na=C3=AFve_note?="),
        ("X-" + "n" * 50, "a naïve note", "X-" + "n" * 50 + ":\r\n =?utf-8?q?a_na=C3=AFve_note?="),
        ("X-Note", "=?utf-8?q?a?=", "X-Note: = ?utf-8?q?a?="),
        ("References", "<1@x.test> <2@x.test>", "References: <1@x.test> <2@x.test>"),
        (
            "References",
            "<" + "1" * 40 + "@x.test> <" + "2" * 40 + "@x.test>",
            "References: <" + "1" * 40 + "@x.test>\r\n <" + "2" * 40 + "@x.test>",
        ),
        ("List-Help", "<https://x.test/?" + "u" * 80 + ">", "List-Help:\r\n <https://x.test/?" + "u" * 80 + ">"),
        ("List-Id", '"A  list" <list.x.test>', 'List-Id: "A  list" <list.x.test>'),
    ],
)
def test_how_a_field_is_written(name: str, value: str, written: str) -> None:
    assert f"\r\n{written}\r\n".encode() in content_of(headers={name: value})


@pytest.mark.parametrize("length", range(3, 77))
def test_a_name_of_any_length_leaves_room_for_its_value(length: int) -> None:
    name = ("X-" + "n" * 74)[:length]
    for value in ("é" * 200, "word " * 60, "w" * 400):
        field = extra_fields({name: value})
        assert max(map(len, field.split("\r\n"))) <= 78
        assert read_text(composed(headers={name: value})[name]) == value.strip()


@pytest.mark.parametrize("value", ["<1@x.test>\r\nBcc: b@x.test", "é", "=?", "x" * 998])
def test_a_structured_value_that_came_past_the_validation_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        extra_fields({"References": value})
