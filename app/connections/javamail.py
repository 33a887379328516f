"""The JavaMail properties of an email connection: which act, and what their values are (connections-api, section 2).

Used by `email_type` and `smtp_configurations`.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.connections.fields import CONTROL_CHARACTERS, Fields
from app.settings.network import ehlo_name
from app.settings.readers import file_path
from app.settings.reading import Unusable
from app.settings.smtp import MECHANISMS, certificate_file, mechanisms_in

MOST_PROPERTIES = 100
TRUST_ALL = "*"
_IMPLICIT_TLS_PORT = 465
_SHORTEST_TIMEOUT_S = 0.1
_LONGEST_TIMEOUT_S = 60.0


def properties_of(fields: Fields) -> dict[str, str]:
    """The additionalProperties of stored fields, by name."""
    return {each["name"]: each["value"] for each in fields.get("additionalProperties") or ()}


def is_implicit_tls(fields: Fields, properties: dict[str, str]) -> bool:
    """Whether TLS comes before the greeting: as said, else by the port."""
    said = properties.get("mail.smtp.ssl.enable")
    return fields.get("port") == _IMPLICIT_TLS_PORT if said is None else said.lower() == "true"


def seconds_in(milliseconds: str | None) -> float | None:
    """A timeout in seconds; 0 means without end there, and is here the longest that there is."""
    if milliseconds is None:
        return None
    return min(max(int(milliseconds) / 1000 or _LONGEST_TIMEOUT_S, _SHORTEST_TIMEOUT_S), _LONGEST_TIMEOUT_S)


def _flag(value: str) -> str | None:
    return None if value.lower() in ("true", "false") else "true or false"


def _milliseconds(value: str) -> str | None:
    return None if re.fullmatch("[0-9]{1,9}", value) else "a number of milliseconds"


def _ehlo_name(value: str) -> str | None:
    try:
        ehlo_name(value)
    except Unusable as error:
        return error.expected
    return None


def _trust(value: str) -> str | None:
    if value == TRUST_ALL:
        return None
    # The same words whatever it is that stands there: this is no way to find out about files.
    expected = "* or the absolute path of a readable file with certificates in PEM on the machine of this service"
    try:
        certificate_file(value, Path("/"))
    except (Unusable, OSError):
        return expected
    # Its owner knows no directory of this machine from which a relative one could count.
    return None if file_path(value).is_absolute() else expected


def _mechanisms(value: str) -> str | None:
    return None if set(mechanisms_in(value)) & set(MECHANISMS) else f"a list with one of {', '.join(MECHANISMS)}"


ACTING_PROPERTIES: dict[str, Callable[[str], str | None]] = {
    "mail.smtp.ssl.enable": _flag,
    "mail.smtp.connectiontimeout": _milliseconds,
    "mail.smtp.timeout": _milliseconds,
    "mail.smtp.localhost": _ehlo_name,
    "mail.smtp.ssl.trust": _trust,
    "mail.smtp.auth.mechanisms": _mechanisms,
}
"""What changes how mail is sent; each says what else its value should have been, or None."""


def as_text(value: object) -> str:
    """The value of a property as JavaMail has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def property_faults(properties: list[Any]) -> Iterator[str]:
    """A sentence for each entry of additionalProperties that is wrong."""
    if len(properties) > MOST_PROPERTIES:
        yield f"The additionalProperties field must have at most {MOST_PROPERTIES} entries."
        return
    seen: set[str] = set()
    for position, each in enumerate(properties):
        label = f"The additionalProperties[{position}] entry"
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(each, dict) or each.keys() != {"name", "value"} or not isinstance(name, str) or not name:
            yield f'{label} must be an object of the form {{"name": "...", "value": "..."}}.'
        elif not isinstance(each["value"], str | int | float):
            yield f"{label} must have a string as its value."
        elif CONTROL_CHARACTERS.search(name) or CONTROL_CHARACTERS.search(str(each["value"])):
            yield f"{label} must not have control characters."
        elif name in seen:
            yield f"{label} gives {name[:100]} a second time."
        elif name in ACTING_PROPERTIES and (expected := ACTING_PROPERTIES[name](as_text(each["value"]))):
            yield f"{label} ({name}) must have {expected} as its value."
        else:
            seen.add(name)
