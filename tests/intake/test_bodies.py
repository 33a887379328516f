"""Bodies of the three kinds: text in any encoding, files octet for octet, and bodies that are something else."""

import json
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import UnsupportedMediaType

from app.errors import SubmissionInvalid
from app.intake import bodies as reader
from app.intake.bodies import LONGEST_VALUE, Contents, contents_of
from app.model.form import Fault

URLENCODED = "application/x-www-form-urlencoded"


def urlencoded(body: bytes) -> tuple[tuple[str, str], ...]:
    return contents_of(body, URLENCODED, {}).fields


def multipart(body: str | bytes, boundary: str = "b") -> Contents:
    octets = body.encode().replace(b"\n", b"\r\n") if isinstance(body, str) else body
    return contents_of(octets, "multipart/form-data", {"boundary": boundary})


def fault_of(body: bytes, mimetype: str, **parameters: str) -> dict[str, Any]:
    with pytest.raises(SubmissionInvalid) as refusal:
        contents_of(body, mimetype, parameters)
    return dict(refusal.value.errors)


def test_fields_come_in_order_and_as_often_as_they_were_sent() -> None:
    assert urlencoded(b"b=1&a=2&b=3&b=1") == (("b", "1"), ("a", "2"), ("b", "3"), ("b", "1"))


def test_odd_pieces_are_fields_too() -> None:
    assert urlencoded(b"&a&=v&x=1=2&%zz=%&;&") == (("a", ""), ("", "v"), ("x", "1=2"), ("%zz", "%"), (";", ""))


def test_hostile_names_and_values_arrive_as_they_are() -> None:
    pairs = [
        ("__proto__", "x"),
        ("constructor", "\x00\x1b"),
        ("email[]", "a\r\nBcc: b"),
        ("items[0][name]", "<b>"),
        ("", ""),
    ]
    assert urlencoded(urlencode(pairs).encode()) == tuple(pairs)


@pytest.mark.parametrize(
    ("octets", "named", "text"),
    [
        ("Grüße".encode(), "", "Grüße"),
        ("Grüße €".encode("cp1252"), "", "Grüße €"),
        ("Grüße €".encode("cp1252"), "iso-8859-1", "Grüße €"),
        ("teşekkürler".encode("cp1254"), "windows-1254", "teşekkürler"),
        ("teşekkürler".encode("cp1254"), "ISO-8859-9", "teşekkürler"),
        ("привет".encode("koi8-r"), "KOI8-R", "привет"),
        ("日本語".encode("cp932"), "Shift_JIS", "日本語"),
        ("Köln".encode(), "iso-8859-1", "KÃ¶ln"),
        ("Köln".encode(), "UTF8", "Köln"),
        ("привет".encode("cp1251"), "cp1251", "привет"),
        ("中文".encode("gb18030"), "gbk", "中文"),
        (b"\x81\x8d", "", "\x81\x8d"),
        (b"\xff", "utf-8", "ÿ"),
        (b"\xff", "utf-7", "ÿ"),
        (b"\xff", "idna", "ÿ"),
        (b"\xff", "../../etc/passwd", "ÿ"),
    ],
)
def test_text_in_any_encoding_is_read(octets: bytes, named: str, text: str) -> None:
    body = b"_charset_=" + quote_plus(named).encode() + b"&text=" + quote_plus(octets).encode()
    assert urlencoded(body) == (("_charset_", named), ("text", text))
    head = b'--b\r\nContent-Disposition: form-data; name="'
    parts = (
        head + b'_charset_"\r\n\r\n' + named.encode() + b"\r\n" + head + b'text"\r\n\r\n' + octets + b"\r\n--b--\r\n"
    )
    assert multipart(parts).fields == (("_charset_", named), ("text", text))


