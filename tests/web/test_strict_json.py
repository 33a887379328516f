"""Strict JSON: every way in which two parsers could disagree is refused with a sentence."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.strict_json import JSONInvalid, TooManyValues, parse_object

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "A non-empty request body is required."),
        (b"  \n", "A non-empty request body is required."),
        (b"{", "not valid JSON"),
        (b'{"a":1}x', "not valid JSON"),
        (b"'a'", "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":NaN}', "NaN is not a JSON value"),
        (b'{"a":Infinity}', "Infinity is not a JSON value"),
        (b'{"a":-Infinity}', "-Infinity is not a JSON value"),
        (b'{"a":1,"a":2}', 'The property "a" is given more than once'),
        (b'{"b":{"a":1,"a":2}}', 'The property "a" is given more than once'),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'{"a":"\xff"}', "not valid UTF-8 at byte 6"),
        ('{"a":"ä"}'.encode("utf-16"), "not valid UTF-8"),
        (b"\xef\xbb\xbf", "A non-empty request body is required."),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}', "not valid JSON"),
        (b'{"a":1e999999}', "number that is too large"),
        (b'{"a":[{"b":-1e400}]}', "number that is too large"),
        (b'{"a":' + b"9" * 400 + b".0}", "number that is too large"),
        (b'{"a":' + b"9" * 5000 + b"}", "number that is too long"),
        (b"[" * 9_000, "nested deeper than 32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested deeper than 32 levels"),
        (b'{"a":"\n"}', "not valid JSON"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(JSONInvalid, match=sentence.replace("(", r"\(")):
        parse_object(body)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_numbers_that_are_near_the_border_are_numbers() -> None:
    assert parse_object(b'{"a":1.5,"b":1.7976931348623157e308,"c":-0.0,"d":1e-999999}') == {
        "a": 1.5,
        "b": 1.7976931348623157e308,
        "c": -0.0,
        "d": 0.0,
    }


def test_nesting_of_32_levels_is_allowed() -> None:
    assert parse_object(b'{"a":' * 32 + b"1" + b"}" * 32)


@pytest.mark.parametrize("depth", [32, 33])
def test_a_large_body_may_be_as_deep_as_a_small_one(depth: int) -> None:
    body = b'{"file":"' + b"A" * 100_000 + b'","a":' + b'{"a":' * (depth - 1) + b"1" + b"}" * depth
    if depth <= 32:
        assert parse_object(body)
    else:
        with pytest.raises(JSONInvalid, match="nested deeper than 32 levels"):
            parse_object(body)


@pytest.mark.parametrize("before", ["", "\\n", "\\\\"])
@pytest.mark.parametrize("after", ["", "\\n", "x" * 20])
@pytest.mark.parametrize("escape", ["\\ud800", "\\uDFFF", "\\uDbfF"])
def test_a_lone_surrogate_is_found_wherever_it_is(before: str, escape: str, after: str) -> None:
    long = "A" * 1000
    for text in (before + escape + long + after, before + long + escape + after):
        with pytest.raises(JSONInvalid, match="lone surrogate"):
            parse_object(f'{{"a":"{text}"}}'.encode())


def test_a_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_object_comes_back_as_it_was(document: dict[str, object]) -> None:
    assert parse_object(json.dumps(document).encode()) == document


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(JSONInvalid):
        parse_object(body)


@pytest.mark.parametrize("number", [10_000, 10_001])
@pytest.mark.parametrize("piece", ["1", "{}", "[ ]", '"a,b[{"', '"\\\\"', '"\\""', "true"])
def test_ten_thousand_values_are_taken_and_no_more(number: int, piece: str) -> None:
    # The object, the array and what is in it.
    body = ('{"a":[' + " , ".join([piece] * (number - 2)) + "]}").encode()
    if number == 10_000:
        assert len(parse_object(body)["a"]) == number - 2
    else:
        with pytest.raises(TooManyValues, match="more than 10000 values"):
            parse_object(body)


def test_commas_and_brackets_in_texts_are_no_values() -> None:
    document = {"a": ",[{" * 20_000, "b": '"' * 9_000 + "\\" * 9_001, "c": [1, [], {}]}
    assert parse_object(json.dumps(document).encode()) == document


@given(st.lists(json_values, max_size=3), st.sampled_from(["🙂", "字", "ä", "a", "\\", '"', "\n"]), st.booleans())
def test_long_texts_are_read_like_short_ones(values: list[object], character: str, is_ascii: bool) -> None:
    document = {"before": values, "long": character * 5_000, "file": "A" * 70_000, "list": ["A" * 5_000, "🙂", values]}
    assert parse_object(json.dumps(document, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")) == document


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"A" * 70_000 + b"\xff", "not valid UTF-8 at byte 70016"),
        (b"A" * 70_000 + b"\\ud800", "lone surrogate"),
        (b"A" * 70_000 + b"\n", "Invalid control character"),
        (b"A" * 70_000 + b"\\x", "Invalid .escape"),
        (b'1","b":NaN,"c":"' + b"A" * 70_000, "NaN is not a JSON value"),
        (b'1","b":-Infinity,"c":"' + b"A" * 70_000, "Infinity is not a JSON value"),
        (b'1","' + b"n" * 70_000 + b'": "', "a property whose name is too long"),
        (b'1","a":"' + b"A" * 70_000, "given more than once"),
    ],
)
def test_what_is_wrong_beside_or_in_a_long_text_is_said(text: bytes, sentence: str) -> None:
    with pytest.raises(JSONInvalid, match=sentence):
        parse_object('{"🙂":"","a":"'.encode() + text + b'"}')
