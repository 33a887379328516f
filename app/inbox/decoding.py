"""Bytes of unknown honesty -> text that can be shown: charsets, encoded words (RFC 2047), file names.

Used by `reader`. Nothing in here raises, whatever it is given: what cannot be decoded is shown as it was sent.
"""

import base64
import re
from email import quoprimime

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bq])\?([^?]*)\?=", re.IGNORECASE)
_SPACE_BETWEEN_ENCODED_WORDS = re.compile(r"(?<=\?=)[ \t\r\n]+(?==\?)")
_FOLD = re.compile(r"\r?\n[ \t]*|\r")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI_CONTROLS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NOT_IN_A_FILE_NAME = re.compile(r'["\\/<>|:*?;\t\r\n]')


def printable(text: str) -> str:
    """`text` with control characters made visible as U+FFFD and lone surrogates as a question mark."""
    return _CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode("utf-8"))


def decode_bytes(raw: bytes, charset: str | None) -> str:
    """`raw` in the charset a message claims, or as UTF-8 where the claim is missing or no charset at all."""
    try:
        text = raw.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        # ValueError: a NUL in the name, or a codec that ignores "replace".
        text = raw.decode("utf-8", "replace")
    return printable(text)


def decode_field(raw: str) -> str:
    """A header field's value as the stdlib parser hands it over: unfolded, 8-bit as UTF-8, encoded words decoded."""
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = _SPACE_BETWEEN_ENCODED_WORDS.sub("", text)
    return printable(_FOLD.sub(" ", _ENCODED_WORD.sub(_decode_word, text))).strip()


def plain_file_name(raw: str) -> str:
    """The last segment of a claimed file name, without what misleads a person or a file system; may be empty.

    Bidi controls go because `invoice<U+202E>fdp.exe` reads as a PDF.
    """
    name = _BIDI_CONTROLS.sub("", decode_field(raw)).replace("\\", "/").rsplit("/", 1)[-1]
    return _NOT_IN_A_FILE_NAME.sub("_", name).strip(" .")[:150]


def _decode_word(word: re.Match[str]) -> str:
    charset, encoding, encoded = word.groups()
    try:
        if encoding in "bB":
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        else:
            raw = quoprimime.header_decode(encoded).encode("latin-1")
    except ValueError:
        return word.group()
    # RFC 2231 allows a language behind the charset: =?utf-8*en?q?...?=
    return decode_bytes(raw, charset.partition("*")[0])
