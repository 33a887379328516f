"""Header fields that a backend adds to its message: which ones it may, and how they are written. Used by `compose`.

X-* is free text and is encoded as such. In-Reply-To, References and List-* are structured (RFC 5322 section 3.6.4, RFC
2369, RFC 2919): mail clients act on them as they stand, so they are written in ASCII as given or not at all. With
Auto-Submitted (RFC 3834) a backend says that a person wrote its message.
"""

import re
from collections.abc import Mapping

from app.messages.headers import breaks_line_limit, cleaned, structured_field, unstructured_field

_LONGEST_VALUE = 998
_LONGEST_NAME = 76
_NAME = re.compile(rf"[!-9;-~]{{1,{_LONGEST_NAME}}}")
_WRITTEN_BY_US = frozenset({"x-email-id", "x-priority", "x-msmail-priority"})
_ALLOWED = re.compile(r"(?P<structured>in-reply-to|references|auto-submitted|list-.+)|x-.+")
AUTO_SUBMITTED = "auto-submitted"
_AUTO_SUBMITTED_VALUES = ("no", "auto-generated")

_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def header_faults(headers: Mapping[str, str]) -> dict[str, str]:
    """Every header that cannot be added, by its name as it was given, with a sentence."""
    seen: set[str] = set()
    faults = {}
    for name, value in headers.items():
        fault = _name_fault(name) or _value_fault(name, value)
        if fault is None and name.lower() in seen:
            fault = f"The header {name} is given more than once."
        if fault is not None:
            faults[name] = fault
        seen.add(name.lower())
    return faults


def extra_fields(headers: Mapping[str, str]) -> str:
    """The fields for `headers`, as written on the wire, each once.

    Values are cleaned here, and what nobody would see of a value is left out with its field. Raises ValueError for a
    name that is not allowed, and for a structured value that cannot stand as it is.
    """
    names = {name.lower() for name in headers}
    if (
        len(names) < len(headers)
        or any(map(_name_fault, headers))
        or not all(_is_auto_submitted(value) for name, value in headers.items() if name.lower() == AUTO_SUBMITTED)
    ):
        raise ValueError("not a header that can be added")
    return "".join(
        structured_field(name, value) if _is_structured(name) else unstructured_field(name, value)
        for name, value in headers.items()
        if cleaned(value).strip()
    )


def _name_fault(name: str) -> str | None:
    if _NAME.fullmatch(name) is None:
        return f"The name of a header must have 1 to {_LONGEST_NAME} visible ASCII characters, and no colon."
    if name.lower() in _WRITTEN_BY_US:
        return f"The header {name} is written by the service."
    if _ALLOWED.fullmatch(name.lower()) is None:
        return "The Headers field allows X-*, List-*, In-Reply-To, References and Auto-Submitted only."
    return None


def _value_fault(name: str, value: str) -> str | None:
    if not value.strip():
        return f"The Headers.{name} field must not be blank."
    if len(value) > _LONGEST_VALUE:
        return f"The Headers.{name} field must be a string with a maximum length of {_LONGEST_VALUE}."
    if _BREAKING.search(value):
        return f"The Headers.{name} field must not contain line breaks or control characters."
    if name.lower() == AUTO_SUBMITTED and not _is_auto_submitted(value):
        return f"The Headers.{name} field must be {' or '.join(_AUTO_SUBMITTED_VALUES)}."
    if not _is_structured(name):
        return None
    if not value.isascii():
        return f"The Headers.{name} field must be written in ASCII."
    if "=?" in value:
        return f"The Headers.{name} field must not contain =?."
    if breaks_line_limit(value):
        return f"The Headers.{name} field is too long for one line and has no space to fold it at."
    return None


def _is_auto_submitted(value: str) -> bool:
    return value.strip().lower() in _AUTO_SUBMITTED_VALUES


def _is_structured(name: str) -> bool:
    match = _ALLOWED.fullmatch(name.lower())
    return match is not None and match["structured"] is not None