@pytest.mark.parametrize("body", [b"name=%CF%F0", b"name=\xcf\xf0"])
def test_the_encoding_of_a_whole_body_is_read_where_the_form_names_none(body: bytes) -> None:
    assert contents_of(body, URLENCODED, {"charset": "windows-1251"}).fields == (("name", "Пр"),)
    assert contents_of(body, URLENCODED, {"charset": "utf-8"}).fields == (("name", "Ïð"),)
    named = body + b"&_charset_=koi8-r"
    assert contents_of(named, URLENCODED, {"charset": "windows-1251"}).fields[0] == ("name", "оП")


@pytest.mark.parametrize(
    ("label", "octets", "text"),
    [
        ("text/plain; charset=ISO-8859-1", "Köln".encode("latin-1"), "Köln"),
        ('text/plain;charset="iso-8859-2"', "Łódź".encode("iso8859-2"), "Łódź"),
        ("text/plain; charset=utf-8", "Köln".encode(), "Köln"),
        ("text/plain; charset=UTF8", "Köln".encode(), "Köln"),
        ("text/plain; charset=latin1", "Köln".encode("latin-1"), "Köln"),
        ("text/plain; format=flowed; charset=windows-1252", "9 €".encode("cp1252"), "9 €"),
        ("application/json; charset=koi8-r", "привет".encode("koi8-r"), "привет"),
        # What is said and cannot be, or is said by default, is as good as nothing: the form's own encoding decides.
        ("text/plain; charset=us-ascii", "Köln".encode(), "Köln"),
        ("text/plain; charset=utf-8", "Köln".encode("latin-1"), "Köln"),
        ("text/plain; charset=no-such", "Köln".encode(), "Köln"),
        ("text/plain; " + "a=b; " * 20 + "charset=koi8-r", "Köln".encode(), "Köln"),
    ],
)
def test_a_part_in_an_encoding_of_its_own_is_read_in_that(label: str, octets: bytes, text: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n'
    own = head % "größe".encode() + f"Content-Type: {label}\r\n\r\n".encode() + octets + b"\r\n"
    other = head % b"other" + b"\r\n" + "Grüße".encode() + b"\r\n"
    fields = multipart(own + other + b"--b--\r\n").fields
    assert fields[0][1] == text
    if (label, octets) != ("text/plain; charset=utf-8", "Köln".encode("latin-1")):
        # The others are not read in it, nor are names.
        assert fields == (("größe", text), ("other", "Grüße"))


def test_one_field_that_is_not_utf8_decides_for_all_of_a_form() -> None:
    assert urlencoded(b"a=%C3%A9&b=%E9") == (("a", "Ã©"), ("b", "é"))


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_text_survives_urlencoding(pairs: list[tuple[str, str]]) -> None:
    pairs = [pair for pair in pairs if "\ud800" not in repr(pair)]
    assert urlencoded(urlencode(pairs).encode()) == tuple(pairs)


@given(st.binary(max_size=300), st.sampled_from([URLENCODED, "multipart/form-data", "application/json"]))
def test_any_octets_are_read_or_refused(body: bytes, mimetype: str) -> None:
    try:
        contents_of(body, mimetype, {"boundary": "b"})
    except SubmissionInvalid as error:
        assert error.errors  # noqa: PT017 - either is fine


_LINES = st.sampled_from(
    [
        "--b",
        "--b--",
        "",
        "Content-Disposition: form-data; name=a",
        'Content-Disposition: form-data; name="\\"; filename="',
        "x",
    ]
)


@given(st.lists(_LINES, max_size=12))
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    try:
        multipart("\n".join(lines))
    except SubmissionInvalid as error:
        assert dict(error.errors) == {"": (Fault.UNREADABLE,)}  # noqa: PT017 - either is fine


@given(st.lists(st.binary(), min_size=1, max_size=4))
def test_files_arrive_octet_for_octet(contents: list[bytes]) -> None:
    request = httpx.Request(
        "POST",
        "http://x",
        data={"a": "1"},
        files=[("f", (f"{number}.bin", content, "image/png")) for number, content in enumerate(contents)],
    )
    boundary = request.headers["Content-Type"].partition("boundary=")[2]
    read = multipart(request.read(), boundary)
    assert [file.content for file in read.files] == contents
    assert read.fields == (("a", "1"), *(("f", f"{number}.bin") for number in range(len(contents))))
    assert {file.content_type for file in read.files} == {"image/png"}


def test_parts_as_browsers_and_other_programs_write_them() -> None:
    read = multipart("""preamble
--b \t
content-disposition: Form-Data; name="say %22hi%22"

one
two
--b
Content-Disposition: form-data; filename="C:\\\\temp\\a\\"b.txt"; name=plain
Content-Type: text/plain; charset=utf-8
X-Other:
 folded

content
--b
Content-Disposition: form-data; name="umlaut"; filename="x"; filename*=UTF-8''%C3%BC.txt

--b
Content-Disposition: form-data; name="nothing chosen"; filename=""
Content-Type: application/octet-stream


--b--
epilogue""")
    assert read.fields == (
        ('say "hi"', "one\r\ntwo"),
        ("plain", 'C:\\\\temp\\a"b.txt'),
        ("umlaut", "ü.txt"),
    )
    assert [(file.name, file.content_type, file.content) for file in read.files] == [
        ("plain", "text/plain; charset=utf-8", b"content"),
        ("umlaut", None, b""),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "--b",
        "--b\n",
        "--b\nx",
        '--b\nContent-Disposition: form-data; name="a"\n\n1',
        "--b\n\nx\n--b--",
        '--b\nContent-Disposition: attachment; name="a"\n\n1\n--b--',
        "--bx\n\n--b--",
        "--b\nA: " + "x" * 20000 + "\n\n1\n--b--",
        "--b\nContent-Disposition: form-data" + "; a=b" * 20 + "\n\n1\n--b--",
    ],
)
def test_a_multipart_body_that_is_cut_off_or_something_else_is_unreadable(body: str) -> None:
    octets = body.encode().replace(b"\n", b"\r\n")
    assert fault_of(octets, "multipart/form-data", boundary="b") == {"": (Fault.UNREADABLE,)}


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ü"])
def test_a_boundary_that_is_none_is_unreadable(boundary: str) -> None:
    assert fault_of(b"", "multipart/form-data", boundary=boundary) == {"": (Fault.UNREADABLE,)}


