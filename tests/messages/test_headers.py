"""Header fields: every row of message-safety that a value can bring, and what readable headers look like."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.headers import (
    address_field,
    address_list_field,
    ascii_address,
    cleaned,
    date_field,
    parameter,
    unstructured_field,
)

from .hostile import texts
from .wire_parser import read_addresses, read_fields, read_parameters, read_text


def value_of(written: str) -> str:
    """The one field that was written, unfolded."""
    assert written.endswith("\r\n")
    ((_, value),) = read_fields(written.encode("ascii").split(b"\r\n")[:-1], allows_utf8=False)
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain text", "plain text"),
        ("a\rb\nc\r\nd", "a b c  d"),
        ("a\0b\x01c\x0bd\x0ce\x1bf\x1fg\th", "a b c d e f g h"),
        ("a\x7fb\x80c\x85d\x9fe", "a b c d e"),
        ("a\u2028b\u2029c", "a b c"),
        ("a\u202eb\u202ac\u2066d\u2069e\u200ef\u200fg\u061ch", "a b c d e f g h"),
        ("a\ud800b\udfffc", "a b c"),
        ("=?utf-8?q?a=0D=0ABcc:_evil=40x.test?=", "= ?utf-8?q?a=0D=0ABcc:_evil=40x.test?="),
        ("==??=?", "== ??= ?"),
        ("=\0?", "= ?"),
        ("=\u202e?", "= ?"),
        ("naïve ✉️ 日本語 مرحبا", "naïve ✉️ 日本語 مرحبا"),
        ("zero\u200bwidth and joiners \u200d stay", "zero\u200bwidth and joiners \u200d stay"),
    ],
)
def test_what_could_break_a_header_becomes_a_space(value: str, expected: str) -> None:
    assert cleaned(value) == expected


@given(texts)
def test_cleaning_twice_is_cleaning_once(value: str) -> None:
    assert cleaned(cleaned(value)) == cleaned(value)
    assert "=?" not in cleaned(value)


@given(texts)
def test_an_unstructured_field_reads_back(value: str) -> None:
    field = unstructured_field("Subject", value)
    assert read_text(value_of(field)) == cleaned(value).strip()
    assert max(map(len, field.split("\r\n"))) <= 78


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Hello - [A3F2B1C9]", "Subject: Hello - [A3F2B1C9]\r\n"),
        ("Viele Grüsse an alle", "Subject: =?utf-8?q?Viele_Gr=C3=BCsse_an_alle?=\r\n"),
        ("日本", "Subject: =?utf-8?b?5pel5pys?=\r\n"),
        ("word " * 20, "Subject: " + "word " * 13 + "word\r\n word word word word word word\r\n"),
    ],
)
def test_a_subject_is_as_readable_as_it_can_be(value: str, expected: str) -> None:
    assert unstructured_field("Subject", value) == expected


def test_a_line_is_never_filled_with_white_space_alone() -> None:
    field = unstructured_field("Subject", "a" + " " * 300 + "b")
    assert read_text(value_of(field)) == "a" + " " * 300 + "b"


@pytest.mark.parametrize("character", ["é", "日", "😀"])
@pytest.mark.parametrize("ahead", range(12))
def test_no_character_is_split_between_encoded_words(character: str, ahead: int) -> None:
    value = "x" * ahead + character * 120
    # The strict reader decodes every word by itself.
    assert read_text(value_of(unstructured_field("Subject", value))) == value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "Reply-To: ada@example.com\r\n"),
        ("\r\n\u202e ", "Reply-To: ada@example.com\r\n"),
        ("Ada Lovelace", 'Reply-To: "Ada Lovelace" <ada@example.com>\r\n'),
        ('Ada "the\\first", <x@y.test>', 'Reply-To: "Ada \\"the\\\\first\\", <x@y.test>" <ada@example.com>\r\n'),
        ("Zoë", "Reply-To: =?utf-8?q?Zo=C3=AB?= <ada@example.com>\r\n"),
    ],
)
def test_a_display_name_is_quoted_or_encoded(name: str, expected: str) -> None:
    assert address_field("Reply-To", "ada@example.com", name) == expected


def test_a_long_name_with_a_comma_and_angle_brackets_stays_one_address() -> None:
    name = "A long display name, with a comma and <evil@x.test> in angle brackets, of 85 letters."
    assert len(name) == 85
    assert read_addresses(value_of(address_field("Reply-To", "ada@example.com", name))) == [(name, "ada@example.com")]


@given(texts)
def test_any_display_name_reads_back_with_one_address(name: str) -> None:
    field = address_field("Reply-To", "ada@example.com", name)
    assert read_addresses(value_of(field)) == [(cleaned(name).strip(), "ada@example.com")]
    assert max(map(len, field.split("\r\n"))) <= 78


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("o'neil+tag/x=y@localhost", "o'neil+tag/x=y@localhost"),
    ],
)
def test_a_domain_becomes_ascii_and_a_local_part_stays(address: str, expected: str) -> None:
    assert ascii_address(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a da@example.com",
        "ada@exa mple.com",
        "ada@example.com\r\nBcc: evil@x.test",
        "ada@example.com,evil@x.test",
        "<ada@example.com>",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        "ada@example.com>",
        "ada@a..b",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@evil@example.com",
        "=?utf-8?q?ada?=@example.com",
        "ada\u2028@example.com",
        "ada\u202e@example.com",
        "ada\ud800@example.com",
        "ada\xa0x@example.com",
        "ada@example.com;",
        "ada(comment)@example.com",
        "ada\\@example.com",
        "group:ada@example.com",
        "ada@ex_ample.com",
        "ada@é\u0378.example",
        "a" * 250 + "@example.com",
    ],
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|domain"):
        address_field("Reply-To", address)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plan.pdf", ';\r\n filename="plan.pdf"'),
        ("two words (1).pdf", ';\r\n filename="two words (1).pdf"'),
        ("Übersicht.pdf", ";\r\n filename*=utf-8''%C3%9Cbersicht.pdf"),
        ('a"b\\c.pdf', ";\r\n filename*=utf-8''a%22b%5Cc.pdf"),
        ("x\r\nX-Evil: 1", ';\r\n filename="x  X-Evil: 1"'),
    ],
)
def test_a_parameter_is_quoted_or_percent_encoded(value: str, expected: str) -> None:
    assert parameter("filename", value) == expected


@given(texts)
def test_any_parameter_reads_back(value: str) -> None:
    written = "Content-Disposition: attachment" + parameter("filename", value) + "\r\n"
    assert read_parameters(value_of(written)) == ("attachment", {"filename": cleaned(value)})
    assert max(map(len, written.split("\r\n"))) <= 78


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 12, 31)))  # noqa: DTZ001
def test_a_date_is_that_of_rfc_5322(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    written = value_of(date_field(moment))
    assert datetime.strptime(written, "%a, %d %b %Y %H:%M:%S %z") == moment


@pytest.mark.parametrize("count", [1, 2, 3, 49, 50])
def test_an_address_list_is_folded_behind_its_commas(count: int) -> None:
    addresses = [f"person-{number:03}@example.com" for number in range(count)]
    field = address_list_field("Cc", addresses)
    assert max(map(len, field.split("\r\n"))) <= 78
    assert read_addresses(value_of(field)) == [("", address) for address in addresses]


def test_an_address_that_no_line_has_room_for_stands_on_one_of_its_own() -> None:
    local, long = "x" * 64, "y" * 60
    addresses = [f"{local}@{long}.{long}.example", "ada@example.com", f"{local}@{long}.example"]
    assert address_list_field("To", addresses) == (
        f"To:\r\n {addresses[0]},\r\n ada@example.com,\r\n {addresses[2]}\r\n"
    )


@pytest.mark.parametrize(
    "addresses", [[], ["a@x.test, b@x.test"], ["a@x.test", "b@x.test\r\nBcc: c@x.test"], ["a@x.test", ""]]
)
def test_an_address_list_of_anything_else_is_refused(addresses: list[str]) -> None:
    with pytest.raises(ValueError, match="address"):
        address_list_field("To", addresses)
