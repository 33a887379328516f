"""A server's reply as a value, and the cleaning of its text. Used by every module of this package."""

import re
from dataclasses import dataclass

DETAIL_LIMIT = 500
CLOSING = 421
"""The server hangs up (RFC 5321 section 3.8); it may say so in place of any reply."""

_ENHANCED_CODE = re.compile(rb"([245])\.(\d{1,3})\.(\d{1,3})(?=[\s]|$)")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class ReplyMalformed(Exception):
    """What the server sent cannot be a reply (RFC 5321 section 4.2), or is longer than anyone needs."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply: the code, and the text of its lines joined by a line feed."""

    code: int
    text: bytes

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def enhanced_code(self) -> str | None:
        """The status code of RFC 3463, when the text begins with one whose class is that of the reply."""
        found = _ENHANCED_CODE.match(self.text)
        if found is None or found[1] != b"%d" % (self.code // 100):
            return None
        return found[0].decode("ascii")

    @property
    def detail(self) -> str:
        """What an operator may read."""
        return cleaned(f"{self.code} {self.text.decode('utf-8', 'replace')}")


def cleaned(text: str) -> str:
    """The text without control characters, on one line, cut to what a record keeps."""
    return _UNPRINTABLE.sub(" ", text[: 2 * DETAIL_LIMIT]).strip()[:DETAIL_LIMIT]


def parse_line(line: bytes) -> tuple[int, bool, bytes]:
    """Code, whether it is the last line, and text of one line without its line end (RFC 5321 section 4.2.1)."""
    code, separator = line[:3], line[3:4]
    if len(code) != 3 or not code.isdigit() or not b"200" <= code <= b"599" or separator not in (b" ", b"-", b""):
        raise ReplyMalformed(f"not an SMTP reply: {cleaned(line.decode('utf-8', 'replace'))[:80]}")
    return int(code), separator != b"-", line[4:]
