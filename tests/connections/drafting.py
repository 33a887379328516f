"""Drafts of connections and what is wrong with bodies, for the tests of types; the bodies of the documentation."""

from typing import Any

import pytest

from app.connections.drafts import draft_of
from app.connections.fields import Limits
from app.errors import ConnectionInvalid
from app.model.connection import Connection
from app.model.smtp import Reach

ANYWHERE = Limits(ports=(25, 465, 587, 2525), reach=Reach())
PUBLIC = Limits(ports=(25, 465, 587, 2525), reach=Reach(is_limited=True))

DATABASE = {
    "type": "database",
    "name": "my-db-connection",
    "description": "PostgreSQL database connection",
    "deployToWorker": True,
    "enabled": True,
    "host": "localhost",
    "port": 5432,
    "databaseName": "mydb",
    "username": "dbuser",
    "password": "dbpassword",
    "driverClassName": "org.postgresql.Driver",
    "jdbcUrl": "jdbc:postgresql://localhost:5432/mydb",
}
KAFKA = {
    "type": "kafka",
    "name": "my-kafka-connection",
    "description": "Kafka connection for event streaming",
    "deployToWorker": True,
    "enabled": True,
    "topicName": "events",
    "bootstrapServers": "localhost:9092",
    "keyStoreName": "my-keystore",
    "trustStoreName": "my-truststore",
}


def draft(body: dict[str, Any], *, limits: Limits = ANYWHERE, **update: str) -> Connection:
    name = body.get("name")
    given = {"path_name": name if isinstance(name, str) else "x"} | update
    return draft_of(body, project_id=1, limits=limits, **given)


def faults(body: dict[str, Any], *, limits: Limits = ANYWHERE, **update: str) -> dict[str, list[str]]:
    with pytest.raises(ConnectionInvalid) as refusal:
        draft(body, limits=limits, **update)
    return refusal.value.errors
