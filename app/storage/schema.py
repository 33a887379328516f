"""Brings the database to the newest schema; run by the service's start, safe when many processes start at once."""

from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from app.errors import DatabaseUnusable
from app.storage.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_ID = 0x1E77E2
"""Any number that nothing else in the database uses as an advisory lock."""


def migrate(database: Database) -> None:
    """Run what is missing of `migrations/versions`, all or nothing, while other starting processes wait.

    Raises DatabaseUnusable with the cause.
    """
    try:
        _upgrade(database)
    except (SQLAlchemyError, _Unknown, OSError) as error:
        shown = database.url.render_as_string(hide_password=True)
        raise DatabaseUnusable(f"the database {shown} cannot be used; check DATABASE_URL and VAR_DIR") from error


def newest_revision() -> str:
    """Of the files in `migrations/versions`, whose names begin with it."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


class _Unknown(Exception):
    """The database is at a revision that this version of the service does not have."""


def _upgrade(database: Database) -> None:
    with closing(database.connect_for_migration()) as connection, connection.begin():
        _lock(connection, is_sqlite=database.is_sqlite)
        if _revision(connection) != newest_revision():
            _run_alembic(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _run_alembic(connection: Connection) -> None:
    # Importing it takes a sixth of a start, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise _Unknown(str(error)) from error


def _lock(connection: Connection, *, is_sqlite: bool) -> None:
    # On SQLite the transaction itself has held the write lock since its BEGIN IMMEDIATE.
    if not is_sqlite:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock_id)"), {"lock_id": _LOCK_ID})
