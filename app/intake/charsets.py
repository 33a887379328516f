"""The octets of a submitted form as text, whichever encoding its page is in. Used by `bodies`."""

from collections.abc import Iterable, Sequence

_CODECS = {
    "utf8": "utf-8",
    **{f"windows125{number}": f"cp125{number}" for number in range(9)},
    **{f"cp125{number}": f"cp125{number}" for number in range(9)},
    **{f"iso8859{number}": f"iso8859-{number}" for number in (*range(2, 9), 10, 13, 14, 15, 16)},
    # Browsers mean windows-1252 by it, and windows-1254 by the Turkish one.
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "iso88599": "cp1254",
    "latin5": "cp1254",
    "windows874": "cp874",
    "ibm866": "cp866",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "macintosh": "mac-roman",
    "shiftjis": "cp932",
    "eucjp": "euc-jp",
    "euckr": "cp949",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}
"""What pages and programs call their encodings, without case and separators; of those that leave ASCII as it is.

ASCII is not among them: programs say it by default, and then send something else.
"""

_LONGEST_NAME = 40

_C1 = "".join(map(chr, range(0x80, 0xA0)))
_WINDOWS_1252 = str.maketrans(
    {character: other for character in _C1 if (other := character.encode("latin-1").decode("cp1252", "ignore"))}
)
"""The five octets that stand for nothing in windows-1252 are control characters, as browsers read them."""


def decoder_for(octets: Iterable[bytes], named: str = "") -> str | None:
    """The codec that reads all of `octets`: the one that the page names, else UTF-8; None is windows-1252."""
    parts = list(octets)
    return next((codec for codec in (_codec(named), "utf-8") if codec and _reads_all(codec, parts)), None)


def own_decoder(octets: bytes, named: str) -> str | None:
    """The codec of a value that names its own; None where it is not known, or where it does not read `octets`."""
    codec = _codec(named)
    return codec if codec and _reads_all(codec, [octets]) else None


def decoded(octets: bytes, codec: str | None) -> str:
    """The text; every octet stands for something, so nothing is lost."""
    return octets.decode("latin-1").translate(_WINDOWS_1252) if codec is None else octets.decode(codec)


def _codec(named: str) -> str | None:
    return _CODECS.get("".join(filter(str.isalnum, named[:_LONGEST_NAME].lower())))


def _reads_all(codec: str, parts: Sequence[bytes]) -> bool:
    try:
        for part in parts:
            part.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
