"""JSON read strictly: what two parsers could read in two ways is refused, never guessed (RFC 8259, section 4 and 8).

Memory follows the body: values are counted before any is made, and long texts are decoded one by one, because Python
keeps a text with one emoji in four bytes per character.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from math import isfinite
from typing import Any, Never

MOST_VALUES = 10_000
"""Objects, arrays and what is in them."""
_MAX_DEPTH = 32
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG = 64 * 1024
_LONG_TEXT = 4096
"""Bytes of a text that is decoded by itself where the body is long."""
_ROOM = 4 * 1024 * 1024
"""Bytes of wide text that any body may have, beside twice its length."""
_CONTINUATION = bytes(range(0x80, 0xC0))
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
_TWO_BYTES = re.compile(rb"[\xc4-\xef]|\\u(?!00)")
_CONTROL = re.compile(rb"[\x00-\x1f]")


class JSONInvalid(ValueError):
    """The text is not JSON as this service takes it; the message is a sentence for the client."""


class TooManyValues(JSONInvalid):
    """More than MOST_VALUES objects, arrays, texts and numbers."""

    def __init__(self) -> None:
        super().__init__(f"The request body has more than {MOST_VALUES} values.")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises JSONInvalid for anything but UTF-8, anything but an object at the top, nesting over 32 levels, NaN or
    Infinity, a number that only infinity could stand for, a property given twice, a lone surrogate, and more values or
    more text than memory for a few bodies of this length would hold (`TooManyValues` for the former).
    """
    if body.startswith(BOM_UTF8):
        # No part of the text (RFC 8259, section 8.1).
        body = body[len(BOM_UTF8) :]
    _check_number_of_values(body)
    texts: Iterator[str] | None = None
    if len(body) > _LONG and not (body.isascii() and b"\\u" not in body):
        body, texts = _without_long_texts(body)
    try:
        text = body.decode("utf-8")
        # Where the caller did not keep it, a large body is gone before its parts are made.
        del body
    except UnicodeDecodeError as error:
        where = "" if texts else f" at byte {error.start}"
        raise JSONInvalid(f"The request body is not valid UTF-8{where}.") from error
    if not text.strip():
        raise JSONInvalid("A non-empty request body is required.")
    constant = _refuse_constant if texts is None else lambda _: next(texts)
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise JSONInvalid(f"The request body is not valid JSON ({error.msg} at {where}).") from error
    except RecursionError as error:
        raise JSONInvalid(f"The request body is nested deeper than {_MAX_DEPTH} levels.") from error
    except JSONInvalid:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise JSONInvalid("The request body has a number that is too long.") from error
    if not isinstance(document, dict):
        raise JSONInvalid("The request body must be a JSON object.")
    if _may_be_deep(text) and _is_deeper_than(document, _MAX_DEPTH):
        raise JSONInvalid(f"The request body is nested deeper than {_MAX_DEPTH} levels.")
    if (texts is not None or _has_surrogate_escape(text)) and _has_lone_surrogate(document):
        raise JSONInvalid("The request body has a lone surrogate (\\ud800 to \\udfff), which is no character.")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    properties = dict(pairs)
    if len(properties) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise JSONInvalid(f"The property {_shown(twice)} is given more than once.")
    return properties


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise JSONInvalid("The request body has a number that is too large.")
    return number


def _refuse_constant(name: str) -> Never:
    raise JSONInvalid(f"{name} is not a JSON value.")


def _may_be_deep(text: str) -> bool:
    """Counting brackets is cheap and tells almost always that the walk is not needed.

    In 33 MB of one attached file it takes 20 ms, and the walk nothing.
    """
    return len(text) > _LONG or text.count("{") + text.count("[") > _MAX_DEPTH


def _has_surrogate_escape(text: str) -> bool:
    """Whether one of a pair is written as an escape; a search between the first backslash and the last.

    Those two are found at once, also around an attached file, which has none.
    """
    first = text.find("\\")
    return first >= 0 and _SURROGATE_ESCAPE.search(text, first, text.rfind("\\") + len(r"\uDXXX")) is not None


