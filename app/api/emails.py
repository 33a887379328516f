"""`/api/v1/emails`: send an email, look one up."""

import re
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields

from app.api.documentation import APIBlueprint, MessageSchema
from app.api.email_request import email_request_schema
from app.emails.look_up import look_up
from app.emails.office import Office
from app.emails.send import send
from app.model.email import Email, EmailRequest, Status
from app.model.outcome import Outcome, Stage
from app.web.arguments import CaselessSchema
from app.web.versions import location_of


class DecimalInteger(fields.Integer):
    """An integer as people write it; `int` would also read `1_0`, ` 1`, `+1` and digits of other scripts."""

    _DECIMAL = re.compile(r"-?[0-9]{1,9}")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not self._DECIMAL.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class WordedBoolean(fields.Boolean):
    """A truth value of a query string: true or false, without case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        text = value.lower() if isinstance(value, str) else None
        if text not in ("true", "false"):
            raise ValidationError("The test field must be true or false.")
        return text == "true"


class SendingQuerySchema(CaselessSchema):
    """How a message is to be sent."""

    smtp_id = DecimalInteger(
        data_key="smtpId",
        load_default=None,
        error_messages={"invalid": "The smtpId field must be an integer."},
        metadata={"description": "Index of the SMTP configuration; the first one when it is left out."},
    )
    is_test = WordedBoolean(
        data_key="test",
        load_default=False,
        metadata={"description": "Send from the configuration's test address, signed in with its test password."},
    )


class AttemptSchema(Schema):
    """One try at one SMTP configuration."""

    smtpId = fields.Integer(required=True)  # noqa: N815 - the wire's names
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    stage = fields.Enum(Stage, by_value=True, required=True)
    startedAt = fields.DateTime(required=True)  # noqa: N815
    durationMs = fields.Integer(required=True)  # noqa: N815


class EmailSchema(Schema):
    """The record of one email."""

    id = fields.String(required=True, metadata={"example": "A3F2B1C9", "pattern": "^[0-9A-F]{8}$"})
    status = fields.Enum(Status, by_value=True, required=True)
    requestedSmtpId = fields.Integer(required=True)  # noqa: N815
    isTest = fields.Boolean(required=True)  # noqa: N815
    createdAt = fields.DateTime(required=True, metadata={"example": "2026-01-07T12:34:56.789Z"})  # noqa: N815
    receptionEmail = fields.String(required=True)  # noqa: N815
    deliveredSmtpId = fields.Integer(required=True, allow_none=True)  # noqa: N815
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


def blueprint(office: Office) -> APIBlueprint:
    """The routes, working with this office."""
    routes = APIBlueprint("emails", __name__, url_prefix="/api/v1/emails", description="Send emails and follow them.")
    request_schema = email_request_schema(office.settings.limits, office.templates.names)

    @routes.route("", methods=["POST"])
    @routes.query_and_body(SendingQuerySchema(), request_schema)
    @routes.response(201, EmailSchema(), description="A server has accepted the message; see Location.")
    @routes.problems(
        s400="A property is wrong, the sender has to wait, or the SMTP configuration is unknown.",
        s413="The body is larger than allowed.",
        s415="The body is not application/json.",
        s502="No server took the message, or none confirmed it.",
        s503="The message could not be recorded, so nothing was sent; see Retry-After.",
    )
    @routes.shared_answers
    def create_email(query: dict[str, Any], request: EmailRequest) -> Response:
        """Send an email

        Answers when the SMTP server has answered.
        """
        email = send(office, request, **query)
        response = jsonify(resource(email))
        response.status_code = 201
        response.headers["Location"] = location_of("emails", email.id)
        return response

    @routes.route("/<emailId>")
    @routes.response(200, EmailSchema())
    @routes.alt_response(404, schema=MessageSchema(), description="There is no such email.")
    @routes.problems(s503="The record could not be read; see Retry-After.")
    @routes.shared_answers
    def get_email(emailId: str) -> Response:  # noqa: N803 - the name in the OpenAPI document
        """Look an email up"""
        return jsonify(resource(look_up(office, emailId)))

    return routes


def resource(email: Email) -> dict[str, Any]:
    """The record as JSON, written out because a schema's dump costs more than all the rest of the answer."""
    return {
        "id": email.id,
        "status": email.status,
        "requestedSmtpId": email.requested_smtp_id,
        "isTest": email.is_test,
        "createdAt": email.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "receptionEmail": email.reception_email,
        "deliveredSmtpId": email.delivered_smtp_id,
        "attempts": [
            {
                "smtpId": attempt.smtp_id,
                "outcome": attempt.outcome,
                "stage": attempt.stage,
                "startedAt": attempt.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "durationMs": attempt.duration_ms,
            }
            for attempt in email.attempts
        ],
    }
