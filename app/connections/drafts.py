"""A body -> the connection that it describes, or everything that is wrong with it. Used by `manage`."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from app.connections.fields import ConnectionType, Field, Limits
from app.connections.types import COMMON_FIELDS, TYPES
from app.errors import ConnectionInvalid
from app.model.connection import Connection
from app.model.names import name_fault, name_key

LARGEST = 64 * 1024
"""Bytes of JSON that one connection may have."""

_MOST_UNKNOWN = 100
_LONGEST_FIELD_NAME = 100
"""So many unknown fields are named; whoever sends more has sent something else."""
_COMMON_NAMES = tuple(field.name for field in COMMON_FIELDS)


def draft_of(
    body: Mapping[str, Any], *, project_id: int, path_name: str, existing_type: str | None = None, limits: Limits
) -> Connection:
    """The connection that a body describes. `existing_type` is that of the connection that it updates, if it does.

    Then `path_name` is that connection's name as it is stored, and the body need not repeat it. null counts as not
    given, nothing is coerced. Raises ConnectionInvalid with every field that is wrong.
    """
    _demand_storable(body)
    faults = _Faults()
    common = faults.sound(COMMON_FIELDS, body)
    name = _name(common.get("name"), faults, path_name=path_name, is_update=existing_type is not None)
    type = _type(common.get("type"), faults, existing_type=existing_type)
    fields = {} if type is None else _fields(type, body, faults, limits=limits)
    if faults:
        raise ConnectionInvalid(faults)
    return Connection(
        project_id=project_id,
        type=common["type"],
        name=name,
        description=common.get("description"),
        deploy_to_worker=common.get("deployToWorker", True),
        enabled=common.get("enabled", True),
        fields=fields,
    )


def _demand_storable(body: Mapping[str, Any]) -> None:
    """What is kept as it is given must come out again as JSON, and must not fill the database."""
    try:
        size = len(json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except ValueError:  # 1e999 is JSON, and was read as infinity; a lone surrogate's error would carry the whole body
        raise ConnectionInvalid({"body": ["The body has a number or a text that cannot be kept."]}) from None
    if size > LARGEST:
        raise ConnectionInvalid({"body": [f"A connection has at most {LARGEST // 1024} KB of JSON."]})


class _Faults(dict[str, list[str]]):
    """Field -> sentences."""

    def note(self, name: str, sentence: str) -> None:
        self.setdefault(name, []).append(sentence)

    def sound(self, fields: tuple[Field, ...], body: Mapping[str, Any]) -> dict[str, Any]:
        """The values of those `fields` that are given and right for themselves; the others are noted."""
        found = {}
        for field in fields:
            value = body.get(field.name)
            if value is None or (value == "" and field.is_required):
                if field.is_required:
                    self.note(field.name, f"The {field.name} field is required.")
            elif sentence := field.fault(value):
                self.note(field.name, sentence)
            else:
                found[field.name] = value
        return found


def _name(given: str | None, faults: _Faults, *, path_name: str, is_update: bool) -> str:
    if "name" in faults or (is_update and not given):
        return path_name
    if not given:
        faults.note("name", "The name field is required.")
        return path_name
    if not is_update and name_key(given) != name_key(path_name):
        faults.note("name", "The name field must be the name in the path.")
    elif fault := name_fault(given):
        faults.note("name", fault)
    return given


def _type(given: str | None, faults: _Faults, *, existing_type: str | None) -> ConnectionType | None:
    if given is None:
        return None
    if given not in TYPES:
        faults.note("type", f"The type field must be one of {', '.join(TYPES)}.")
        return None
    if existing_type is not None and given != existing_type:
        faults.note("type", f"The type field must be {existing_type}: the type of a connection cannot be changed.")
        return None
    return TYPES[given]


def _fields(type: ConnectionType, body: Mapping[str, Any], faults: _Faults, *, limits: Limits) -> dict[str, Any]:
    """What belongs to the type: the declared fields, and behind them what an open type keeps."""
    fields = faults.sound(type.fields, body)
    declared = [field.name for field in type.fields]
    undeclared = [name for name in body if name not in declared and name not in _COMMON_NAMES]
    if type.is_open:
        if not all(name.isprintable() and 1 <= len(name) <= _LONGEST_FIELD_NAME for name in undeclared):
            sentence = f"The name of a field has 1 to {_LONGEST_FIELD_NAME} characters without control characters."
            faults.note("body", sentence)
        fields |= {name: body[name] for name in undeclared}
    else:
        for name in undeclared[:_MOST_UNKNOWN]:
            shown = name[:100] if name.isprintable() else ascii(name[:100])
            faults.note(shown, _unknown(shown, type))
    wrong_already = frozenset(faults)
    for name, sentence in type.faults(fields, limits):
        # What follows from the absence of a field that is there, and wrong, would only mislead.
        if name not in wrong_already:
            faults.note(name, sentence)
    return {} if faults else type.tidy(fields)


def _unknown(name: str, type: ConnectionType) -> str:
    """A typo must be told: enableStartTLS, left out quietly, would mean that mail goes in clear text."""
    known = {each.lower(): each for each in (*_COMMON_NAMES, *(field.name for field in type.fields))}
    meant = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    hint = f" Did you mean {known[meant[0]]}?" if meant else ""
    return f"The {name} field is not known for a connection of type {type.name}.{hint}"
