"""Where a page of emails ends, as an opaque text that a caller gives back to get the next one."""

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Self

_FORM = struct.Struct(">qI")
_TEXT = re.compile(r"[A-Za-z0-9_-]{16}")
"""Base64 of twelve octets, so there is no padding, and one text for each cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last email of a page. What comes later in the list is older than it, whatever has been sent since."""

    created_at_ms: int
    email_id: str

    @classmethod
    def read(cls, text: str) -> Self:
        """The cursor that `str` made this text of. Raises ValueError for any other text."""
        if _TEXT.fullmatch(text) is None:
            raise ValueError("not a cursor")
        created_at_ms, number = _FORM.unpack(urlsafe_b64decode(text))
        return cls(created_at_ms, f"{number:08X}")

    def __str__(self) -> str:
        return urlsafe_b64encode(_FORM.pack(self.created_at_ms, int(self.email_id, 16))).decode("ascii")
