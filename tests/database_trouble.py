"""What can happen to a database while the service runs, each as a context: inside it is so, afterwards it is over.

    @EVERY_TROUBLE
    def test_something(database_url, trouble):
        with trouble(office):
            ...

Some leave reads working, `NO_READS` do not. Who uses them makes the service impatient first (`be_impatient`).
"""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.emails.office import Office
from app.storage import database, postgresql
from tests.conftest import POSTGRESQL

Trouble = Callable[[Office], AbstractContextManager[None]]


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of databases that are opened from now on: waits are short, so that tests are."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(database, "_PAUSE_S", 0.0)
    monkeypatch.setattr(postgresql, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(postgresql, "SILENCE_S", 0.4)
    monkeypatch.setitem(postgresql.ARGUMENTS, "connect_timeout", 1)
    monkeypatch.setitem(postgresql.ARGUMENTS, "options", "-c statement_timeout=200ms -c lock_timeout=200ms")


@contextmanager
def sqlite_locked(office: Office) -> Iterator[None]:
    """Another process writes and does not come to an end."""
    with closing(sqlite3.connect(_path(office), isolation_level=None, check_same_thread=False)) as intruder:
        intruder.execute("BEGIN EXCLUSIVE")
        yield
        intruder.rollback()


@contextmanager
def sqlite_read_only(office: Office) -> Iterator[None]:
    _pragma(office, "query_only=ON")
    yield
    _pragma(office, "query_only=OFF")


@contextmanager
def sqlite_disk_full(office: Office) -> Iterator[None]:
    """The write-ahead log cannot grow: this process may not write any file beyond its size."""
    log = Path(f"{_path(office)}-wal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def postgresql_away(office: Office) -> Iterator[None]:
    """It ends every session and lets nobody in, as it does while it restarts."""
    name = office.database.url.database
    with _server() as server:
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        end_sessions(office)
        yield
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


@contextmanager
def postgresql_read_only(office: Office) -> Iterator[None]:
    """As a replica is that has not been promoted yet."""
    name = office.database.url.database
    with _server() as server:
        server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        end_sessions(office)
        yield
        server.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        end_sessions(office)


@contextmanager
def postgresql_stuck(office: Office) -> Iterator[None]:
    """Another session holds the tables, for reads and writes."""
    with psycopg.connect(POSTGRESQL, dbname=office.database.url.database) as intruder:
        intruder.execute("LOCK TABLE emails, service_state IN ACCESS EXCLUSIVE MODE")
        yield
        intruder.rollback()


def end_sessions(office: Office) -> None:
    """Ends every session of the database, in the middle of whatever it is doing."""
    with _server() as server:
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        server.execute(sessions, [office.database.url.database])


NO_READS = (postgresql_away, postgresql_stuck)

EVERY_TROUBLE = pytest.mark.parametrize(
    ("database_url", "trouble"),
    [
        pytest.param(kind, trouble, id=trouble.__name__)
        for kind, trouble in (
            ("sqlite", sqlite_locked),
            ("sqlite", sqlite_read_only),
            ("sqlite", sqlite_disk_full),
            ("postgresql", postgresql_away),
            ("postgresql", postgresql_read_only),
            ("postgresql", postgresql_stuck),
        )
    ],
    indirect=["database_url"],
)


def _path(office: Office) -> str:
    assert office.database.url.database
    return office.database.url.database


def _pragma(office: Office, pragma: str) -> None:
    with closing(office.database.connect_for_migration()) as connection:
        # Past SQLAlchemy, which would begin a transaction for it.
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA {pragma}")


def _server() -> Any:
    return psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=2)
