"""The octets of a submitted form as text, whichever encoding its page is in. Used by `bodies`."""

from collections.abc import Iterable

_CODECS = {
    **{f"windows-125{number}": f"cp125{number}" for number in range(9)},
    **{f"iso-8859-{number}": f"iso8859-{number}" for number in (*range(2, 9), 10, 13, 14, 15, 16)},
    # Browsers mean windows-1252 by it, and windows-1254 by the Turkish one.
    "iso-8859-1": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "windows-874": "cp874",
    "ibm866": "cp866",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "shift_jis": "cp932",
    "euc-jp": "euc-jp",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}
"""What pages call their encodings, of those that leave ASCII as it is."""

_C1 = "".join(map(chr, range(0x80, 0xA0)))
_WINDOWS_1252 = str.maketrans(
    {character: other for character in _C1 if (other := character.encode("latin-1").decode("cp1252", "ignore"))}
)
"""The five octets that stand for nothing in windows-1252 are control characters, as browsers read them."""


def decoder_for(octets: Iterable[bytes], named: str = "") -> str | None:
    """The codec that reads all of `octets`: UTF-8, else the one that the page names; None is windows-1252."""
    parts = list(octets)
    codec = _CODECS.get(named.strip().lower())
    return next((each for each in ("utf-8", codec) if each and _reads_all(each, parts)), None)


def decoded(octets: bytes, codec: str | None) -> str:
    """The text; every octet stands for something, so nothing is lost."""
    return octets.decode("latin-1").translate(_WINDOWS_1252) if codec is None else octets.decode(codec)


def _reads_all(codec: str, parts: list[bytes]) -> bool:
    try:
        for part in parts:
            part.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
