"""The schema of EmailRequest (spec: email-api, section 3): JSON -> `app.model.email.EmailRequest`, or sentences."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length

from app.messages.attachments import attachment_faults, attachment_of
from app.model.attachment import Attachment
from app.model.email import EmailRequest, Priority
from app.settings import MessageLimits
from app.web.arguments import CaselessSchema, StrictBoolean

_ATTACHMENT_PROPERTIES = ("file_name", "base64_content", "content_type")
_LONGEST_ADDRESS = 254
_LONGEST_LOCAL_PART = 64
"""In characters: RFC 5321, section 4.5.3.1, and erratum 1690 of RFC 3696."""


def email_request_schema(limits: MessageLimits, templates: Iterable[str]) -> Schema:
    """The schema for these limits and for the templates that are there; built once per process."""

    class AttachmentSchema(CaselessSchema):
        error_messages = {"type": "An attachment must be an object."}  # noqa: RUF012 - as in the base class

        file_name = _text("FileName", required=True, example="plan.pdf")
        base64_content = _text("Base64Content", required=True, example="JVBERi0xLjQK")
        content_type = _text("ContentType", example="application/pdf")

        @validates_schema(skip_on_field_errors=False)
        def check(self, data: dict[str, Any], **_: Any) -> None:
            faults = attachment_faults(**{name: data.get(name) for name in _ATTACHMENT_PROPERTIES}, limits=limits)
            if faults:
                raise ValidationError({name: [sentence] for name, sentence in faults.items()})

        @post_load
        def to_model(self, data: dict[str, Any], **_: Any) -> Attachment:
            return attachment_of(**{"content_type": None} | data)

    class EmailRequestSchema(CaselessSchema):
        email = Address(
            data_key="Email",
            required=True,
            error_messages=_sentences("Email"),
            metadata={"format": "email", "example": "anna@example.com"},
        )
        username = _text("Username", limits.username, example="Anna Example")
        message = _text("Message", limits.message, required=True, validate=_not_blank, example="Hello!")
        custom_fields = TextMap(limits, data_key="CustomFields", metadata={"example": {"Company": "Example Ltd"}})
        body_template = _text("EmailTemplate", limits.body_template)
        template = OneOf(templates, data_key="Template")
        is_html = StrictBoolean(
            data_key="IsHtml", load_default=False, error_messages={"invalid": "The IsHtml field must be true or false."}
        )
        attachments = fields.List(
            fields.Nested(AttachmentSchema()),
            data_key="Attachments",
            error_messages={"invalid": "The Attachments field must be an array."},
            validate=Length(
                max=limits.attachments, error=f"The Attachments field must have at most {limits.attachments} elements."
            ),
        )
        subject_template = _text("SubjectTemplate", limits.subject_template)
        priority = OneOf((priority.value for priority in Priority), data_key="Priority", load_default="Normal")

        @post_load
        def to_model(self, data: dict[str, Any], **_: Any) -> EmailRequest:
            data["priority"] = Priority(data["priority"])
            data["attachments"] = tuple(data.get("attachments", ()))
            return EmailRequest(**data)

    return EmailRequestSchema()


class Address(fields.String):
    """A mailbox that can stand in Reply-To without turning into anything else."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text.strip():
            raise self.make_error("required")
        # Longer text is refused before it could fill the cache.
        address = _normalised(text) if len(text) <= _LONGEST_ADDRESS else None
        if address is None:
            raise ValidationError("The Email field is not a valid e-mail address.")
        return address


@lru_cache(maxsize=4096)
def _normalised(text: str) -> str | None:
    """The address as email-validator normalises it; None when it is none, or one that could break out of a header."""
    if "=?" in text:
        return None
    try:
        # Domains that only exist inside a company or a test are fine, a bare host name is not.
        result = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return None
    if len(result.local_part) > _LONGEST_LOCAL_PART or "." not in result.domain:
        return None
    return result.normalized


class OneOf(fields.String):
    """One of some names, matched without case, loaded in its documented spelling."""

    def __init__(self, names: Iterable[str], *, data_key: str, **options: Any) -> None:
        self._spelled = {name.lower(): name for name in names}
        self._refusal = f"The {data_key} field must be one of: {', '.join(self._spelled.values())}."
        super().__init__(
            data_key=data_key,
            error_messages={"invalid": self._refusal},
            metadata={"enum": list(self._spelled.values())},
            **options,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text.lower() not in self._spelled:
            raise ValidationError(self._refusal)
        return self._spelled[text.lower()]


class TextMap(fields.Dict):
    """CustomFields: names of one to some characters, each with a text."""

    def __init__(self, limits: MessageLimits, **options: Any) -> None:
        self._limits = limits
        super().__init__(keys=fields.String(), values=fields.String(), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValidationError("The CustomFields field must be an object of texts.")
        if len(value) > self._limits.custom_fields:
            raise ValidationError(f"The CustomFields field must have at most {self._limits.custom_fields} entries.")
        longest = self._limits.custom_field_name
        errors: dict[str, list[str]] = {}
        for name, text in value.items():
            if not 1 <= len(name) <= longest:
                errors[name[:longest]] = [f"The name of a custom field must have 1 to {longest} characters."]
            elif not isinstance(text, str):
                errors[name] = [f"The CustomFields.{name} field must be a string."]
        if errors:
            raise ValidationError(errors)
        return dict(value)


def _text(
    name: str, longest: int | None = None, *, required: bool = False, validate: Any = None, example: str | None = None
) -> fields.String:
    validators = [validate] if validate else []
    if longest is not None:
        validators.append(
            Length(max=longest, error=f"The {name} field must be a string with a maximum length of {longest}.")
        )
    return fields.String(
        data_key=name,
        required=required,
        validate=validators,
        error_messages=_sentences(name),
        metadata={"example": example} if example else {},
    )


def _sentences(name: str) -> dict[str, Any]:
    return {"required": f"The {name} field is required.", "invalid": f"The {name} field must be a string."}


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("The Message field is required.")
