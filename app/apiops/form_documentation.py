"""The schemas of forms in the OpenAPI document, made from the table of their fields: a new field is documented."""

from typing import Any

from apispec import APISpec

from app.forms.fields import FIELDS, GIVEN_BY_US, FormField, default_of
from app.model.names import LONGEST_NAME

LIST = {"$ref": "#/components/schemas/FormList"}
GONE = {"type": "object", "required": ["success"], "properties": {"success": {"type": "boolean", "enum": [True]}}}

_FORM: dict[str, Any] = {"$ref": "#/components/schemas/Form"}
_SMALLEST = {"recipients": ["office@example.com"], "allowedOrigins": ["https://www.example.com"]}
_EXAMPLES = {
    "smallest": {"summary": "What a form needs.", "value": _SMALLEST},
    "strict": {
        "summary": "A form that asks more of its visitors.",
        "value": _SMALLEST
        | {
            "name": "contact",
            "template": "Professional",
            "subject": "Contact: {Username}",
            "requiredFields": ["email", "message"],
            "redirectTargets": ["https://shop.example.com/thanks"],
            "submissionsPerHour": 30,
            "acceptsFiles": False,
            "needsToken": True,
            "minAgeSeconds": 5,
            "confirmation": True,
        },
    },
}
_EXAMPLE_KEY = "mq7xw4n2kd9vhp3rtz8c"
_GIVEN = {
    "key": {"type": "string", "description": "Stands in the page; never changes.", "example": _EXAMPLE_KEY},
    "createdAt": {"type": "string", "format": "date-time", "example": "2026-01-07T12:34:56.789Z"},
    "updatedAt": {"type": "string", "format": "date-time", "example": "2026-01-07T12:34:56.789Z"},
    "action": {
        "type": "string",
        "description": "Where the form posts to: an URL with PUBLIC_URL, else a path.",
        "example": f"/forms/{_EXAMPLE_KEY}",
    },
}


def request_body() -> dict[str, Any]:
    """A body that describes a form."""
    return {"required": True, "content": {"application/json": {"schema": _FORM, "examples": _EXAMPLES}}}


def add_to(spec: APISpec) -> None:
    """Add the schemas of a form and of a list of them."""
    named = {"type": "string", "nullable": True, "maxLength": LONGEST_NAME, "example": "contact"}
    properties = {"name": named} | {field.name: _schema(field) for field in FIELDS}
    properties |= {name: _GIVEN[name] | {"readOnly": True} for name in GIVEN_BY_US}
    spec.components.schema(
        "Form",
        {
            "type": "object",
            "description": "A web form. null counts as not given.",
            "required": [field.name for field in FIELDS if field.is_required],
            "properties": properties,
            "additionalProperties": False,
        },
    )
    spec.components.schema(
        "FormList",
        {
            "type": "object",
            "required": ["success", "resultList", "resultCount"],
            "properties": {
                "success": {"type": "boolean", "enum": [True]},
                "resultList": {"type": "array", "items": _FORM},
                "resultCount": {"type": "integer", "example": 1},
            },
        },
    )


def _schema(field: FormField) -> dict[str, Any]:
    known: dict[str, Any] = {
        "type": field.type,
        "description": field.description,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "default": default_of(field),
        "example": field.example,
    }
    if field.type == "array":
        known |= {"items": {"type": "string", "minLength": 1, "maxLength": field.longest}, "maxItems": field.most}
    if field.choices:
        known["enum"] = list(field.choices)
    if field.is_required:
        known["minItems"] = 1
    else:
        known["nullable"] = True
    # A default is said where it can be told from a value: a checker of secrets would take that of a token for one.
    return {name: value for name, value in known.items() if value is not None and not _looks_secret(field, name)}


def _looks_secret(field: FormField, name: str) -> bool:
    return field.is_secret and name in ("default", "example")
