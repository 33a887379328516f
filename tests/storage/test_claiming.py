"""Which queued emails a worker gets: as many as it asked for, the most urgent first."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from app.storage import queue
from app.storage.database import Database
from app.storage.schema import migrate

NOW_MS = 1_800_000_000_000


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        migrate(database)
        yield database


def _add(connection: Connection, *, count: int, status: str) -> None:
    """Emails with ids from `status` and their number; those that are queued wait, of all priorities in turn."""
    phase, settled_at, next_attempt_at = {
        "Sent": ("settled", NOW_MS, None),
        "Queued": ("recorded", None, NOW_MS - 1),
        "Deferred": ("recorded", None, NOW_MS + 1000),
    }[status]
    statement = """
        WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :count)
        INSERT INTO emails (
            id, status, phase, requested_smtp_id, is_test, sender, reception_email, attempts, created_at, settled_at,
            priority, rounds, expires_at, next_attempt_at
        )
        SELECT
            :letter || number, :status, :phase, 1, FALSE, 'b@x.example', 'a@x.example', '[]', :now_ms,
            CAST(:settled_at AS BIGINT), number % 4, 0, :now_ms, CAST(:next_attempt_at AS BIGINT)
        FROM numbers
    """
    values = {
        "letter": status[0],
        "count": count,
        "status": status,
        "phase": phase,
        "now_ms": NOW_MS,
        "settled_at": settled_at,
        "next_attempt_at": next_attempt_at,
    }
    connection.execute(text(statement), values)


def _claim(database: Database, limit: int, *, oldest: int = 0, now_ms: int = NOW_MS) -> list[tuple[str, int]]:
    """The ids and the priorities' ranks."""

    def work(connection: Connection) -> list[tuple[str, int]]:
        taken = queue.claim(connection, now_ms=now_ms, lease_until_ms=now_ms + 30_000, limit=limit, oldest=oldest)
        return [(email.id, email.priority.rank) for email in taken]

    return database.write(work)


def _analyse(database: Database) -> None:
    """Let the planner know the table as it is after weeks: mostly settled."""
    if database.is_sqlite:
        database.write(lambda connection: connection.execute(text("ANALYZE")) and None)
        return
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE emails")


@pytest.mark.parametrize("settled", [0, 20_000])
def test_no_more_is_taken_than_was_asked_for_and_the_most_urgent_first(database: Database, settled: int) -> None:
    if settled:
        database.write(lambda connection: _add(connection, count=settled, status="Sent"))
    _analyse(database)
    database.write(lambda connection: _add(connection, count=20, status="Queued"))
    first, others, rest = (_claim(database, limit) for limit in (1, 8, 100))
    assert [[rank for _, rank in taken] for taken in (first, others, rest)] == [
        [0],
        [0] * 4 + [1] * 4,
        [1] + [2] * 5 + [3] * 5,
    ]
    assert len({email_id for email_id, _ in (*first, *others, *rest)}) == 20


def test_who_has_been_due_for_longest_is_taken_whatever_the_priority(database: Database) -> None:
    def add(connection: Connection, email_id: str, priority: int, due_ms: int) -> None:
        statement = """
            INSERT INTO emails (
                id, status, phase, requested_smtp_id, is_test, sender, reception_email, attempts, created_at, priority,
                rounds, expires_at, next_attempt_at
            ) VALUES (:id, 'Queued', 'recorded', 1, FALSE, '', '', '[]', 1, :priority, 0, 1, :due_ms)
        """
        connection.execute(text(statement), {"id": email_id, "priority": priority, "due_ms": due_ms})

    for email_id, priority, waits_s in (("URGENT", 0, 30), ("HIGH", 1, 200), ("LOW", 3, 300), ("NORMAL", 2, 59)):
        database.write(
            lambda connection, email_id=email_id, priority=priority, waits_s=waits_s: add(  # type: ignore[misc]
                connection, email_id, priority, NOW_MS - 1000 * waits_s
            )
        )
    assert _claim(database, 2, oldest=1) == [("URGENT", 0), ("LOW", 3)]
    assert _claim(database, 1, oldest=1) == [("HIGH", 1)]
    assert _claim(database, 1, oldest=1) == [("NORMAL", 2)], "nobody has waited for long: by priority, as ever"


@pytest.mark.parametrize("oldest", [0, 2])
def test_the_indexes_give_what_is_due_in_its_order_however_much_waits(database: Database, oldest: int) -> None:
    for status in ("Sent", "Deferred", "Queued"):
        database.write(lambda connection, status=status: _add(connection, count=5000, status=status))  # type: ignore[misc]
    _analyse(database)
    plans: list[str] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("UPDATE", "WITH")):
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if database.is_sqlite else ''}{statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(database._writer, "before_cursor_execute", explain)
    taken = _claim(database, 8, oldest=oldest, now_ms=NOW_MS + 100)
    assert [rank for _, rank in taken] == [0] * 8
    assert len(plans) == (2 if oldest else 1)
    for plan in plans:
        # Some ids are put into order, but never all that waits.
        assert "ix_emails_next_attempt" in plan, plan
        for slow in ("SCAN emails", "Seq Scan", "Filter: (priority", "Filter: (emails_1.priority"):
            assert slow not in plan, plan
