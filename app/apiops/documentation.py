"""What the operations of `/apiops` say alike in the OpenAPI document: refusals, and the bodies around a connection."""

from collections.abc import Callable
from typing import Any, TypeVar

from marshmallow import Schema, fields

from app.web.openapi import DocumentedBlueprint

View = TypeVar("View", bound=Callable[..., Any])


class RefusalSchema(Schema):
    """Why a call was refused."""

    error = fields.String(required=True, metadata={"example": "bad_request"})
    error_description = fields.String(
        required=True, metadata={"example": "Connection (name: my-email-connection) already exists!"}
    )


class DeploymentSchema(Schema):
    """What became of a connection in one environment."""

    environmentName = fields.String(required=True, metadata={"example": "production"})  # noqa: N815 - the wire's names
    success = fields.Boolean(required=True)
    message = fields.String(required=True, metadata={"example": "Deployment successful"})


class DeploymentResultSchema(Schema):
    """What became of a connection everywhere."""

    success = fields.Boolean(required=True)
    deploymentResults = fields.List(fields.Nested(DeploymentSchema), required=True)  # noqa: N815


class ChangeSchema(Schema):
    """A change that was made."""

    success = fields.Boolean(required=True)
    deploymentResult = fields.Nested(  # noqa: N815
        DeploymentResultSchema,
        metadata={"description": "Absent when `deployToWorker` is false."},
    )


class StepSchema(Schema):
    """One step of a test."""

    name = fields.String(
        required=True, metadata={"enum": ["dns", "tcp", "tls", "ehlo", "auth", "mail", "message"], "example": "auth"}
    )
    success = fields.Boolean(required=True)
    durationMs = fields.Integer(required=True, metadata={"example": 12})  # noqa: N815
    detail = fields.String(required=True)
    remedy = fields.String(required=True, metadata={"description": "What to change; empty where nothing is to do."})


class TestSchema(Schema):
    """A test, up to the first step that failed."""

    __test__ = False

    success = fields.Boolean(required=True)
    steps = fields.List(fields.Nested(StepSchema), required=True)


class TokenSchema(Schema):
    """An access token (RFC 6749, section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(required=True, metadata={"description": "In seconds.", "example": 3600})


_REFUSAL = RefusalSchema()


class APIOpsBlueprint(DocumentedBlueprint):
    """A flask-smorest blueprint whose refusals have one schema."""

    def refusals(self, **descriptions: str) -> Callable[[View], View]:
        """Document refusals, the shared ones included; keywords are `s` and the status, `s400="..."`."""

        def decorate(view: View) -> View:
            for name, text in ({"s401": "No access token, or not a valid one."} | _ANYWHERE | descriptions).items():
                view = self.alt_response(int(name[1:]), schema=_REFUSAL, description=text)(view)
            return view

        return decorate


_ANYWHERE = {
    "s403": "The access token lacks the permission, or the client's address is blocked.",
    "s406": "The client does not accept JSON.",
    "s429": "Too many requests; see Retry-After.",
    "s500": "Unforeseen.",
    "s503": "The database does not answer, so nothing was changed; see Retry-After.",
}
