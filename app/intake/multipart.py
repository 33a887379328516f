"""A body of `multipart/form-data` (RFC 7578) in its parts, in order and octet for octet. Used by `bodies`.

The whole body is in memory already, bounded by the door; each octet is looked at a fixed number of times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_LONGEST_BOUNDARY = 200
_LONGEST_HEAD = 16 * 1024
"""Octets of a part's header fields; browsers write some hundred."""
_MOST_PARAMETERS = 10
_MOST_PARTS = 4000
"""Also those that hold nothing, which are no fields: each costs time."""


class MultipartInvalid(ValueError):
    """The body is not made of the parts that its content type promises."""


@dataclass(frozen=True, slots=True)
class Part:
    """`file_name` is None for a field; its content is then the field's value. `charset` is the content type's."""

    name: bytes
    file_name: bytes | None
    content_type: str | None
    charset: str
    content: bytes


def parts_of(body: bytes, boundary: str) -> Iterator[Part]:
    """The parts; raises MultipartInvalid where the body is cut off or something else."""
    if not boundary or len(boundary) > _LONGEST_BOUNDARY or not boundary.isascii():
        raise MultipartInvalid("no boundary")
    delimiter = b"\r\n--" + boundary.encode("ascii")
    # The first delimiter may stand at the very beginning, where no line ends.
    position = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if position < 2 and not body.startswith(delimiter[2:]):
        raise MultipartInvalid("no part")
    position += len(delimiter) - 2
    for _ in range(_MOST_PARTS):
        if body.startswith(b"--", position):
            return
        start = _line_end(body, position)
        end = body.find(delimiter, start - 2)
        if end < 0:
            raise MultipartInvalid("no end")
        yield _part(body, start, max(start, end))
        position = end + len(delimiter)
    raise MultipartInvalid("too many parts")


def _line_end(body: bytes, position: int) -> int:
    """Behind the line break that ends a delimiter; white space before it is padding (RFC 2046, section 5.1.1)."""
    end = body.find(b"\r\n", position, position + _LONGEST_BOUNDARY)
    if end < 0 or body[position:end].strip(b" \t"):
        raise MultipartInvalid("no line end behind a boundary")
    return end + 2


def _part(body: bytes, start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + _LONGEST_HEAD + 4))
    content_start = head_end + 4
    if head_end < 0:
        # Without content, some programs leave out the line break behind the empty line.
        head_end = content_start = end
        if not body.endswith(b"\r\n", start, end) or end - start > _LONGEST_HEAD:
            raise MultipartInvalid("a part without an end of its header")
    head = body[start:head_end]
    fields: dict[bytes, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        fields.setdefault(name.strip().lower(), value.strip())
    disposition, parameters = _parameters(fields.get(b"content-disposition", b""))
    if disposition != b"form-data" or b"name" not in parameters:
        raise MultipartInvalid("a part without a name")
    content_type = fields.get(b"content-type", b"")
    return Part(
        name=parameters[b"name"],
        file_name=_extended(parameters.get(b"filename*")) or parameters.get(b"filename"),
        content_type=content_type.decode("latin-1") or None,
        charset=_charset(content_type),
        content=body[content_start:end],
    )


def _charset(content_type: bytes) -> str:
    try:
        _, parameters = _parameters(content_type)
    except MultipartInvalid:
        return ""
    return parameters.get(b"charset", b"").decode("latin-1")


def _parameters(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The value before the first `;`, and the parameters behind it, of which the first of a name counts."""
    kind, _, rest = value.partition(b";")
    parameters: dict[bytes, bytes] = {}
    for _ in range(_MOST_PARAMETERS):
        if not rest.strip():
            return kind.strip().lower(), parameters
        name, _, rest = rest.partition(b"=")
        rest = rest.lstrip()
        text, rest = _quoted(rest[1:]) if rest.startswith(b'"') else _until_semicolon(rest)
        parameters.setdefault(name.strip().lower(), text)
    raise MultipartInvalid("too many parameters")


def _until_semicolon(rest: bytes) -> tuple[bytes, bytes]:
    text, _, rest = rest.partition(b";")
    return text.strip(), rest


def _quoted(rest: bytes) -> tuple[bytes, bytes]:
    """The text up to the closing quote, and what follows the next `;`.

    Browsers write a quote as `%22` and line breaks as `%0D` and `%0A` (HTML, section 4.10.21.8), other programs a
    backslash before the quote; any other backslash is itself, as in a path of Windows.
    """
    end = rest.replace(b'\\"', b"__").find(b'"')
    if end < 0:
        end = rest.rfind(b'"')
    text, rest = (rest[:end], rest[end + 1 :]) if end >= 0 else (rest, b"")
    for escaped, meant in ((b'\\"', b'"'), (b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n")):
        text = text.replace(escaped, meant)
    return text, rest.partition(b";")[2]


def _extended(value: bytes | None) -> bytes | None:
    """The octets of `UTF-8''percent-encoded` (RFC 8187)."""
    charset, _, text = (value or b"").partition(b"'")
    return unquote_to_bytes(text.partition(b"'")[2]) if charset.lower() == b"utf-8" else None