def test_json_becomes_fields() -> None:
    document = {
        "text": "a",
        "number": 12.5,
        "whole": 10**20,
        "yes": True,
        "nothing": None,
        "list": ["a", 1, None, False],
        "nested": {"a": {"b": "c"}, "empty": {}, "none": []},
        "items": [{"name": "x"}, {"name": "y"}],
        "__proto__": {"polluted": "1"},
    }
    assert contents_of(json.dumps(document).encode(), "application/json", {}).fields == (
        ("text", "a"),
        ("number", "12.5"),
        ("whole", "100000000000000000000"),
        ("yes", "true"),
        ("list", "a"),
        ("list", "1"),
        ("list", "false"),
        ("nested.a.b", "c"),
        ("items[0].name", "x"),
        ("items[1].name", "y"),
        ("__proto__.polluted", "1"),
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"{", b'{"a": NaN}', b'{"a":1,"a":2}', b'{"a":"\\ud800"}', b"\xff{}"]
)
def test_what_is_no_json_object_is_unreadable(body: bytes) -> None:
    assert fault_of(body, "application/json") == {"": (Fault.UNREADABLE,)}


def test_a_number_that_is_too_large_to_be_kept_is_refused() -> None:
    assert fault_of(b'{"a":{"b":1e999}}', "application/json") == {"": (Fault.UNREADABLE,)}


def test_two_thousand_fields_are_taken_and_no_more() -> None:
    for count in (2000, 2001):
        names = [f"f{number}" for number in range(count)]
        part = '--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n1\r\n'
        bodies = [
            (urlencode([(name, "1") for name in names]).encode(), URLENCODED),
            ("".join(part % name for name in names).encode() + b"--b--", "multipart/form-data"),
            (json.dumps(dict.fromkeys(names, 1)).encode(), "application/json"),
        ]
        for body, mimetype in bodies:
            if count == 2000:
                assert contents_of(body, mimetype, {"boundary": "b"}).fields == tuple((name, "1") for name in names)
            else:
                assert fault_of(body, mimetype, boundary="b") == {"": (Fault.TOO_MANY_FIELDS,)}


