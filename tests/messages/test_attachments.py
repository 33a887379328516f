"""Attachments: what is refused, with which property, and what is kept as it came."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.attachments import attachment_faults, attachment_of
from app.messages.content_types import ContentType
from app.model.attachment import Attachment
from app.settings import MessageLimits

LIMITS = MessageLimits()


def faults(name: str = "plan.pdf", content: str = "aGVsbG8=", content_type: str | None = None) -> dict[str, str]:
    return attachment_faults(file_name=name, base64_content=content, content_type=content_type, limits=LIMITS)


def read(name: str = "plan.pdf", content: str = "aGVsbG8=", content_type: str | None = None) -> Attachment:
    """The attachment, which must be a good one."""
    assert faults(name, content, content_type) == {}
    return attachment_of(file_name=name, base64_content=content, content_type=content_type)


def refused(**given: str) -> set[str]:
    """The properties that are wrong."""
    found = faults(**given)
    assert found
    assert all(sentence.endswith((".", ";")) for sentence in found.values())
    return set(found)


def test_a_good_attachment_is_kept_as_it_came() -> None:
    assert read("Übersicht (2).pdf") == Attachment("Übersicht (2).pdf", "application/pdf", "aGVsbG8=", 5)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u202e",
        "\u2028",
        ".",
        "..",
        " .. ",
        "a\rb.txt",
        "a\nb.txt",
        "a\tb.txt",
        "a\0b.txt",
        "a\x1bb.txt",
        "a\x7fb.txt",
        "a\x85b.txt",
        "a\x9fb.txt",
        "dir/plan.pdf",
        "..\\plan.pdf",
        'a".pdf',
        "a<b.pdf",
        "a>b.pdf",
        "a|b.pdf",
        "C:plan.pdf",
        "a*.pdf",
        "a?.pdf",
        "a;b.pdf",
        "=?utf-8?q?a=0D=0AX-Evil:_1?=.pdf",
        "x" * 252 + ".pdf",
    ],
)
def test_a_bad_file_name_is_refused(name: str) -> None:
    assert refused(name=name) == {"FileName"}


@pytest.mark.parametrize(
    "name",
    [
        *(f"evil.{extension}" for extension in sorted(LIMITS.denied_extensions)),
        "EVIL.EXE",
        ".exe",
        "invoice.pdf.exe",
        "evil.exe.",
        "evil.exe ",
        "evil.exe. . .",
        "evil. exe",
        "evil.exe\u3000",
        "invoice\u202efdp.exe",
        "evil.e\u200bxe",
        "evil.ex\u00ade",
        "evil.exe\ufeff",
        "evil.exe\ufe0f",
        "evil.ｅｘｅ",
        "evil．exe",
        "evil․exe",
        "evil﹒exe",
        "evil.JＳ",
        "evil.js",
        "evil.\u202eexe",
        "evil.exe\u200e",
    ],
)
def test_the_last_real_extension_decides_the_deny_list(name: str) -> None:
    assert refused(name=name) == {"FileName"}


@pytest.mark.parametrize("name", ["exe", "evil.exe.txt", "com.example", "scr.png", "a.exe_", "js.map", "läuft.json"])
def test_a_name_that_only_looks_like_a_program_is_taken(name: str) -> None:
    assert read(name).file_name == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" plan.pdf ", "plan.pdf"),
        ("pl\u202ean.pdf", "pl an.pdf"),
        ("pl\u2028an.pdf", "pl an.pdf"),
        ("pl\ud800an.pdf", "pl an.pdf"),
        ("日本語.pdf", "日本語.pdf"),
        ("x" * 251 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_a_file_name_is_cleaned_like_a_header(name: str, expected: str) -> None:
    assert read(name).file_name == expected


@pytest.mark.parametrize(
    "content",
    [
        "a",
        "ab",
        "abc",
        "a===",
        "====",
        "=",
        "==",
        "ab=c",
        "ab==cdef",
        "abc=defg",
        "abcd====",
        "abcd=",
        "aGVs bG8=",
        "aGVsbG8=\n",
        "\naGVsbG8=",
        "aGVs\r\nbG8=",
        "aGVs\tbG8",
        "aGVsbG9=",
        "aGVsbGF=",
        "aGVsbB==",
        "ab/d_-==",
        "aGV-bG8_",
        "aGVsbG8*",
        "aGVs\0bG8",
        "äGVsbG8=",
        "ａGVsbG8",
        "aGVsbG8=\ud800",
        "data:text/plain;base64,aGVsbG8=",
        "A" * 262_143 + "\n",
        "A" * 262_144 + "A\nAA",
        "A" * 300_000 + "A=AA" + "A" * 300_000,
    ],
)
def test_base64_that_is_not_canonical_is_refused(content: str) -> None:
    assert refused(content=content) == {"Base64Content"}


@given(st.binary(max_size=300))
def test_any_octets_pass_with_their_size(octets: bytes) -> None:
    attachment = read(content=base64.b64encode(octets).decode())
    assert base64.b64decode(attachment.base64) == octets
    assert attachment.size == len(octets)


@given(st.text(alphabet="ABgw048/+=-_ \n", max_size=12))
def test_base64_is_taken_when_encoding_gives_it_back_and_only_then(text: str) -> None:
    try:
        is_canonical = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        is_canonical = False
    if is_canonical:
        assert read(content=text).size == len(base64.b64decode(text))
    else:
        assert refused(content=text) == {"Base64Content"}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 196_607, 196_608, 196_609, 5_000_000])
def test_sizes_around_the_slices_pass(size: int) -> None:
    assert read(content=base64.b64encode(b"\xfb" * size).decode()).size == size


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/plain", "text/plain"),
        ("Application/PDF", "application/pdf"),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ("image/svg+xml", "image/svg+xml"),
        ("multipart/mixed", "application/octet-stream"),
        ("Message/RFC822", "application/octet-stream"),
        ("message/partial", "application/octet-stream"),
        ('multipart/mixed; boundary="x"', "application/octet-stream"),
        ("text/plain; charset=utf-8", 'text/plain; charset="utf-8"'),
        ("text/plain;name=x", "text/plain"),
        ("text/plain ; CHARSET = UTF-8 ;", 'text/plain; charset="UTF-8"'),
        ("text/calendar; method=REQUEST; charset=utf-8", 'text/calendar; method="REQUEST"; charset="utf-8"'),
        (r'text/x; a="b; c=\"d\\"', r'text/x; a="b; c=\"d\\"'),
        (r'application/pdf; name="C:\plan.pdf"; x=""', 'application/pdf; x=""'),
        ("text/x" + "".join(f";p{number}=v" for number in range(10)), None),
    ],
)
def test_a_content_type_is_read_with_its_parameters(content_type: str, expected: str | None) -> None:
    given = read(content_type=content_type).content_type
    assert given == (expected or content_type.replace(";", "; ").replace("=v", '="v"'))
    assert read(content_type=given).content_type == given


@pytest.mark.parametrize(
    "content_type",
    [
        " ",
        "text",
        "text/",
        "/plain",
        "text/plain/x",
        "text/plain; charset",
        "text/plain; charset=",
        "text/plain; charset=a b",
        "text/plain; charset=utf-8; Charset=utf-8",
        "text/plain; name*=utf-8''evil.exe",
        "text/plain; name*0=evil.exe",
        "text/plain; a=b=c",
        "text/plain; a=b, c=d",
        'text/plain; a="b',
        'text/plain; a="b\\"',
        'text/plain; a="b" c=d',
        'text/plain; a="\r\n\r\nx"',
        'text/plain; a="ä"',
        'text/plain; a="\0"',
        'text/plain; a="=?utf-8?q?x?="',
        "text/x" + "".join(f";p{number}=v" for number in range(11)),
        "text/x; a=" + "b" * 1000,
        "text/plain\r\nX-Evil: 1",
        "text/plain\n",
        " text/plain",
        "text /plain",
        "text/pläin",
        "text/*",
        "*/*",
        "text/(plain)",
        "text/=?utf-8?q?x?=",
        "x" * 128 + "/plain",
        "-x/plain",
    ],
)
def test_any_other_content_type_is_refused(content_type: str) -> None:
    assert refused(content_type=content_type) == {"ContentType"}


@pytest.mark.parametrize("content_type", [None, ""])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plan.pdf", "application/pdf"),
        ("PHOTO.JPG", "image/jpeg"),
        ("notes.tar.gz", "application/gzip"),
        ("letter.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("README", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("mail.eml", "application/octet-stream"),
    ],
)
def test_a_missing_content_type_is_guessed_from_the_name(content_type: str | None, name: str, expected: str) -> None:
    assert read(name, content_type=content_type).content_type == expected


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        ("Grüße".encode(), "text/plain", 'text/plain; charset="utf-8"'),
        ("Grüße".encode(), None, 'text/plain; charset="utf-8"'),
        ("Grüße".encode(), "text/calendar; method=REQUEST", 'text/calendar; method="REQUEST"; charset="utf-8"'),
        ("Grüße".encode(), "text/plain; charset=koi8-r", 'text/plain; charset="koi8-r"'),
        ("Grüße".encode(), "application/xml", "application/xml"),
        (b"plain", "text/plain", "text/plain"),
        (b"", "text/plain", "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain", "text/plain"),
        ("Grüße".encode()[:3], "text/plain", "text/plain"),
        (b"a" * 196_607 + "€".encode() + b"a" * 196_607, "text/plain", 'text/plain; charset="utf-8"'),
        (b"a" * 196_607 + "€".encode() + b"\xff", "text/plain", "text/plain"),
    ],
)
def test_a_text_that_is_utf8_says_so(content: bytes, content_type: str | None, expected: str) -> None:
    read_ = read("notes.txt", base64.b64encode(content).decode(), content_type)
    assert read_.content_type == expected
    assert base64.b64decode(read_.base64) == content


def test_everything_wrong_is_named_at_once() -> None:
    assert refused(name="a\nb", content="*", content_type="x") == {"FileName", "Base64Content", "ContentType"}


def test_a_large_attachment_is_checked_fast() -> None:
    content = "QUJD" * (25_000_000 // 3)
    start = time.process_time()
    assert read(content=content).size == 25_000_000 // 3 * 3
    # About 60 ms; a check that decodes, or that walks in Python, takes many times this.
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain" + "".join(f"; p{number}=x" for number in range(10)),
        "text/plain; p=" + "x" * 986,
        'text/plain; p="' + "\\\\" * 492 + '"',
    ],
    ids=["most parameters", "longest", "longest with escapes"],
)
def test_the_largest_content_type_that_is_taken_can_be_written_with_a_charset(content_type: str) -> None:
    content = base64.b64encode("Köln".encode()).decode()
    assert attachment_faults(file_name="a.txt", base64_content=content, content_type=content_type, limits=LIMITS) == {}
    attachment = attachment_of(file_name="a.txt", base64_content=content, content_type=content_type)
    assert ContentType.read(attachment.content_type).parameters["charset"] == "utf-8"
