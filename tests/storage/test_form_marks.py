"""Marks: one for each digest while it lives, whoever makes them and however many at once."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from app.storage import form_marks
from app.storage.database import Database
from app.storage.schema import migrate
from app.storage.tables import form_marks as table

DIGEST = "d" * 64
NOW = 1_700_000_000_000


@pytest.fixture
def databases(database_url: str) -> Iterator[tuple[Database, Database]]:
    """The same one, as two processes open it."""
    both = Database(database_url), Database(database_url)
    migrate(both[0])
    yield both
    for database in both:
        database.close()


@pytest.fixture
def database(databases: tuple[Database, Database]) -> Database:
    return databases[0]


def add(
    database: Database,
    reference: str | None = "0000AAAA",
    *,
    digest: str = DIGEST,
    lives_ms: int = 1000,
    now_ms: int = NOW,
) -> bool:
    return database.write(
        lambda connection: form_marks.add(
            connection, digest, reference=reference, expires_ms=now_ms + lives_ms, now_ms=now_ms
        )
    )


def find(database: Database, now_ms: int = NOW) -> str | None:
    return database.read(
        lambda connection: form_marks.find(connection, DIGEST, now_ms=now_ms, latest_ms=now_ms + 120_000)
    )


def test_a_living_mark_is_found_and_not_made_again(database: Database) -> None:
    assert find(database) is None
    assert add(database, "0000AAAA")
    assert not add(database, "0000BBBB")
    assert find(database) == "0000AAAA"
    assert add(database, "0000CCCC", digest="e" * 64)


def test_a_mark_lives_until_the_moment_that_was_said(database: Database) -> None:
    add(database, lives_ms=1000)
    assert find(database, NOW + 999) == "0000AAAA"
    assert not add(database, "0000BBBB", now_ms=NOW + 999)
    assert find(database, NOW + 1000) is None
    assert add(database, "0000BBBB", now_ms=NOW + 1000)
    assert find(database, NOW + 1000) == "0000BBBB"
    assert find(database, NOW + 2000) is None


def test_a_mark_from_before_the_clock_was_set_back_has_ended(database: Database) -> None:
    yesterday = NOW - 86_400_000
    add(database, "0000AAAA")
    assert find(database, yesterday) is None
    assert add(database, "0000BBBB", now_ms=yesterday)
    assert find(database, yesterday) == "0000BBBB"


def test_a_mark_without_a_reference_is_there_all_the_same(database: Database) -> None:
    assert add(database, None)
    assert find(database) is None
    assert not add(database, "0000BBBB")
    assert add(database, "0000BBBB", now_ms=NOW + 1000)
    assert find(database, NOW + 1000) == "0000BBBB"


def test_two_marks_of_one_transaction_are_one_too_many(database: Database) -> None:
    def twice(connection: Connection) -> list[bool]:
        return [
            form_marks.add(connection, DIGEST, reference=reference, expires_ms=NOW + 1, now_ms=NOW)
            for reference in ("0000AAAA", "0000BBBB")
        ]

    assert database.write(twice) == [True, False]
    assert find(database) == "0000AAAA"


def test_what_is_undone_leaves_no_mark(database: Database) -> None:
    def fail(connection: Connection) -> None:
        form_marks.add(connection, DIGEST, reference=None, expires_ms=NOW + 1, now_ms=NOW)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(fail)
    assert add(database)


@pytest.mark.parametrize("has_expired_mark", [False, True])
def test_of_many_who_make_one_mark_at_once_one_does(
    databases: tuple[Database, Database], has_expired_mark: bool
) -> None:
    if has_expired_mark:
        add(databases[0], "00000000", now_ms=NOW - 5000)
    barrier = threading.Barrier(20)
    made: list[str] = []

    def mark(number: int) -> None:
        reference = f"{number:08X}"
        barrier.wait()
        if add(databases[number % 2], reference):
            made.append(reference)

    threads = [threading.Thread(target=mark, args=(number + 1,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert find(databases[0]) == made[0]


def test_pruning_forgets_what_has_expired_and_nothing_else(database: Database) -> None:
    for number, lives_ms in enumerate((1, 1000, 1001)):
        add(database, digest=str(number) * 64, lives_ms=lives_ms)
    assert database.write(lambda connection: form_marks.prune(connection, now_ms=NOW + 1000)) == 2
    left = database.read(lambda connection: list(connection.execute(select(table.c.digest)).scalars()))
    assert left == ["2" * 64]
