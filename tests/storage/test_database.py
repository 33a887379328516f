"""The record: group commit, refusals, migrations."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from app.errors import RecordConflict, RecordRefused, RecordUnavailable
from app.storage import service_state
from app.storage.database import Database
from app.storage.schema import migrate
from app.storage.tables import metadata


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    migrate(database)
    yield database
    database.close()


def _put(connection: Connection, name: str) -> None:
    connection.execute(text("INSERT INTO service_state (name, value) VALUES (:name, 'x')"), {"name": name})


def _count(database: Database) -> int:
    statement = text("SELECT count(*) FROM service_state")
    return int(database.read(lambda connection: connection.execute(statement).scalar_one()))


def test_writes_of_many_threads_are_all_committed(database: Database) -> None:
    def write(start: int) -> None:
        for number in range(start, start + 20):
            name = f"name-{number}"
            database.write(lambda connection, name=name: _put(connection, name))  # type: ignore[misc]

    threads = [threading.Thread(target=write, args=(start * 100,)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(database) == 16 * 20


def test_one_job_that_breaks_takes_no_other_with_it(database: Database) -> None:
    database.write(lambda connection: _put(connection, "taken"))
    refused: list[str] = []
    barrier = threading.Barrier(16)

    def write(number: int) -> None:
        barrier.wait()
        try:
            database.write(lambda connection: _put(connection, "taken" if number % 4 == 0 else f"name-{number}"))
        except RecordConflict:
            refused.append(str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refused, key=int) == ["0", "4", "8", "12"]
    assert _count(database) == 1 + 12


def test_what_a_job_raises_reaches_its_caller_and_undoes_the_job(database: Database) -> None:
    def work(connection: Connection) -> None:
        _put(connection, "undone")
        raise KeyError("reason")

    with pytest.raises(KeyError, match="reason"):
        database.write(work)
    assert _count(database) == 0


def test_a_value_is_replaced_only_by_who_knows_the_old_one(database: Database) -> None:
    assert database.write(lambda connection: service_state.replace_if(connection, "date", old=None, new="1"))
    assert not database.write(lambda connection: service_state.replace_if(connection, "date", old="0", new="2"))
    assert database.write(lambda connection: service_state.replace_if(connection, "date", old="1", new="2"))
    assert database.read(lambda connection: service_state.read(connection, "date")) == "2"


def test_migrations_build_the_declared_tables(database: Database) -> None:
    def columns(connection: Connection) -> dict[str, set[str]]:
        inspector = inspect(connection)
        return {name: {column["name"] for column in inspector.get_columns(name)} for name in metadata.tables}

    declared = {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}
    assert database.read(columns) == declared


def test_processes_that_start_at_once_migrate_once(unmigrated_url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        database = Database(unmigrated_url)
        try:
            migrate(database)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_locked_database_is_reported_not_waited_for_by_every_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.database.BUSY_TIMEOUT_S", 0.2)
    path = tmp_path / "locked.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordUnavailable):
        database.write(lambda connection: _put(connection, "name"))
    intruder.rollback()
    intruder.close()
    database.write(lambda connection: _put(connection, "name"))
    assert _count(database) == 1
    database.close()


def test_a_promise_waits_for_the_disk_and_an_ordinary_write_does_not(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'letterbox.db'}")

    def level(connection: Connection) -> int:
        return int(connection.execute(text("PRAGMA synchronous")).scalar_one())

    normal, full = 1, 2
    assert [database.write(level, outlives_power=promise) for promise in (False, True, False)] == [normal, full, normal]
    database.close()


def test_the_error_of_a_statement_does_not_hold_its_parameters(database: Database) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO no_such_table VALUES (:value)"), {"value": "a-secret"})

    with pytest.raises(RecordUnavailable) as raised:
        database.write(fail)
    assert "no_such_table" in str(raised.value.__cause__)
    assert "a-secret" not in repr(raised.value.__cause__) + str(raised.value.__cause__)


def test_what_contradicts_the_stored_rows_is_no_outage(database: Database) -> None:
    def add_twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(text("INSERT INTO service_state (name, value) VALUES ('name', 'value')"))

    with pytest.raises(RecordConflict) as raised:
        database.write(add_twice)
    assert not isinstance(raised.value, RecordUnavailable)
    database.write(lambda connection: _put(connection, "name"))


def test_a_value_that_no_column_takes_is_no_outage(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite takes a text of any length")
    with pytest.raises(RecordRefused):
        database.write(lambda connection: service_state.put(connection, "n" * 65, "value"))


def test_of_two_processes_that_write_a_first_value_one_has_its_way(database: Database) -> None:
    def write(value: str) -> bool:
        return database.write(lambda connection: service_state.replace_if(connection, "name", old=None, new=value))

    assert [write("first"), write("second")] == [True, False]
    assert database.read(lambda connection: service_state.read(connection, "name")) == "first"


def test_the_directory_of_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'var' / 'letterbox.db'}").close()
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
