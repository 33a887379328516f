"""A caller's attachment, checked: its file name, its base64 and its content type. Used while a request is read.

The base64 is checked in slices and kept as it came, so that a large file is neither decoded nor encoded again on its
way into the mail. Rules and deny-list: `email-api` section 3 and `message-safety` of the specification.
"""

import re
import unicodedata
from binascii import a2b_base64
from codecs import getincrementaldecoder
from collections.abc import Iterator

from app.messages.content_types import LONGEST, MOST_PARAMETERS, ContentType, guessed_content_type
from app.messages.headers import cleaned
from app.model.attachment import Attachment
from app.settings import MessageLimits

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NOT_IN_FILE_NAMES = re.compile(r'["\\/<>|:*?;]')

_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SLICE = 256 * 1024

_LAST_BEFORE_PADDING = {0: _BASE64_ALPHABET, 1: b"AEIMQUYcgkosw048", 2: b"AQgw"}
"""With so many `=`, the characters that may come before them: the bits that decode to nothing are zero."""


def attachment_faults(
    *, file_name: str | None, base64_content: str | None, content_type: str | None, limits: MessageLimits
) -> dict[str, str]:
    """Every wrong one of the given properties, by its documented name, with a sentence; None is not looked at.

    An empty `content_type` (what a browser says of a file it does not know) is as good as none.
    """
    faults = {
        "FileName": None if file_name is None else _file_name_fault(file_name, limits),
        "Base64Content": None if base64_content is None else _base64_fault(base64_content),
        "ContentType": _content_type_fault(content_type),
    }
    return {name: sentence for name, sentence in faults.items() if sentence}


def attachment_of(*, file_name: str, base64_content: str, content_type: str | None) -> Attachment:
    """The attachment of properties without faults; a missing content type is guessed from the file name.

    A text without a character set would be read as ASCII: it gets `utf-8` where it is that.
    """
    name = _plain_name(file_name)
    return Attachment(
        file_name=name,
        content_type=str(_with_charset(content_type or guessed_content_type(name), base64_content)),
        base64=base64_content,
        size=len(base64_content) // 4 * 3 - _padding(base64_content),
    )


def _with_charset(content_type: str, base64_content: str) -> ContentType:
    read = ContentType.read(content_type)
    if not read.media_type.startswith("text/") or "charset" in read.parameters or not _is_utf8_only(base64_content):
        return read
    return read.with_charset("utf-8")


def _is_utf8_only(base64_content: str) -> bool:
    """Whether a text is UTF-8 and not ASCII as well; decoded in slices and no further than to the answer."""
    decoder = getincrementaldecoder("utf-8")()
    is_ascii = True
    try:
        for start in range(0, len(base64_content), _SLICE):
            octets = a2b_base64(base64_content[start : start + _SLICE])
            is_ascii = is_ascii and octets.isascii()
            decoder.decode(octets)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_ascii


def _plain_name(as_given: str) -> str:
    return cleaned(as_given).strip()


def _file_name_fault(as_given: str, limits: MessageLimits) -> str | None:
    name = _plain_name(as_given)
    if _CONTROL.search(as_given):
        return "The FileName field must not contain control characters."
    if _NOT_IN_FILE_NAMES.search(as_given):
        return 'The FileName field must not contain any of " \\ / < > | : * ? ;'
    if not name:
        return "The FileName field is required."
    if name in (".", ".."):
        return "The FileName field must be the name of a file."
    if len(as_given) > limits.file_name:
        return f"The FileName field must be a string with a maximum length of {limits.file_name}."
    extension = _extension(name)
    if extension in limits.denied_extensions:
        return f"Files with the extension .{extension} are not allowed."
    return None


def _extension(name: str) -> str:
    """The extension that a receiving system would act on, in lower case.

    Windows drops dots and spaces at the end of a name; compatibility forms (full-width letters and dots) and characters
    that nobody sees are what a name that wants to look harmless is made of.
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(character for character in plain if unicodedata.category(character) not in ("Cf", "Mn"))
    _, dot, extension = visible.rstrip(". ").rpartition(".")
    return extension.strip() if dot else ""


def _base64_fault(text: str) -> str | None:
    if _is_strict_base64(text):
        return None
    return "The Base64Content field is not valid base64."


def _is_strict_base64(text: str) -> bool:
    """Whether `text` is canonical base64 (RFC 4648 section 4): no white space, full padding, no bits left over."""
    if len(text) % 4 or not text.isascii():
        return False
    padding = _padding(text)
    if text and ord(text[-1 - padding]) not in _LAST_BEFORE_PADDING[padding]:
        return False
    # What is left when the alphabet is taken away is the padding, which is at the end, or something strange.
    return all(not part for part in _strange_octets(text, end=len(text) - padding))


def _padding(text: str) -> int:
    return 2 if text.endswith("==") else 1 if text.endswith("=") else 0


def _strange_octets(text: str, *, end: int) -> Iterator[bytes]:
    for start in range(0, end, _SLICE):
        yield text[start : min(start + _SLICE, end)].encode("ascii").translate(None, _BASE64_ALPHABET)


def _content_type_fault(content_type: str | None) -> str | None:
    if content_type:
        try:
            is_refused = len(content_type) > LONGEST or len(ContentType.read(content_type).parameters) > MOST_PARAMETERS
        except ValueError:
            is_refused = True
        if is_refused:
            return "The ContentType field is not a valid content type."
    return None
