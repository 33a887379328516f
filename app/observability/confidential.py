"""What must not reach a log line, taken out of every event: secrets, bodies and whole addresses. Used by `logs`."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from uuid import UUID

HIDDEN = "[hidden]"
LONGEST_TEXT = 2000

_SECRET = re.compile(r"passw|pwd|secret|token|authori[sz]ation|api_?key|private_?key|cookie|credential")
_SAYS_HOW_MUCH = ("_id", "_count", "_limit", "_length")
_BODIES = {
    *("body", "body_html", "body_text", "html", "text", "content", "message", "raw", "data", "payload"),
    *("base64", "base64_content", "base64content", "custom_fields", "customfields", "email_template", "emailtemplate"),
}
_BEFORE_AT = re.compile(r"""://[^/\s]*@|(?<![^\s<>()\[\],;:"'=/\\])[^\s<>()\[\],;:"'=/\\@]+@(?=[\w\[])""")
_SHOWN_AS_TEXT = (date, timedelta, Decimal, UUID, PurePath, IPv4Address, IPv6Address, IPv4Network, IPv6Network)


def shorten_address(address: str) -> str:
    """`anna@example.com` -> `a***@example.com`: enough to recognise a sender, too little to write to one."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else f"{address[:1]}***"


def without_secrets(event: Mapping[str, object]) -> dict[str, object]:
    """The event with every value made plain and harmless, however deep it lies."""
    return {key: _presentable(key, value, depth=0) for key, value in event.items()}


def shorten_addresses(text: str) -> str:
    """Every address in a text shortened, and what stands before the `@` of an URL removed."""
    return _BEFORE_AT.sub(_shortened, text) if "@" in text else text


def _shortened(match: re.Match[str]) -> str:
    return "://***@" if match[0].startswith("://") else f"{match[0][0]}***@"


def _presentable(key: str, value: object, *, depth: int) -> object:
    if _hides(key):
        return HIDDEN
    if type(value) is str:
        # Nearly every value; the questions below are for the others.
        return _shown(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, _SHOWN_AS_TEXT):
        value = str(value)
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    if isinstance(value, str):
        return _shown(value)
    if depth < 6:
        if isinstance(value, Mapping):
            return {str(name): _presentable(str(name), part, depth=depth + 1) for name, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_presentable("", part, depth=depth + 1) for part in value]
    # Bytes may be a body, and the representation of an object may hold one.
    return f"<{type(value).__name__}>"


def _shown(text: str) -> str:
    return shorten_addresses(text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "...")


@lru_cache(maxsize=1024)
def _hides(key: str) -> bool:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_")
    return name in _BODIES or (_SECRET.search(name) is not None and not name.endswith(_SAYS_HOW_MUCH))
