"""Statements of the hot path: defined with SQLAlchemy, compiled once, and given to the database's driver as they are.

Each POST runs about eight of them. SQLAlchemy spends some 60 us around each, and the driver 5.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]


def run(connection: Connection, text: str, parameters: Any = ()) -> Any:
    """The driver's cursor behind a statement; raises what SQLAlchemy would raise, without the parameters."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.execute(text, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        dbapi_error = connection.dialect.loaded_dbapi.Error
        raise DBAPIError.instance(text, None, error, dbapi_error, hide_parameters=True) from error


class Prepared:
    """One statement whose parameters are `bindparam`s; built at import, once per process and dialect compiled."""

    def __init__(self, statement: ClauseElement | Callable[[str], ClauseElement]) -> None:
        """`statement` may depend on the dialect's name: upserts are another construct in each."""
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def row(self, connection: Connection, values: Values) -> tuple[Any, ...] | None:
        """The first row of what the statement returns."""
        rows = self._execute(connection, values).fetchall()
        return tuple(rows[0]) if rows else None

    def count(self, connection: Connection, values: Values) -> int:
        """How many rows the statement matched."""
        matched: int = self._execute(connection, values).rowcount
        return matched

    def _execute(self, connection: Connection, values: Values) -> Any:
        name = connection.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            statement = self._statement(name) if not isinstance(self._statement, ClauseElement) else self._statement
            compiled = self._compiled[name] = _Compiled(statement, connection)
        return run(connection, compiled.text, compiled.parameters(values))


class _Compiled:
    def __init__(self, statement: ClauseElement, connection: Connection) -> None:
        compiled: Any = statement.compile(dialect=connection.dialect)
        self.text: str = str(compiled)
        self._names: list[str] | None = compiled.positiontup
        self._fixed: dict[str, Any] = compiled.construct_params(_check=False)
        self._processors: dict[str, Any] = compiled._bind_processors

    def parameters(self, values: Values) -> Any:
        """In the form that the driver takes: by position for SQLite, by name for PostgreSQL."""
        every = self._fixed | values  # type: ignore[operator]
        for name, process in self._processors.items():
            every[name] = process(every[name])
        return every if self._names is None else [every[name] for name in self._names]
