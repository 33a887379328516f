"""The schema of EmailRequest (spec: email-api, section 3): JSON -> `app.model.email.EmailRequest`, or sentences."""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length

from app.api.request_fields import Address, Headers, OneOf, Recipients, TextMap, text_field
from app.messages.attachments import attachment_faults, attachment_of
from app.model.attachment import Attachment
from app.model.email import EmailRequest, Priority
from app.settings import MessageLimits
from app.web.arguments import CaselessSchema, StrictBoolean
from app.web.authentication import caller

_ATTACHMENT_PROPERTIES = ("file_name", "base64_content", "content_type")
_RECIPIENT_LISTS = ("to", "cc", "bcc")
_LISTENED_TO = "Only a caller with an access token is listened to; anybody else's is ignored."


def email_request_schema(limits: MessageLimits, templates: Iterable[str]) -> Schema:
    """The schema for these limits and for the templates that are there; built once per process.

    It documents what backends may say and reads it for them alone: from a visitor these are unknown properties.
    """

    class AttachmentSchema(CaselessSchema):
        error_messages = {"type": "An attachment must be an object."}  # noqa: RUF012 - as in the base class

        file_name = text_field("FileName", required=True, example="plan.pdf")
        base64_content = text_field("Base64Content", required=True, example="JVBERi0xLjQK")
        content_type = text_field("ContentType", example="application/pdf")

        @validates_schema(skip_on_field_errors=False)
        def check(self, data: dict[str, Any], **_: Any) -> None:
            faults = attachment_faults(**{name: data.get(name) for name in _ATTACHMENT_PROPERTIES}, limits=limits)
            if faults:
                raise ValidationError({name: [sentence] for name, sentence in faults.items()})

        @post_load
        def to_model(self, data: dict[str, Any], **_: Any) -> Attachment:
            return attachment_of(**{"content_type": None} | data)

    class VisitorRequestSchema(CaselessSchema):
        email = Address(data_key="Email", required=True, metadata={"format": "email", "example": "anna@example.com"})
        username = text_field("Username", limits.username, example="Anna Example")
        message = text_field("Message", limits.message, required=True, validate=_not_blank, example="Hello!")
        custom_fields = TextMap(limits, data_key="CustomFields", metadata={"example": {"Company": "Example Ltd"}})
        body_template = text_field("EmailTemplate", limits.body_template)
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
        subject_template = text_field("SubjectTemplate", limits.subject_template)
        priority = OneOf((priority.value for priority in Priority), data_key="Priority", load_default="Normal")

        @post_load
        def to_model(self, data: dict[str, Any], **_: Any) -> EmailRequest:
            data["priority"] = Priority(data["priority"])
            data["reply_to"] = (data["reply_to"],) if "reply_to" in data else ()
            data["attachments"] = tuple(data.get("attachments", ()))
            seen: set[str] = set()
            for name in _RECIPIENT_LISTS:
                if name in data:
                    data[name] = tuple(each for each in dict.fromkeys(data[name]) if each not in seen)
                    seen.update(data[name])
            return EmailRequest(**data)

    visitors = VisitorRequestSchema()

    class EmailRequestSchema(VisitorRequestSchema):
        to = Recipients(
            limits, data_key="To", description=f"Without any, the configured recipient gets the mail. {_LISTENED_TO}"
        )
        cc = Recipients(limits, data_key="Cc", description=_LISTENED_TO)
        bcc = Recipients(limits, data_key="Bcc", description=f"Nobody sees these. {_LISTENED_TO}")
        reply_to = Address(
            data_key="ReplyTo",
            metadata={"format": "email", "description": f"Where replies go instead of to Email. {_LISTENED_TO}"},
        )
        headers = Headers(
            metadata={
                "description": "Added to the message: X-*, List-*, In-Reply-To, References, and `Auto-Submitted: no` "
                f"for what a person wrote. {_LISTENED_TO}",
                "example": {"X-Campaign": "spring"},
            }
        )

        def load(self, data: Any, **options: Any) -> Any:
            # From a visitor these are unknown: nothing may be said of them, however they look.
            return visitors.load(data, **options) if caller() is None else super().load(data, **options)

        @validates_schema
        def check_recipients(self, data: dict[str, Any], **_: Any) -> None:
            if sum(len(data.get(name, ())) for name in _RECIPIENT_LISTS) > limits.recipients:
                sentence = f"The To, Cc and Bcc fields must have at most {limits.recipients} addresses together."
                raise ValidationError({"To": [sentence]})

    return EmailRequestSchema()


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("The Message field is required.")