@given(
    st.lists(
        st.sampled_from([*map(bytes, zip(range(256))), *[b"%", b"=", b"%41", b"%3D", b"%3d", b"%25", b"3D", b"2"] * 20])
    ),
    st.integers(3, 9),
)
def test_escapes_are_octets_wherever_a_block_ends(pieces: list[bytes], block: int) -> None:
    octets = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK", block)
        assert reader.unquoted(octets) == unquote_to_bytes(octets.replace(b"+", b" "))


@pytest.mark.parametrize("mimetype", [URLENCODED, "multipart/form-data"])
@pytest.mark.parametrize("character", ["a", "ä", "字", "🙂"])
def test_of_a_value_that_is_too_long_the_beginning_is_kept(mimetype: str, character: str) -> None:
    text = "x" + character * 1_000_000
    head = b'--b\r\nContent-Disposition: form-data; name="m"\r\n\r\n'
    body = b"m=" + text.encode() if mimetype == URLENCODED else head + text.encode() + b"\r\n--b--"
    ((_, value),) = contents_of(body, mimetype, {"boundary": "b"}).fields
    assert LONGEST_VALUE < len(value) < len(text)
    assert text.startswith(value)


def test_a_form_of_too_many_values_or_too_much_wide_text_is_refused() -> None:
    assert fault_of(b'{"a":[' + b"[]," * 20_000 + b"[]]}", "application/json") == {"": (Fault.TOO_MANY_FIELDS,)}
    wide = b"a=" + b"a" * 190_000 + "🙂".encode() + b"&"
    assert fault_of(wide * 20, URLENCODED) == {"": (Fault.TOO_LONG,)}


def test_a_body_of_separators_is_refused_without_taking_it_apart() -> None:
    assert fault_of(b"&" * 1_000_000, URLENCODED) == {"": (Fault.TOO_MANY_FIELDS,)}


def test_long_names_are_not_repeated_for_each_field_inside_of_them() -> None:
    within = dict.fromkeys(map(str, range(900)), 1)
    for document in ({"k" * 1001: within}, {"k" * 600: {"k" * 600: within}}, {"k" * 1001: [[1]] * 900}):
        assert fault_of(json.dumps(document).encode(), "application/json") == {"": (Fault.TOO_LONG,)}
    assert len(contents_of(json.dumps({"k" * 1000: within}).encode(), "application/json", {}).fields) == 900


def test_too_many_files_are_refused() -> None:
    part = '--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n1\r\n'
    assert fault_of((part * 101).encode() + b"--b--", "multipart/form-data", boundary="b") == {
        "f": (Fault.TOO_MANY_FILES,)
    }


@pytest.mark.parametrize("mimetype", ["", "text/plain", "application/xml", "multipart/mixed"])
def test_other_types_are_not_read(mimetype: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        contents_of(b"a=1", mimetype, {})


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="' + b'\\"' * 5_000_000,
        (b'--b\r\nContent-Disposition: form-data; name="' + b'\\"' * 8_000 + b'"\r\n\r\n\r\n') * 600,
        (b"--b\r\nContent-Disposition: form-data" + b";a=" * 5_000 + b"\r\n\r\n\r\n") * 600,
        b"--b\r\n" + b"\r\n--" * 2_500_000,
        b"--b" + b" " * 10_000_000,
        b"\r\n--" * 2_500_000,
    ],
    ids=["quotes", "quotes-in-parts", "parameters", "almost-boundaries", "padding", "no-boundary"],
)
def test_hostile_multipart_of_ten_megabytes_takes_no_time(body: bytes) -> None:
    try:
        multipart(body + b"--b--")
    except SubmissionInvalid as error:
        assert error.errors  # noqa: PT017 - either is fine
