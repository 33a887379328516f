"""INSERT that yields to what is there: a conflict is an answer here, not a broken transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}


def insert_or_none(
    connection: Connection, table: Table, values: Mapping[str, Any], *, unique: Sequence[str]
) -> int | None:
    """Insert one row into a table with a numeric `id`; that id, or None when the `unique` columns are taken."""
    insert = _DIALECTS[connection.dialect.name].insert(table).values(**values)
    statement = insert.on_conflict_do_nothing(index_elements=list(unique)).returning(table.c.id)
    inserted: int | None = connection.execute(statement).scalar()
    return inserted
