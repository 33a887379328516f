"""What the three kinds of bodies hold: fields and files in the order of the form. Used by `reading`."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.exceptions import UnsupportedMediaType

from app.errors import SubmissionInvalid
from app.intake.charsets import decoded, decoder_for
from app.intake.multipart import MultipartInvalid, Part, parts_of
from app.model.form import Fault
from app.web.strict_json import JSONInvalid, parse_object

MOST_FIELDS = 1000
MOST_FILES = 100
"""Far more than an email takes; a body has not to be read further to know that these are too many."""
_LONGEST_PATH = 1000
"""Characters of the name of what is inside of objects: it is repeated for each field in there."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it came. `name` is the one of its field."""

    name: str
    file_name: str
    content_type: str | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in a body. A file is also a field, whose value is the name of the file."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[File, ...] = ()


def contents_of(body: bytes, mimetype: str, parameters: dict[str, str]) -> Contents:
    """Read a body by its content type.

    Raises SubmissionInvalid (UNREADABLE, TOO_MANY_FIELDS, TOO_MANY_FILES), and UnsupportedMediaType for other types.
    """
    if mimetype == "application/x-www-form-urlencoded":
        return _urlencoded(body)
    if mimetype == "multipart/form-data":
        return _multipart(body, parameters.get("boundary", ""))
    if mimetype == "application/json":
        return _json(body)
    raise UnsupportedMediaType(
        "A form is sent as application/x-www-form-urlencoded, multipart/form-data or application/json."
    )


def _urlencoded(body: bytes) -> Contents:
    """As the URL standard has it: `&` between, `+` is a space, a name without `=` has no value."""
    body = body.removeprefix(BOM_UTF8)
    # Counted first, so that a body of nothing but `&` is not taken apart.
    if body.count(b"&") > 10 * MOST_FIELDS:
        raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]})
    halves = [each.replace(b"+", b" ").partition(b"=") for each in body.split(b"&") if each]
    return Contents(_decoded([(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in halves]))


def _decoded(pairs: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """All in one encoding, because a page has one; a field `_charset_` says which (HTML, section 4.10.18.5)."""
    if len(pairs) > MOST_FIELDS:
        raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]})
    named = next((value.decode("latin-1") for name, value in pairs if name == b"_charset_"), "")
    codec = decoder_for((octets for pair in pairs for octets in pair), named)
    return tuple((decoded(name, codec), decoded(value, codec)) for name, value in pairs)


def _multipart(body: bytes, boundary: str) -> Contents:
    fields: list[tuple[bytes, bytes]] = []
    found: list[tuple[int, Part]] = []
    try:
        for part in parts_of(body, boundary):
            if part.file_name is None:
                fields.append((part.name, part.content))
            elif part.file_name or part.content:
                # A file input where nothing was chosen sends a part with neither.
                found.append((len(fields), part))
                fields.append((part.name, part.file_name))
            if len(fields) > MOST_FIELDS:
                break
            if len(found) > MOST_FILES:
                raise SubmissionInvalid({part.name.decode("utf-8", "replace"): [Fault.TOO_MANY_FILES]})
    except MultipartInvalid as error:
        raise SubmissionInvalid({"": [Fault.UNREADABLE]}) from error
    texts = _decoded(fields)
    return Contents(texts, tuple(File(*texts[place], part.content_type, part.content) for place, part in found))


def _json(body: bytes) -> Contents:
    try:
        document = parse_object(body)
    except JSONInvalid as error:
        raise SubmissionInvalid({"": [Fault.UNREADABLE]}) from error
    fields: list[tuple[str, str]] = []
    for field in _flattened("", document):
        fields.append(field)
        if len(fields) > MOST_FIELDS:
            raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]})
    return Contents(tuple(fields))


def _flattened(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A list of texts is a repeated name; what is inside of objects gets names as `address.city`, `items[0].name`."""
    if len(name) > _LONGEST_PATH and isinstance(value, dict | list):
        raise SubmissionInvalid({"": [Fault.TOO_LONG]})
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flattened(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flattened(f"{name}[{index}]" if isinstance(inner, dict | list) else name, inner)
    elif value is not None:
        yield name, _text(value)


def _text(value: str | float | bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
