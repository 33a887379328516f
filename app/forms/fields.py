"""The table of what a form's owner decides, and how a form is shown to its owner.

A new field is a row here, beside its line in `model.form`. `drafts` reads bodies by this table, `apiops` and the
command line show forms by it, and the OpenAPI document is built from it.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any

from app.connections.fields import Field
from app.model.form import Form, HumanCheck

HIGHEST_SMTP_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField(Field):
    """One field under the wire's name; `attribute` is its name in `Form`. An array holds at most `most` texts."""

    attribute: str
    most: int | None = None
    longest: int | None = None
    """Characters of each of its texts, or of the text that it is."""
    choices: tuple[str, ...] = ()


FIELDS = (
    FormField(
        name="recipients",
        attribute="recipients",
        type="array",
        most=20,
        longest=254,
        is_required=True,
        description="The addresses that get what visitors send.",
        example=["office@example.com"],
    ),
    FormField(
        name="smtpId",
        attribute="smtp_id",
        type="integer",
        minimum=0,
        maximum=HIGHEST_SMTP_ID,
        description="Which SMTP configuration sends it, one that the project can choose; without it the first one.",
        example=1,
    ),
    FormField(
        name="template",
        attribute="template",
        type="string",
        longest=100,
        description="The template of the mail; without it a letter with a table of all fields.",
        example="Professional",
    ),
    FormField(
        name="subject",
        attribute="subject",
        type="string",
        description="The subject of the mail, with placeholders or none; without it the visitor's, or the form's name.",
        example="Contact: {Username}",
    ),
    FormField(
        name="requiredFields",
        attribute="required_fields",
        type="array",
        most=50,
        longest=200,
        description="The names of fields that must not be empty, as the form names them.",
        example=["email", "message"],
    ),
    FormField(
        name="allowedOrigins",
        attribute="allowed_origins",
        type="array",
        most=50,
        longest=300,
        is_required=True,
        description="The origins whose pages may submit the form, compared exactly.",
        example=["https://www.example.com"],
    ),
    FormField(
        name="redirectTargets",
        attribute="redirect_targets",
        type="array",
        most=50,
        longest=2000,
        description="Addresses, with what lies below, that a visitor may be sent to besides the allowed origins.",
        example=["https://shop.example.com/thanks"],
    ),
    FormField(
        name="submissionsPerHour",
        attribute="submissions_per_hour",
        type="integer",
        minimum=1,
        maximum=10_000,
        description="How many submissions are taken in an hour, from all visitors together.",
        example=100,
    ),
    FormField(
        name="acceptsFiles",
        attribute="accepts_files",
        type="boolean",
        description="Whether visitors may attach files.",
        example=True,
    ),
    FormField(
        name="check",
        attribute="check",
        type="string",
        choices=tuple(check.value for check in HumanCheck),
        description="What a visitor's browser has to show: nothing, a proof of work (altcha), or a captcha.",
        example="altcha",
    ),
    FormField(
        name="needsToken",
        attribute="needs_token",
        type="boolean",
        description="Whether the page has to fetch a form token first; if not given, it need not.",
    ),
    FormField(
        name="minAgeSeconds",
        attribute="min_age_s",
        type="integer",
        minimum=0,
        maximum=3600,
        description="How many seconds after its form token was issued a submission is taken at the earliest.",
        example=3,
    ),
    FormField(
        name="confirmation",
        attribute="confirms",
        type="boolean",
        description="Whether the visitor gets a confirmation, once a day for each address.",
        example=False,
    ),
    FormField(
        name="enabled",
        attribute="is_enabled",
        type="boolean",
        description="Whether the form takes submissions.",
        example=True,
    ),
)
GIVEN_BY_US = ("key", "createdAt", "updatedAt", "action")
"""What a form is shown with besides, and nobody decides."""

_DEFAULTS = {field.name: field.default for field in fields(Form)}


def default_of(field: FormField) -> Any:
    """What stands for a field that is not given, as it is shown; None for nothing, and where it has to be given."""
    return None if field.is_required else _shown(_DEFAULTS[field.attribute])


def public_fields(form: Form, *, base_url: str = "") -> dict[str, Any]:
    """The form under the wire's names, ready for JSON. `base_url` is what stands before a path of this service."""
    return (
        {"key": form.key, "name": form.name}
        | {field.name: _shown(getattr(form, field.attribute)) for field in FIELDS}
        | {
            "createdAt": _shown(form.created_at),
            "updatedAt": _shown(form.updated_at),
            "action": f"{base_url}/forms/{form.key}",
        }
    )


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
