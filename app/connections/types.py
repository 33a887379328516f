"""The table of the connection types, a row each, and how a connection is shown.

A new type is a new row. The fields of an open type that are not declared here are kept as they are given. `drafts`
reads bodies by this table, and the OpenAPI document is built from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.connections.email_type import EMAIL
from app.connections.fields import ConnectionType, Field, port_field, says_secret
from app.model.connection import Connection


def _example(type: str, **fields: Any) -> dict[str, Any]:
    common = {"type": type, "name": f"my-{type.lower()}-connection", "deployToWorker": True, "enabled": True}
    return common | fields


def _text(name: str, description: str, *, example: str, format: str | None = None) -> Field:
    return Field(name=name, type="string", description=description, example=example, format=format)


def _open_type(name: str, description: str) -> ConnectionType:
    return ConnectionType(name=name, description=description, example=_example(name))


_DATABASE = ConnectionType(
    name="database",
    description="A database that is reached through JDBC.",
    fields=(
        _text("host", "The host of the database server.", example="localhost"),
        port_field(default=None, example=5432, description="The port of the database server."),
        _text("databaseName", "The name of the database.", example="mydb"),
        _text("username", "Who signs in.", example="dbuser"),
        _text("password", "The password to sign in with. A secret.", example="YOUR_PASSWORD", format="password"),
        _text("driverClassName", "The Java class of the driver.", example="org.postgresql.Driver"),
        _text("jdbcUrl", "The JDBC URL.", example="jdbc:postgresql://localhost:5432/mydb"),
    ),
    example=_example(
        "database",
        host="localhost",
        port=5432,
        databaseName="mydb",
        username="dbuser",
        password="YOUR_PASSWORD",  # noqa: S106 - a placeholder in the documentation
        driverClassName="org.postgresql.Driver",
        jdbcUrl="jdbc:postgresql://localhost:5432/mydb",
    ),
)
_KAFKA = ConnectionType(
    name="kafka",
    description="A Kafka cluster.",
    fields=(
        _text("topicName", "The topic.", example="events"),
        _text("bootstrapServers", "The first servers to ask, separated by commas.", example="localhost:9092"),
        _text("keyStoreName", "The name of a key store.", example="my-keystore"),
        _text("trustStoreName", "The name of a trust store.", example="my-truststore"),
    ),
    example=_example(
        "kafka",
        topicName="events",
        bootstrapServers="localhost:9092",
        keyStoreName="my-keystore",
        trustStoreName="my-truststore",
    ),
)
_ROWS = (
    EMAIL,
    _KAFKA,
    _open_type("elasticsearch", "An Elasticsearch cluster."),
    _DATABASE,
    _open_type("ldap", "An LDAP directory."),
    _open_type("ftp", "An FTP server."),
    _open_type("rabbitMq", "A RabbitMQ broker."),
    _open_type("activeMq", "An Apache ActiveMQ broker."),
    _open_type("snmp", "An SNMP receiver."),
    _open_type("linux-script", "A script on a Linux machine."),
    _open_type("ops-genie", "An OpsGenie account."),
    _open_type("graylog", "A Graylog server."),
    _open_type("syslog", "A syslog server."),
    _open_type("webhook", "A URL that is called."),
    _open_type("logback", "A Logback appender."),
)
TYPES: Mapping[str, ConnectionType] = MappingProxyType({row.name: row for row in _ROWS})

COMMON_FIELDS = (
    Field(name="type", type="string", description="Which type of connection it is.", is_required=True, example="email"),
    Field(
        name="name",
        type="string",
        description="The name in the path, compared without case. On update it may be left out, or be a new name.",
        example="my-email-connection",
    ),
    Field(name="description", type="string", description="What it is for.", example="Connection for notifications"),
    Field(
        name="deployToWorker",
        type="boolean",
        default=True,
        description="Whether it is handed to the senders.",
        example=True,
    ),
    Field(
        name="enabled",
        type="boolean",
        default=True,
        description="Whether it is used. A disabled one is only kept.",
        example=True,
    ),
)


def public_fields(connection: Connection) -> dict[str, Any]:
    """What the wire shows of a connection: secrets in clear, defaults filled in, in the order of the table."""
    declared = {field.name: field.default for field in TYPES[connection.type].fields}
    fields = declared | dict(connection.fields)
    return {
        "type": connection.type,
        "name": connection.name,
        "description": connection.description,
        "deployToWorker": connection.deploy_to_worker,
        "enabled": connection.enabled,
    } | {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def masked(document: Any) -> Any:
    """The same document with null for every secret, at any depth."""
    if isinstance(document, list | tuple):
        return [masked(each) for each in document]
    if not isinstance(document, Mapping):
        return document
    shown = {name: None if says_secret(name) else masked(value) for name, value in document.items()}
    if isinstance(name := document.get("name"), str) and "value" in document and says_secret(name):
        shown["value"] = None
    return shown
