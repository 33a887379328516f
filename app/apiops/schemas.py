"""The schemas of connections in the OpenAPI document, made from the table of the types: a new row is documented."""

import re
from typing import Any

from apispec import APISpec

from app.connections.fields import ConnectionType, Field
from app.connections.types import COMMON_FIELDS, TYPES

_CONNECTION: dict[str, Any] = {"$ref": "#/components/schemas/Connection"}

CREATE_BODY: dict[str, Any] = {"allOf": [_CONNECTION, {"type": "object", "required": ["name"]}]}
UPDATE_BODY = _CONNECTION
LIST = {"$ref": "#/components/schemas/ConnectionList"}

TYPE_PARAMETER = {
    "in": "query",
    "name": "type",
    "description": "Only connections of this type.",
    "schema": {"type": "string", "enum": list(TYPES)},
}


def request_body(schema: dict[str, Any]) -> dict[str, Any]:
    """A body with a connection, with an example of every type that declares fields of its own."""
    examples = {
        row.name: {"summary": row.description, "value": dict(row.example)} for row in TYPES.values() if row.fields
    }
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def add_to(spec: APISpec) -> None:
    """Add a schema per type, and those of any connection and of a list of them."""
    references = {}
    for row in TYPES.values():
        name = _component_name(row)
        spec.components.schema(name, _type_schema(row))
        references[row.name] = f"#/components/schemas/{name}"
    spec.components.schema(
        "Connection",
        {
            "oneOf": [{"$ref": reference} for reference in references.values()],
            "discriminator": {"propertyName": "type", "mapping": references},
        },
    )
    spec.components.schema(
        "ConnectionList",
        {
            "type": "object",
            "required": ["success", "resultList", "resultCount"],
            "properties": {
                "success": {"type": "boolean", "enum": [True]},
                "resultList": {"type": "array", "items": _CONNECTION},
                "resultCount": {"type": "integer", "example": 1},
            },
        },
    )


def _component_name(row: ConnectionType) -> str:
    return "".join(word[0].upper() + word[1:] for word in re.split(r"\W", row.name)) + "Connection"


def _type_schema(row: ConnectionType) -> dict[str, Any]:
    fields = (*COMMON_FIELDS, *row.fields)
    properties = {field.name: _field_schema(field) for field in fields}
    properties["type"] |= {"enum": [row.name], "example": row.name}
    return {
        "type": "object",
        "description": row.description,
        "required": [field.name for field in fields if field.is_required],
        "properties": properties,
        "additionalProperties": row.is_open,
        "example": dict(row.example),
    }


def _field_schema(field: Field) -> dict[str, Any]:
    known = {
        "type": field.type,
        "format": field.format,
        "description": field.description,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "default": list(field.default) if isinstance(field.default, tuple) else field.default,
        "example": field.example,
    }
    schema = {name: value for name, value in known.items() if value is not None}
    if not field.is_required:
        # null counts as not given; in a list it stands for a secret.
        schema["nullable"] = True
    if field.type == "array":
        schema["items"] = _PROPERTY
    return schema


_PROPERTY = {
    "type": "object",
    "required": ["name", "value"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "value": {"anyOf": [{"type": "string", "nullable": True}, {"type": "number"}, {"type": "boolean"}]},
    },
    "additionalProperties": False,
}
