"""What the three kinds of bodies hold: fields and files in the order of the form. Used by `reading`."""

import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import hexdigits
from typing import Any

from werkzeug.exceptions import UnsupportedMediaType

from app.errors import SubmissionInvalid
from app.intake.charsets import decoded, decoder_for, own_decoder
from app.intake.multipart import MultipartInvalid, Part, parts_of
from app.model.form import Fault
from app.web.strict_json import JSONInvalid, TooManyValues, parse_object

LONGEST_VALUE = 200_000
"""Characters of one field."""
MOST_FIELDS = 2000
MOST_FILES = 100
"""Far more than an email takes; a body has not to be read further to know that these are too many."""
_MOST_OCTETS = 4 * (LONGEST_VALUE + 2)
"""Of a value: enough to see that it has too many characters, in any encoding. What comes behind is left out."""
_ROOM = 4 * 1024 * 1024
"""Bytes of text that any body may have, beside its length: a text with one emoji takes four per character."""
_LONGEST_PATH = 1000
"""Characters of the name of what is inside of objects: it is repeated for each field in there."""
_BLOCK = 64 * 1024
_ESCAPE = re.compile(b"%([0-9A-Fa-f]{2})")
_OCTETS = {f"{high}{low}".encode(): bytes.fromhex(high + low) for high in hexdigits for low in hexdigits}
"""What two hexadecimal digits stand for, in either case."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it came. `name` is the one of its field."""

    name: str
    file_name: str
    content_type: str | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in a body of `length` octets. A file is also a field, whose value is the name of the file."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[File, ...] = ()
    length: int = 0

    def first(self, name: str) -> str:
        """The first value of the field of that name, else empty."""
        return next((value for field, value in self.fields if field == name), "")


def contents_of(body: bytes, mimetype: str, parameters: dict[str, str]) -> Contents:
    """Read a body by its content type.

    Raises SubmissionInvalid (UNREADABLE, TOO_MANY_FIELDS, TOO_MANY_FILES), and UnsupportedMediaType for other types.
    """
    if mimetype == "application/x-www-form-urlencoded":
        return _urlencoded(body, parameters.get("charset", ""))
    if mimetype == "multipart/form-data":
        return _multipart(body, parameters.get("boundary", ""), parameters.get("charset", ""))
    if mimetype == "application/json":
        return _json(body)
    raise UnsupportedMediaType(
        "A form is sent as application/x-www-form-urlencoded, multipart/form-data or application/json."
    )


def _urlencoded(body: bytes, charset: str) -> Contents:
    """As the URL standard has it: `&` between, `+` is a space, a name without `=` has no value."""
    body = body.removeprefix(BOM_UTF8)
    # Counted first, so that a body of nothing but `&` is not taken apart.
    if body.count(b"&") > 10 * MOST_FIELDS:
        raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]})
    pairs: list[tuple[bytes, bytes]] = []
    end = -1
    while end < len(body):
        start, end = end + 1, body.find(b"&", end + 1)
        end = len(body) if end < 0 else end
        if start < end:
            equals = body.find(b"=", start, end)
            name_end = end if equals < 0 else equals
            pairs.append((_value(body, start, name_end), _value(body, name_end + 1, end)))
        if len(pairs) > MOST_FIELDS:
            break
    return Contents(_decoded(pairs, {}, charset, len(body)))


def _value(body: bytes, start: int, end: int) -> bytes:
    """Without its escapes, each of which stands for one octet."""
    return _shortened(unquoted(body[start : min(end, start + 3 * _MOST_OCTETS)]))


def _shortened(octets: bytes) -> bytes:
    """No more than is looked at; a character of UTF-8 that would be cut through is left out."""
    if len(octets) <= _MOST_OCTETS:
        return octets
    octets = octets[:_MOST_OCTETS]
    whole = octets[-4:].rstrip(_CONTINUATION).rstrip(_FIRST)
    return octets[: len(octets) - 4 + len(whole)]


_CONTINUATION, _FIRST = bytes(range(0x80, 0xC0)), bytes(range(0xC0, 0x100))


def unquoted(octets: bytes) -> bytes:
    """The octets that `%XX` and `+` stand for; a `%` without two digits is itself (URL standard, section 1.3).

    `urllib.parse.unquote_to_bytes` keeps an object for each `%`: 2 GB and 5 seconds for 10 MB of them. Here they are
    kept for one block at a time.
    """
    if b"%" not in octets:
        return octets.replace(b"+", b" ")
    blocks: list[bytes] = []
    start = 0
    while start < len(octets):
        end = start + _BLOCK
        # An escape is not cut through.
        sign = octets.rfind(b"%", end - 2, end)
        end = sign if sign > start and end < len(octets) else end
        # What stands between escapes, and their digits, by turns.
        pieces = _ESCAPE.split(octets[start:end].replace(b"+", b" "))
        pieces[1::2] = map(_OCTETS.__getitem__, pieces[1::2])
        blocks.append(b"".join(pieces))
        start = end
    return b"".join(blocks)


def _decoded(
    pairs: list[tuple[bytes, bytes]], charsets: Mapping[int, str], charset: str, length: int
) -> tuple[tuple[str, str], ...]:
    """All in one encoding, because a page has one; a field `_charset_` says which (HTML, section 4.10.18.5).

    `charsets` are those of values that name their own, by their places (RFC 7578, section 4.6); `charset` is the whole
    body's, as some programs say it.
    """
    if len(pairs) > MOST_FIELDS:
        raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]})
    own = {place: codec for place, charset in charsets.items() if (codec := own_decoder(pairs[place][1], charset))}
    named = next((value.decode("latin-1") for name, value in pairs if name == b"_charset_"), charset)
    page = decoder_for(
        (octets for place, pair in enumerate(pairs) for octets in (pair[:1] if place in own else pair)), named
    )
    room = length + _ROOM
    fields: list[tuple[str, str]] = []
    for place, (name, value) in enumerate(pairs):
        fields.append((decoded(name, page), decoded(value, own.get(place, page))))
        room -= sum(map(sys.getsizeof, fields[-1]))
        if room < 0:
            raise SubmissionInvalid({"": [Fault.TOO_LONG]})
    return tuple(fields)


def _multipart(body: bytes, boundary: str, charset: str) -> Contents:
    fields: list[tuple[bytes, bytes]] = []
    found: list[tuple[int, Part]] = []
    charsets: dict[int, str] = {}
    try:
        for part in parts_of(body, boundary):
            if part.file_name is None:
                if part.charset:
                    charsets[len(fields)] = part.charset
                fields.append((part.name, _shortened(part.content)))
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
    texts = _decoded(fields, charsets, charset, len(body))
    return Contents(texts, tuple(File(*texts[place], part.content_type, part.content) for place, part in found))


def _json(body: bytes) -> Contents:
    try:
        document = parse_object(body)
    except TooManyValues as error:
        raise SubmissionInvalid({"": [Fault.TOO_MANY_FIELDS]}) from error
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
