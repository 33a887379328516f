"""`/apiops/projects/{projectName}/connections/`: a project's connections, each deployed when it changes, and tested.

The project in the path is the caller's, which the door has seen to, so the views leave it aside.
"""

from typing import Any

from flask import Response, request

from app.apiops import answers, schemas
from app.apiops.bodies import json_body
from app.apiops.documentation import APIOpsBlueprint, ChangeSchema, TestSchema
from app.connections import manage
from app.connections.deployment import deploy, withdraw
from app.connections.examination import examine
from app.connections.registry import Registry
from app.connections.smtp_configurations import smtp_configuration
from app.errors import ConnectionInvalid
from app.model.access import Permission
from app.model.connection import Connection, Deployment
from app.web.authentication import access, required_caller

_NO_PROJECT = "The token knows no such project."
_NO_CONNECTION = "The token knows no such project, or it has no such connection."
_INVALID = (
    "A field is missing or wrong (each one is named), the names in path and body differ, or there is a connection of "
    "that name already."
)


def blueprint(registry: Registry) -> APIOpsBlueprint:
    """The routes, working with this registry."""
    routes = APIOpsBlueprint(
        "connections",
        __name__,
        url_prefix="/apiops/projects/<projectName>/connections",
        description="Manage the connections of a project.",
    )

    @routes.route("/")
    @routes.doc(parameters=[schemas.TYPE_PARAMETER])
    @routes.response(200, schemas.LIST, description="The connections, ordered by name; secrets are null.")
    @routes.refusals(s400="The type is not one of the table.", s404=_NO_PROJECT)
    @access(Permission.CONNECTIONS_VIEW)
    def list_connections(**_: str) -> Response:
        """List the connections of a project"""
        connections = manage.list_connections(registry, required_caller(), type=_asked_type())
        return answers.connection_list(connections, shows_secrets=False)

    @routes.route("/<connectionName>/")
    @routes.response(200, schemas.LIST, description="A list with the one connection.")
    @routes.refusals(s404=_NO_CONNECTION)
    @access(Permission.CONNECTIONS_VIEW)
    def get_connection(connectionName: str, **_: str) -> Response:  # noqa: N803 - the name in the OpenAPI document
        """Read a connection

        Its secrets are null, unless the token has `CONNECTIONS:MANAGE`.
        """
        caller = required_caller()
        shows_secrets = caller.may(Permission.CONNECTIONS_MANAGE)
        read = manage.reveal_connection if shows_secrets else manage.get_connection
        return answers.connection_list([read(registry, caller, connectionName)], shows_secrets=shows_secrets)

    @routes.route("/<connectionName>/", methods=["POST"])
    @routes.doc(requestBody=schemas.request_body(schemas.CREATE_BODY))
    @routes.response(200, ChangeSchema(), description="The connection is stored.")
    @routes.refusals(s400=_INVALID, s404=_NO_PROJECT, s413="The body is larger than allowed.")
    @access(Permission.CONNECTIONS_MANAGE)
    def create_connection(connectionName: str, **_: str) -> Response:  # noqa: N803
        """Create a connection

        The names in path and body are the same, without case.
        """
        connection = manage.create_connection(registry, required_caller(), connectionName, json_body())
        return answers.change(_deployed(connection))

    @routes.route("/<connectionName>/", methods=["PUT"])
    @routes.doc(requestBody=schemas.request_body(schemas.UPDATE_BODY))
    @routes.response(200, ChangeSchema(), description="The connection is stored.")
    @routes.refusals(
        s400=_INVALID + " Or there is no connection of the path's name.",
        s404=_NO_PROJECT,
        s413="The body is larger than allowed.",
    )
    @access(Permission.CONNECTIONS_MANAGE)
    def update_connection(connectionName: str, **_: str) -> Response:  # noqa: N803
        """Update or rename a connection

        The body replaces all of it. Another name in the body is the new name; without one it keeps its name.
        """
        connection = manage.update_connection(registry, required_caller(), connectionName, json_body())
        return answers.change(_deployed(connection))

    @routes.route("/<connectionName>/", methods=["DELETE"])
    @routes.response(200, ChangeSchema(), description="The connection is gone.")
    @routes.refusals(s400="There is no such connection.", s404=_NO_PROJECT)
    @access(Permission.CONNECTIONS_MANAGE)
    def delete_connection(connectionName: str, **_: str) -> Response:  # noqa: N803
        """Delete a connection

        Nothing more is sent through it; a message that is under way is finished.
        """
        connection = manage.delete_connection(registry, required_caller(), connectionName)
        return answers.change([withdraw(registry, connection)] if connection.deploy_to_worker else [])

    @routes.route("/<connectionName>/test/", methods=["POST"])
    @routes.response(200, TestSchema(), description="What worked, up to the first step that did not.")
    @routes.refusals(s400="Only connections of type email can be tested.", s404=_NO_CONNECTION)
    @access(Permission.CONNECTIONS_MANAGE)
    def test_connection(connectionName: str, **_: str) -> Response:  # noqa: N803
        """Test an email connection

        Connects, signs in, and sends one message to `addressToTest`.
        """
        connection = manage.get_connection(registry, required_caller(), connectionName)
        if connection.type != "email":
            raise ConnectionInvalid({"type": [f"A connection of type {connection.type} cannot be tested, only email."]})
        configuration = smtp_configuration(connection, reach=registry.settings.connection_reach)
        with registry.check_limit.place(connection.project_id):
            return answers.examination(examine(configuration, address_to_test=configuration.test_recipient))

    def _deployed(connection: Connection) -> list[Deployment]:
        return [deploy(registry, connection)] if connection.deploy_to_worker else []

    return routes


def _asked_type() -> str | None:
    """The query's type. Given twice it is an error, as two readers might pick different ones."""
    types: list[Any] = request.args.getlist("type")
    if len(set(types)) > 1:
        raise ConnectionInvalid({"type": ["The type parameter is given more than once."]})
    return types[0] if types else None
