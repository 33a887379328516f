"""Migrations one by one: what was recorded before them is there behind them, and they can be taken back."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import app.storage
from app.errors import RecordConflict
from app.storage.database import Database
from app.storage.schema import migrate, newest_revision
from app.storage.tables import metadata


@pytest.fixture
def database(unmigrated_url: str) -> Iterator[Database]:
    database = Database(unmigrated_url)
    yield database
    database.close()


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(app.storage.__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    return made


def go_to(database: Database, revision: str, *, is_back: bool = False) -> None:
    steps = config()
    with closing(database.connect_for_migration()) as connection, connection.begin():
        steps.attributes["connection"] = connection
        (command.downgrade if is_back else command.upgrade)(steps, revision)


def indexes(connection: Connection) -> set[str | None]:
    return {index["name"] for name in metadata.tables for index in inspect(connection).get_indexes(name)}


def insert_email(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO emails (id, status, phase, requested_smtp_id, is_test, sender, reception_email, attempts,"
            " created_at, priority, rounds) VALUES ('0000AAAA', 'Sent', 'settled', 1, :no, 'a@example.com',"
            " 'b@example.com', '[]', 1, 2, 0)"
        ),
        {"no": False},
    )


def test_there_is_one_newest_revision() -> None:
    assert ScriptDirectory.from_config(config()).get_heads() == [newest_revision()]


def test_emails_from_before_forms_belong_to_none(database: Database) -> None:
    go_to(database, "0003")
    database.write(insert_email)
    migrate(database)
    found = database.read(lambda connection: connection.execute(text("SELECT id, form_key FROM emails")).all())
    assert [tuple(row) for row in found] == [("0000AAAA", None)]


def test_what_emails_from_before_are_for_is_found_out(database: Database) -> None:
    """Ids, forms, senders, recipients, moments, and what each one is for."""
    rows = [
        ("0000000A", None, "anna@example.com", "office@example.com", 1_000_000, "request"),
        ("0000000B", "contact", "anna@example.com", "office@example.com", 1_000_000, "submission"),
        ("0000000C", "contact", "", "anna@example.com", 1_000_200, "confirmation"),
        # Whoever gives no address: a submission, to the owner of then.
        ("0000000D", "contact", "", "office@example.com", 1_000_300, "submission"),
        ("0000000E", "contact", "", "anna@example.com", 2_000_000, "submission"),
        ("0000000F", "another", "", "anna@example.com", 1_000_200, "submission"),
    ]

    def insert(connection: Connection) -> None:
        for email_id, form_key, sender, recipient, created_at, _ in rows:
            connection.execute(
                text(
                    "INSERT INTO emails (id, status, phase, requested_smtp_id, is_test, sender, reception_email,"
                    " attempts, created_at, priority, rounds, form_key) VALUES (:id, 'Sent', 'settled', 1, :no,"
                    " :sender, :recipient, '[]', :created_at, 2, 0, :form_key)"
                ),
                {
                    "id": email_id,
                    "no": False,
                    "sender": sender,
                    "recipient": recipient,
                    "created_at": created_at,
                    "form_key": form_key,
                },
            )

    go_to(database, "0005")
    database.write(insert)
    before = database.read(indexes_there)
    for is_back, revision in ((False, "0006"), (True, "0005"), (False, "head")):
        go_to(database, revision, is_back=is_back)
        if is_back:
            assert database.read(indexes_there) == before
    found = database.read(lambda connection: connection.execute(text("SELECT id, purpose FROM emails")).all())
    assert {row.id: row.purpose for row in found} == {row[0]: row[-1] for row in rows}
    with pytest.raises(RecordConflict):
        database.write(lambda connection: connection.execute(text("UPDATE emails SET purpose = 'spam'")) and None)


def test_the_way_back_leaves_what_was_there_before(database: Database) -> None:
    go_to(database, "0003")
    database.write(insert_email)
    before = database.read(indexes_there)
    go_to(database, "0004")
    assert {"forms", "form_marks"} <= set(database.read(lambda connection: inspect(connection).get_table_names()))
    go_to(database, "0003", is_back=True)
    assert database.read(indexes_there) == before
    assert database.read(lambda connection: connection.execute(text("SELECT id FROM emails")).scalar()) == "0000AAAA"
    migrate(database)


def indexes_there(connection: Connection) -> set[tuple[str, str | None]]:
    inspector = inspect(connection)
    return {(name, index["name"]) for name in inspector.get_table_names() for index in inspector.get_indexes(name)}


def test_the_declared_indexes_are_there(database: Database) -> None:
    migrate(database)
    declared = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert declared <= database.read(indexes)


@pytest.mark.parametrize("twice", ["key", "name"])
def test_the_database_itself_keeps_keys_and_names_of_forms_apart(database: Database, twice: str) -> None:
    migrate(database)

    def add(connection: Connection, key: str, name: str) -> None:
        connection.execute(
            text(
                "INSERT INTO forms (project_id, key, name, name_key, definition, created_at, updated_at)"
                " VALUES (1, :key, :name, :name, '{}', 1, 1)"
            ),
            {"key": key, "name": name},
        )

    def first(connection: Connection) -> None:
        connection.execute(text("INSERT INTO projects (id, name, name_key, created_at) VALUES (1, 'P', 'p', 1)"))
        add(connection, "key", "name")

    database.write(first)
    with pytest.raises(RecordConflict):
        database.write(
            lambda connection: add(
                connection, "key" if twice == "key" else "other", "name" if twice == "name" else "other"
            )
        )
