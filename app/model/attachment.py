"""A file that travels with a message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file, still in the caller's base64 so that 25 MB are neither decoded nor encoded again.

    `base64` is checked, canonical ASCII base64 with padding and without white space; `size` counts decoded bytes.
    """

    file_name: str
    content_type: str
    base64: str
    size: int
