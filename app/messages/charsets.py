"""Character sets that a text may be sent in, by the names that mail clients know (IANA). Used by `messages.mime`.

Python knows many more: codecs that are no character sets, that change ASCII on the way, or that nobody registered. A
text that asks for one of those goes in UTF-8, which every mail client reads.
"""

import codecs
import re
from functools import lru_cache

UTF_8 = "utf-8"

_MIME_NAMES = {
    "ascii": "us-ascii",
    "big5": "big5",
    "cp866": "ibm866",
    "cp874": "windows-874",
    "cp932": "windows-31j",
    "euc_jp": "euc-jp",
    "euc_kr": "euc-kr",
    "gb18030": "gb18030",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "iso2022_jp": "iso-2022-jp",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "mac-roman": "macintosh",
    "shift_jis": "shift_jis",
    "tis-620": "tis-620",
    **{f"cp125{number}": f"windows-125{number}" for number in range(9)},
    **{f"iso8859-{number}": f"iso-8859-{number}" for number in (*range(1, 11), *range(13, 17))},
}
"""Python's own name of a codec to the name on the wire. All of them leave ASCII as it is, line ends above all."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DECLARATION = b'<meta charset="utf-8">'


def fitted(text: str, charset: str) -> tuple[str, bytes]:
    """The name on the wire and the octets of `text`: in `charset` where all of it fits there, else in UTF-8."""
    name = charset if charset == UTF_8 else _mime_name(charset)
    if name != UTF_8:
        try:
            octets = text.encode(charset)
            # Some codecs write a character that they do not have as another one that looks alike.
            if octets.decode(charset) == text:
                return name, octets
        except UnicodeError:
            pass
    return UTF_8, _utf8(text)


def declared(html: bytes, name: str) -> bytes:
    """`html` saying of itself that it is in the character set `name`, where it says so at all."""
    return html if name == UTF_8 else html.replace(_DECLARATION, b'<meta charset="%b">' % name.encode("ascii"), 1)


@lru_cache(maxsize=256)
def _mime_name(charset: str) -> str:
    try:
        return _MIME_NAMES.get(codecs.lookup(charset).name, UTF_8)
    except (LookupError, ValueError):
        return UTF_8


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode("utf-8")
