"""JSON read strictly: what two parsers could read in two ways is refused, never guessed (RFC 8259, section 4 and 8)."""

import json
import re
from math import isfinite
from typing import Any, Never

_MAX_DEPTH = 32
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONG = 64 * 1024


class JSONInvalid(ValueError):
    """The text is not JSON as this service takes it; the message is a sentence for the client."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises JSONInvalid for anything but UTF-8, anything but an object at the top, nesting over 32 levels, NaN or
    Infinity, a number that only infinity could stand for, a property given twice, and a lone surrogate.
    """
    try:
        text = body.decode("utf-8")
        # Where the caller did not keep it, a large body is gone before its parts are made.
        del body
    except UnicodeDecodeError as error:
        raise JSONInvalid(f"The request body is not valid UTF-8 at byte {error.start}.") from error
    if text.startswith("\ufeff"):
        # A byte order mark, which is no part of the text (RFC 8259, section 8.1).
        text = text[1:]
    if not text.strip():
        raise JSONInvalid("A non-empty request body is required.")
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)
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
    if _has_surrogate_escape(text) and _has_lone_surrogate(document):
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


def _has_lone_surrogate(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _shown(name: str) -> str:
    return json.dumps(name[:100])
