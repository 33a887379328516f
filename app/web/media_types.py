"""Media ranges and content codings of a request as RFC 9110 reads them (sections 8.4 and 12.5.1)."""

import re
from collections.abc import Iterable, Mapping

from werkzeug.exceptions import UnsupportedMediaType

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_QUALITY = re.compile(r"[0-9]{1,3}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")


class ContentCodingUnsupported(UnsupportedMediaType):
    """The body has a content coding such as gzip, and none is decoded here: 415."""

    def __init__(self) -> None:
        super().__init__("The request body must not be compressed: no Content-Encoding but identity can be read here.")

    def get_headers(self, *arguments: object, **options: object) -> list[tuple[str, str]]:
        """With the codings that would be taken (RFC 9110, section 12.5.3)."""
        return [*super().get_headers(), ("Accept-Encoding", "identity")]


def require_no_content_coding(content_encoding: str) -> None:
    """Raises ContentCodingUnsupported for a `Content-Encoding` that changes the octets of the body."""
    if any(coding.strip().lower() not in ("", "identity") for coding in content_encoding.split(",")):
        raise ContentCodingUnsupported


def media_type(content_type: str) -> str:
    """`type/subtype` of a `Content-Type` in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def media_ranges(accept: str) -> dict[str, float]:
    """The media ranges of an `Accept` in lower case, with their qualities from 0 to 1.

    Parameters but `q` are left out: they say which JSON is wanted, and there is one. What is no media range is skipped,
    and a quality that cannot be read is 1.
    """
    ranges: dict[str, float] = {}
    for element in _QUOTED.sub("", accept).lower().split(","):
        media_range, *parameters = element.split(";")
        media_range = media_range.strip()
        if media_range == "*":
            # As Java's HttpURLConnection writes it.
            media_range = "*/*"
        if "/" in media_range:
            ranges[media_range] = max(_quality(parameters), ranges.get(media_range, 0.0))
    return ranges


def quality(ranges: Mapping[str, float], of: str) -> float:
    """How welcome the media type `of` is; the most specific range decides."""
    return next((ranges[each] for each in (of, f"{of.partition('/')[0]}/*", "*/*") if each in ranges), 0.0)


def accepts_json(accept: str) -> bool:
    """Whether a client that sent this `Accept` takes JSON; one that names no media range takes anything."""
    ranges = media_ranges(accept)
    return not ranges or quality(ranges, JSON) > 0 or ranges.get(PROBLEM_JSON, 0.0) > 0


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return min(float(value), 1.0) if _QUALITY.fullmatch(value := value.strip()) else 1.0
    return 1.0
