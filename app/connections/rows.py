"""A connection, and the row that it is stored as: all that belongs to its type is sealed, bound to that one row."""

import json
from dataclasses import replace

from app.connections.sealing import Sealer
from app.model.connection import Connection
from app.storage.connections import ConnectionRow


def to_row(sealer: Sealer, connection: Connection) -> ConnectionRow:
    """The row of a connection that has its id."""
    content = json.dumps({"description": connection.description, "fields": dict(connection.fields)})
    sealed = sealer.seal(content, context=place_of(connection.project_id, connection.id))
    return replace(unsealed_row(connection), sealed=sealed)


def unsealed_row(connection: Connection) -> ConnectionRow:
    """What reserves the name, and brings the id that the fields are sealed for."""
    return ConnectionRow(
        id=connection.id,
        project_id=connection.project_id,
        type=connection.type,
        name=connection.name,
        deploy_to_worker=connection.deploy_to_worker,
        enabled=connection.enabled,
        sealed="",
    )


def from_row(sealer: Sealer, row: ConnectionRow) -> Connection:
    """The connection in a row. Raises SealBroken."""
    content = json.loads(sealer.open(row.sealed, context=place_of(row.project_id, row.id)))
    return replace(without_fields(row), description=content["description"], fields=content["fields"])


def without_fields(row: ConnectionRow) -> Connection:
    """What is known of a connection that cannot be opened."""
    return Connection(
        id=row.id,
        project_id=row.project_id,
        type=row.type,
        name=row.name,
        deploy_to_worker=row.deploy_to_worker,
        enabled=row.enabled,
    )


def place_of(project_id: int, connection_id: int) -> str:
    """What a row is sealed for. Neither id ever changes or comes again, so a rename needs no new seal."""
    return f"connection/{project_id}/{connection_id}"
