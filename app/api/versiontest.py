"""`/api/v1/versiontest` and `/api/v2/versiontest`: shows a client how its version was understood."""

from flask import Response, jsonify
from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from app.api.documentation import APIBlueprint
from app.web.authentication import access
from app.web.versions import VersionSource, api_call


class VersionTestSchema(Schema):
    """How the version was understood."""

    version = fields.String(required=True, metadata={"example": "1.0"})
    message = fields.String(required=True)
    versionSource = fields.String(  # noqa: N815 - the wire's name
        required=True, validate=OneOf([source.value for source in VersionSource])
    )


class VersionTest2Schema(VersionTestSchema):
    """The same, with what 2.0 adds."""

    additionalInfo = fields.String(required=True)  # noqa: N815


def blueprint() -> APIBlueprint:
    """The routes of both versions: the way a resource gets another one."""
    routes = APIBlueprint("versiontest", __name__, url_prefix="/api", description="Try versions.")

    @routes.route("/v1/versiontest")
    @routes.response(200, VersionTestSchema())
    @routes.shared_answers
    @access(is_open=True)
    def show_version_1() -> Response:
        """Show how version 1.0 was asked for"""
        return jsonify(_answer("1.0"))

    @routes.route("/v2/versiontest")
    @routes.response(200, VersionTest2Schema())
    @routes.shared_answers
    @access(is_open=True)
    def show_version_2() -> Response:
        """Show how version 2.0 was asked for"""
        return jsonify(_answer("2.0") | {"additionalInfo": "Only version 2.0 has this property."})

    return routes


def _answer(version: str) -> dict[str, str]:
    call = api_call()
    source = call.source if call and call.source else VersionSource.URL
    return {"version": version, "message": f"This is version {version} of the API.", "versionSource": source}
