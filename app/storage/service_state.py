"""Queries on `service_state`: facts of the whole deployment, each a name and a text."""

from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.storage.database import Database
from app.storage.tables import service_state

_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}


def read(connection: Connection, name: str) -> str | None:
    return connection.execute(select(service_state.c.value).where(service_state.c.name == name)).scalar()


def glance(database: Database, name: str) -> str | None:
    """The same as `read`, for what every request asks."""
    if database.is_sqlite:
        value: str | None = database.glance("SELECT value FROM service_state WHERE name = ?", name)
        return value
    return database.read(lambda connection: read(connection, name))


def replace_if(connection: Connection, name: str, *, old: str | None, new: str) -> bool:
    """Write `new` if the value is still `old` (None: not there yet). Of many processes, one gets True."""
    if old is None:
        insert = _DIALECTS[connection.dialect.name].insert(service_state).values(name=name, value=new)
        inserted = insert.on_conflict_do_nothing(index_elements=["name"]).returning(service_state.c.name)
        return connection.execute(inserted).first() is not None
    matches = (service_state.c.name == name) & (service_state.c.value == old)
    return connection.execute(update(service_state).where(matches).values(value=new)).rowcount == 1


def put(connection: Connection, name: str, value: str) -> None:
    """Write a value, whatever was there."""
    insert_anew = _DIALECTS[connection.dialect.name].insert(service_state).values(name=name, value=value)
    connection.execute(insert_anew.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
