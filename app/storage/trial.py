"""A write that is there to be tried: it shows whether the database takes writes, and leaves nothing behind."""

from secrets import token_hex

from sqlalchemy import Connection, delete

from app.storage import service_state
from app.storage.tables import service_state as table

_SIZE = 16 * 1024
"""Enough that it cannot be squeezed in where rows are already: a database that may not grow has to show."""


def write_and_remove(connection: Connection) -> None:
    """Writes a row of its own, which no other process waits for, and removes it in the same transaction."""
    name = f"trial {token_hex(8)}"
    service_state.put(connection, name, "x" * _SIZE)
    connection.execute(delete(table).where(table.c.name == name))
