"""A PostgreSQL that falls silent, loses the answer to a COMMIT, or has a row that somebody else holds."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from app.errors import RecordUnavailable
from app.storage import database as database_module
from app.storage.database import Database
from tests.database_trouble import be_impatient
from tests.postgresql_proxy import PostgreSQLProxy

NAMES = text("SELECT name FROM probe ORDER BY name")


@pytest.fixture
def proxy(own_postgresql: str) -> Iterator[PostgreSQLProxy]:
    with PostgreSQLProxy() as proxy:
        yield proxy


@pytest.fixture
def database(own_postgresql: str, proxy: PostgreSQLProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Behind the proxy, impatient, with the table `probe`."""
    be_impatient(monkeypatch)
    monkeypatch.setattr(database_module, "_PAUSE_S", 0.5)
    database = Database(proxy.url(own_postgresql))
    database.write(lambda connection: connection.execute(text("CREATE TABLE probe (name text PRIMARY KEY, n int)")))
    yield database
    proxy.speak()
    time.sleep(database_module._PAUSE_S if database._asked_again_at > time.monotonic() else 0)
    database.write(lambda connection: connection.execute(text("DROP TABLE probe")))
    database.close()


def put(database: Database, name: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO probe VALUES (:name, 0)"), {"name": name})

    database.write(work)


def names(database: Database) -> list[str]:
    return list(database.read(lambda connection: connection.execute(NAMES).scalars().all()))


def test_a_server_that_falls_silent_is_given_up(database: Database, proxy: PostgreSQLProxy) -> None:
    put(database, "before")
    proxy.fall_silent()
    began = time.monotonic()
    with pytest.raises(RecordUnavailable):
        put(database, "lost")
    assert time.monotonic() - began < 4
    proxy.speak()
    time.sleep(database_module._PAUSE_S)
    put(database, "behind")
    assert names(database) == ["before", "behind"]


def test_while_it_is_silent_only_some_wait_for_it(database: Database, proxy: PostgreSQLProxy) -> None:
    put(database, "before")
    proxy.fall_silent()
    with pytest.raises(RecordUnavailable):
        put(database, "first")
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(RecordUnavailable):
            put(database, "next")
        with pytest.raises(RecordUnavailable):
            names(database)
    assert time.monotonic() - began < 0.5


def test_a_commit_whose_answer_is_lost_is_looked_up(database: Database, proxy: PostgreSQLProxy) -> None:
    put(database, "before")
    proxy.lose_next_commit()
    put(database, "once")
    assert names(database) == ["before", "once"]


def test_a_commit_of_which_nobody_can_say_is_not_called_a_failure(
    database: Database, proxy: PostgreSQLProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.postgresql.was_committed", lambda *_: None)
    put(database, "before")
    proxy.lose_next_commit()
    with pytest.raises(RecordUnavailable, match="did not confirm"):
        put(database, "perhaps")


def test_a_row_that_somebody_holds_fails_only_who_needs_it(database: Database, own_postgresql: str) -> None:
    put(database, "held")
    results: dict[str, BaseException | None] = {}

    def bump(name: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(
                text("INSERT INTO probe VALUES (:name, 0) ON CONFLICT (name) DO UPDATE SET n = 1"), {"name": name}
            )

        try:
            database.write(work)
            results[name] = None
        except RecordUnavailable as error:
            results[name] = error

    with psycopg.connect(own_postgresql.replace("+psycopg", "")) as intruder:
        intruder.execute("UPDATE probe SET n = 2 WHERE name = 'held'")
        threads = [threading.Thread(target=bump, args=(name,)) for name in ("held", *"abcdef")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        intruder.rollback()
    assert isinstance(results.pop("held"), RecordUnavailable)
    assert results == dict.fromkeys("abcdef")