def _is_deeper_than(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isascii() and _SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(map(_has_lone_surrogate, value)) or any(map(_has_lone_surrogate, value.values()))
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


def _check_number_of_values(body: bytes) -> None:
    """Raises JSONInvalid. Commas and brackets are at least as many as values; only where that is too many, and some
    may be in texts, it is looked at more closely.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") < MOST_VALUES:
        return
    outside = _outside_of_texts(body, _texts(body)).translate(None, b" \t\r\n")
    containers = sum(outside.count(each) for each in (b"[", b"{")) - outside.count(b"[]") - outside.count(b"{}")
    if 1 + outside.count(b",") + containers > MOST_VALUES:
        raise TooManyValues


def _texts(body: bytes) -> list[tuple[int, int]]:
    """Where each text begins and ends, between its quotes. Raises JSONInvalid where there are too many."""
    if b"\\" in body:
        # Of the same length, with no quote left that is none.
        body = body.replace(rb"\\", b"__").replace(rb"\"", b"__")
    # Each value can have a name.
    if body.count(b'"') > 4 * MOST_VALUES:
        raise TooManyValues
    texts: list[tuple[int, int]] = []
    position = 0
    while start := body.find(b'"', position) + 1:
        end = body.find(b'"', start)
        if end < 0:
            break
        texts.append((start, end))
        position = end + 1
    return texts


def _outside_of_texts(body: bytes, texts: list[tuple[int, int]]) -> bytes:
    """Everything else, with a quote in place of each text."""
    starts = [0, *(end + 1 for _, end in texts)]
    ends = [*(start - 1 for start, _ in texts), len(body)]
    return b'"'.join(body[start:end] for start, end in zip(starts, ends, strict=True))


def _without_long_texts(body: bytes) -> tuple[bytes, Iterator[str]]:
    """The body with `NaN` in place of each long text, and those texts in order.

    NaN is no JSON, so none of the client's is left by then, and the parser asks what it stands for. Raises JSONInvalid.
    """
    texts = _texts(body)
    outside = _outside_of_texts(body, texts)
    for name in ("NaN", "Infinity"):
        if name.encode() in outside:
            _refuse_constant(name)
    del outside
    room = 2 * len(body) + _ROOM
    pieces: list[bytes] = []
    long: list[str] = []
    position = 0
    for start, end in texts:
        if end - start > _LONG_TEXT:
            if body[end + 1 : end + 100].lstrip().startswith(b":"):
                raise JSONInvalid("The request body has a property whose name is too long.")
            room -= _size_as_text(body[start:end], room)
            long.append(_decoded(body, start, end))
            pieces += (body[position : start - 1], b"NaN")
            position = end + 1
    pieces.append(body[position:])
    short = b"".join(pieces)
    _size_as_text(short, room)
    return short, iter(long)


def _size_as_text(octets: bytes, room: int) -> int:
    """Bytes that Python takes for it, twice where they are wide: before and after its escapes are read."""
    if octets.isascii() and b"\\u" not in octets:
        return 0
    width = 4 if _FOUR_BYTES.search(octets) else 2 if _TWO_BYTES.search(octets) else 0
    size = 2 * width * (len(octets.translate(None, _CONTINUATION)) - 5 * octets.count(b"\\u"))
    if size > room:
        raise JSONInvalid("The request body has more text than this service takes.")
    return size


def _decoded(body: bytes, start: int, end: int) -> str:
    """One text. Raises JSONInvalid."""
    try:
        if body.find(b"\\", start, end) < 0 and _CONTROL.search(body, start, end) is None:
            return str(memoryview(body)[start:end], "utf-8")
        text: str = json.loads(str(memoryview(body)[start - 1 : end + 1], "utf-8"))
    except json.JSONDecodeError as error:
        raise JSONInvalid(f"The request body is not valid JSON ({error.msg} in a long text).") from error
    except UnicodeDecodeError as error:
        raise JSONInvalid(f"The request body is not valid UTF-8 at byte {start + error.start}.") from error
    return text


def _shown(name: str) -> str:
    return json.dumps(name[:100])
