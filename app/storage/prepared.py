"""Statements of the hot path: defined with SQLAlchemy, compiled once, and given to the database's driver as they are.

Each POST runs six of them. SQLAlchemy spends some 60 us around each, and the driver 5.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from operator import itemgetter
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

    def count(self, connection: Connection, values: Values) -> int:
        """How many rows the statement inserted or matched."""
        matched: int = self._execute(connection, values).rowcount
        return matched

    def row(self, connection: Connection, values: Values) -> tuple[Any, ...] | None:
        """The first row of what the statement returns."""
        rows = self._execute(connection, values).fetchall()
        return tuple(rows[0]) if rows else None

    def _execute(self, connection: Connection, values: Values) -> Any:
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection)
        return run(connection, compiled.text, compiled.parameters(values))

    def _compile(self, connection: Connection) -> "_Compiled":
        name = connection.dialect.name
        statement = self._statement if isinstance(self._statement, ClauseElement) else self._statement(name)
        compiled = self._compiled[name] = _Compiled(statement, connection)
        return compiled


class _Compiled:
    def __init__(self, statement: ClauseElement, connection: Connection) -> None:
        compiled: Any = statement.compile(dialect=connection.dialect)
        processors = compiled._bind_processors
        fixed = {
            name: value
            for name, value in compiled.construct_params(_check=False).items()
            if not compiled.binds[name].required
        }
        self.text: str = str(compiled)
        self._fixed: dict[str, Any] = {
            name: processors[name](value) if name in processors else _plain(value) for name, value in fixed.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if name not in fixed]
        self._in_order = itemgetter(*compiled.positiontup) if compiled.positiontup else None

    def parameters(self, values: Values) -> Any:
        """In the form that the driver takes: by position for SQLite, by name for PostgreSQL."""
        every = {**self._fixed, **values}
        for name, process in self._processors:
            every[name] = process(every[name])
        return every if self._in_order is None else self._in_order(every)


def _plain(value: object) -> object:
    """A driver takes text as it is; of an enumeration's member it would look up first how to adapt it."""
    return value.value if isinstance(value, Enum) else value
