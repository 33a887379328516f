"""Which charsets the text parts of mail may be in. Used by `email_type` and `smtp_configurations`."""

import codecs
import re

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_:+-]{0,39}")
_ASCII = bytes(range(128))
_NO_CHARSETS = ("charmap", "raw-unicode-escape")
"""What Python knows beside charsets and ASCII passes through unchanged."""


def charset_fault(name: str) -> str | None:
    """A sentence that says why the text parts of mail cannot be in this charset, or None.

    Lines and boundaries of a message are ASCII, so a charset in which ASCII looks different cannot stand there.
    """
    try:
        is_charset = _NAME.fullmatch(name) is not None and codec_name(name) not in _NO_CHARSETS
        if is_charset and _ASCII.decode("ascii").encode(name) == _ASCII:
            return None
    except (LookupError, UnicodeError):
        # What turns bytes into bytes or text into text, such as rot13, is a LookupError here too.
        pass
    return "The defaultEncoding field must be a charset that mail can be written in, such as UTF-8 or ISO-8859-9."


def codec_name(name: str) -> str:
    """The one name of a charset under which Python knows it; `messages` turns it into the one that mail knows."""
    return codecs.lookup(name).name
