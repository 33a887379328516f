"""How tables are pruned: in portions, so that whoever wants to write gets a turn in between.

Used by the `prune` of each table, which deletes a portion and returns how many rows that were; 0 says that all is done.
"""

from sqlalchemy import ColumnElement, Connection, Table, any_, delete, func, literal_column, select, tuple_

PORTION = 1000
"""Rows in one transaction: some 20 ms on a common disk, far below what anybody waits for a write."""


def delete_portion(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete at most `PORTION` of the rows that meet the condition; the number of deleted rows."""
    if connection.dialect.name == "postgresql":
        # Where it keeps a row: the one search that its planner cannot turn into a join with the whole table.
        place: ColumnElement[object] = literal_column("ctid")
        places = select(place).select_from(table).where(condition).limit(PORTION).correlate(None)
        is_chosen = place == any_(func.array(places.scalar_subquery()))
    else:
        key = table.primary_key.columns
        is_chosen = tuple_(*key).in_(select(*key).where(condition).limit(PORTION).correlate(None))
    # Asked again: in the meantime another process may have written to the row.
    return connection.execute(delete(table).where(is_chosen, condition)).rowcount
