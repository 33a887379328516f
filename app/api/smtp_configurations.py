"""`/api/v1/smtp-configurations`: which configurations `smtpId` can pick. Never a password, nor its name."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from app.api.documentation import APIBlueprint, MessageSchema
from app.emails.configurations import selectable
from app.emails.office import Office
from app.model.access import Permission
from app.model.smtp import SMTPConfiguration
from app.web.authentication import access, caller
from app.web.errors import not_found


class SMTPConfigurationSchema(Schema):
    """One SMTP configuration."""

    index = fields.Integer(required=True, metadata={"example": 1})
    host = fields.String(required=True, metadata={"example": "smtp.example.com"})
    port = fields.Integer(required=True, metadata={"example": 465})
    email = fields.String(required=True, metadata={"example": "web@example.com"})
    testEmail = fields.String(required=True, metadata={"example": "test@example.com"})  # noqa: N815 - the wire's name
    description = fields.String(required=True)


def blueprint(office: Office) -> APIBlueprint:
    """The routes, showing this office's configurations."""
    routes = APIBlueprint(
        "smtp-configurations",
        __name__,
        url_prefix="/api/v1/smtp-configurations",
        description="What smtpId can pick.",
    )

    @routes.route("")
    @routes.response(200, SMTPConfigurationSchema(many=True))
    @routes.shared_answers
    @access(Permission.EMAILS_SEND, Permission.EMAILS_VIEW, is_open=True)
    def list_smtp_configurations() -> Response:
        """List the SMTP configurations, in the order in which they are tried

        Behind the configured ones stand the email connections of the access token's project, from index 1000 upward.
        """
        return jsonify([_resource(configuration) for configuration in selectable(office, caller())])

    @routes.route("/<smtpId>")
    @routes.response(200, SMTPConfigurationSchema())
    @routes.alt_response(404, schema=MessageSchema(), description="There is no such configuration.")
    @routes.shared_answers
    @access(Permission.EMAILS_SEND, Permission.EMAILS_VIEW, is_open=True)
    def get_smtp_configuration(smtpId: str) -> Response:  # noqa: N803 - the name in the OpenAPI document
        """Show one SMTP configuration"""
        for configuration in selectable(office, caller()):
            if str(configuration.index) == smtpId:
                return jsonify(_resource(configuration))
        return not_found(f"SMTP configuration '{smtpId}' was not found.")

    return routes


def _resource(configuration: SMTPConfiguration) -> dict[str, Any]:
    return {
        "index": configuration.index,
        "host": configuration.host,
        "port": configuration.port,
        "email": configuration.account.address,
        "testEmail": configuration.test_email,
        "description": configuration.description,
    }
