"""Brings the database to the newest schema; run by the service's start, safe when many processes start at once."""

from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
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
    except (SQLAlchemyError, CommandError, OSError) as error:
        shown = database.url.render_as_string(hide_password=True)
        raise DatabaseUnusable(f"the database {shown} cannot be used; check DATABASE_URL and VAR_DIR") from error


def _upgrade(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with closing(database.connect_for_migration()) as connection, connection.begin():
        _lock(connection, is_sqlite=database.is_sqlite)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock(connection: Connection, *, is_sqlite: bool) -> None:
    # On SQLite the transaction itself has held the write lock since its BEGIN IMMEDIATE.
    if not is_sqlite:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock_id)"), {"lock_id": _LOCK_ID})
