"""What a status change does not write: leases are in no index, and cooldowns are stored by their key."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.errors import RecordConflict
from app.storage import emails
from app.storage.database import Database
from app.storage.schema import migrate
from tests.storage.test_migrations import go_to


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_abandoned_are_found_among_those_under_way(database: Database) -> None:
    """However many emails there are, and however many wait for a worker."""
    migrate(database)
    statements: list[str] = []

    def plans(connection: Connection) -> list[str]:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        emails.settle_abandoned(connection, now_ms=1)
        driver.set_trace_callback(None)
        return [row[3] for each in statements for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")]

    plans_found = [plan for plan in database.write(plans) if "SCAN" in plan or "SEARCH" in plan]
    assert plans_found == ["SCAN emails USING INDEX ix_emails_under_way"] * 3


def test_cooldowns_outlive_the_migration_and_the_way_back(database: Database) -> None:
    go_to(database, "0004")
    row = ("anna@example.com", 1, False, 3, 1000, "0000AAAA", 2000)

    def insert(connection: Connection) -> None:
        names = ("sender", "smtp_id", "is_test", "usage", "last_sent_at", "reserved_by", "reserved_until")
        values = dict(zip(names, row, strict=True))
        columns = ", ".join(names)
        places = ", ".join(f":{name}" for name in names)
        connection.execute(text(f"INSERT INTO cooldowns ({columns}) VALUES ({places})"), values)

    def rows(connection: Connection) -> list[tuple[Any, ...]]:
        return [tuple(each) for each in connection.execute(text("SELECT * FROM cooldowns"))]

    database.write(insert)
    for is_back, revision in ((False, "0005"), (True, "0004"), (False, "head")):
        go_to(database, revision, is_back=is_back)
        assert database.read(rows) == [row]
        with pytest.raises(RecordConflict):
            database.write(insert)
        with pytest.raises(RecordConflict):
            database.write(lambda connection: connection.execute(text("UPDATE cooldowns SET usage = -1")) and None)
