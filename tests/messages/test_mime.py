"""Parts: how a text is encoded, what a line of dots becomes, and how base64 is wrapped."""

import base64
import secrets
import time
import tracemalloc
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.mime import text_part
from app.model.attachment import Attachment

from .composing import composed, content_of, text_of
from .hostile import texts
from .wire_parser import read_part


def encoding_of(text: str) -> str:
    return text_part(text, "plain").fields.rpartition("Content-Transfer-Encoding: ")[2].strip()


def decoded(text: str) -> str:
    part = text_part(text, "plain")
    lines = [*part.fields.encode().split(b"\r\n")[:-1], b"", *part.body.split(b"\r\n")]
    return read_part(lines).content.decode("utf-8")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "7bit"),
        ("Hello\nworld\n", "7bit"),
        ("tab\tand trailing space \n", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("short\n" + "x" * 999 + "\nshort", "quoted-printable"),
        ("Grüße aus Zürich, wie geht es dir?", "quoted-printable"),
        ("日本語のメッセージです。", "base64"),
        ("a NUL \0 and an escape \x1b travel encoded, like every other control", "quoted-printable"),
        (".", "quoted-printable"),
        ("one\n.\ntwo", "quoted-printable"),
        ("one\n.two\n...", "7bit"),
        ("From the start", "quoted-printable"),
        ("one\nFrom two", "quoted-printable"),
        ("no From here\n >From there", "7bit"),
    ],
)
def test_a_text_is_encoded_only_where_it_must_be(text: str, encoding: str) -> None:
    assert encoding_of(text) == encoding
    assert decoded(text) == text.replace("\n", "\r\n")


@given(texts)
def test_any_text_arrives(text: str) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    assert decoded(text) == "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in expected)


@given(st.text(alphabet=" \t=x\né.\r", max_size=200))
def test_white_space_at_the_ends_of_lines_arrives(text: str) -> None:
    assert decoded("é" + text) == "é" + text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


@pytest.mark.parametrize("before", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("after", ["\n", "\r", "\r\n"])
def test_a_lone_dot_between_any_line_ends_is_body_text(before: str, after: str) -> None:
    content = content_of(message=f"one{before}.{after}MAIL FROM:<evil@x.test>", body_template="{Message}")
    # Not one of the nine is left on the wire for a server to take for the end, even without dot-stuffing.
    lines = content.split(b"\r\n")
    assert b"." not in lines
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert text_of(composed(message=f"one{before}.{after}two", body_template="{Message}")) == "one\n.\ntwo"


@pytest.mark.parametrize("length", range(66, 82))
@pytest.mark.parametrize("end", [" ", "\t", "  ", "é ", " \nx", "\t\n"])
def test_no_encoded_line_is_too_long_whatever_it_ends_with(length: int, end: str) -> None:
    """On some Python versions `b2a_qp` encodes the last space of a line that has no room for it."""
    text = "é" * 2 + "x" * length + end
    assert decoded(text) == text.replace("\n", "\r\n")


def attachment(octets: bytes) -> Attachment:
    return Attachment("a.bin", "application/octet-stream", base64.b64encode(octets).decode(), len(octets))


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 113, 114, 29_183, 29_184, 29_185, 58_367, 58_368, 58_369, 100_000])
def test_an_attachment_arrives_octet_for_octet(size: int) -> None:
    octets = secrets.token_bytes(size)
    part = composed(attachments=(attachment(octets), attachment(b"the next")))
    assert [leaf.content for leaf in part.leaves()[1:]] == [octets, b"the next"]


def test_a_boundary_occurs_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever could foresee the random part still could not place a delimiter in a text."""
    foreseen, fresh = "0" * 24, "1" * 24
    drawn = chain([foreseen], repeat(fresh))
    monkeypatch.setattr("app.messages.compose.secrets.token_hex", lambda _: next(drawn))
    message = f"--=_mixed_{foreseen}\r\nContent-Type: text/html\r\n\r\nevil\r\n--=_mixed_{foreseen}--"
    part = composed(message=message, body_template="{Message}", attachments=(attachment(b"x"),))
    assert part.parameters["boundary"] == f"=_mixed_{fresh}"
    assert text_of(part) == message.replace("\r\n", "\n")
    assert len(part.leaves()) == 2


def test_a_large_attachment_is_wrapped_fast_and_without_copies() -> None:
    size = 25_000_000
    large = attachment(bytes(size))
    start = time.process_time()
    content = content_of(attachments=(large,))
    # About 40 ms; decoding and encoding again takes more than three times this.
    assert time.process_time() - start < 1.5
    tracemalloc.start()
    try:
        del content
        tracemalloc.reset_peak()
        content_of(attachments=(large,))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(large.base64) + peak < 4 * size
