"""Group commit: what waits at one moment is one transaction, and each writer gets the answer to its own job."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.errors import LetterboxError, RecordConflict, RecordUnavailable
from app.storage import database as database_module
from app.storage import prepared
from app.storage.database import Database
from app.storage.group_commit import GroupCommit, Job
from app.storage.schema import migrate

Work = Callable[[Connection], Any]


class Refused(LetterboxError):
    """What a job raises on purpose."""


class Interrupted(BaseException):
    """As SystemExit and KeyboardInterrupt, of which threads and pytest make something of their own."""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        migrate(database)
        yield database


@pytest.fixture
def file(tmp_path: Any) -> Iterator[Database]:
    """On SQLite, where that makes no difference."""
    with closing(Database(f"sqlite:///{tmp_path / 'letterbox.db'}")) as database:
        migrate(database)
        yield database


def put(connection: Connection, name: str) -> str:
    connection.execute(text("INSERT INTO service_state (name, value) VALUES (:name, 'x')"), {"name": name})
    return name


def names(database: Database) -> list[str]:
    query = text("SELECT name FROM service_state ORDER BY name")
    return list(database.read(lambda connection: connection.execute(query).scalars().all()))


class Writers:
    """Threads that write, and what came of each: the result of its job, or what was raised in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.results: dict[int, Any] = {}
        self._threads: list[threading.Thread] = []

    def start(self, work: Work) -> None:
        number = len(self._threads)

        def write() -> None:
            try:
                self.results[number] = self.database.write(work)
            except BaseException as error:  # noqa: BLE001 - shown by the assertion
                self.results[number] = error

        self._threads.append(threading.Thread(target=write, daemon=True))
        self._threads[-1].start()

    def join(self) -> dict[int, Any]:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a writer waits for ever"
        return self.results

    @contextmanager
    def one_batch(self) -> Iterator[None]:
        """What is started inside is committed together, after one job that is left out of the results."""
        is_leading, may_go_on = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            is_leading.set()
            may_go_on.wait(10)

        holder = threading.Thread(target=lambda: self.database.write(hold))
        holder.start()
        assert is_leading.wait(10)
        try:
            yield
            # A writer shows by nothing that it waits.
            time.sleep(0.1)
        finally:
            may_go_on.set()
            holder.join()


def test_a_refusal_undoes_its_own_job_and_runs_no_other_again(database: Database) -> None:
    writers, runs = Writers(database), dict.fromkeys(range(12), 0)

    def work(connection: Connection, number: int) -> str:
        runs[number] += 1
        name = put(connection, f"name-{number:02}")
        if number % 4 == 3:
            raise Refused(name)
        return name

    with writers.one_batch():
        for number in range(12):
            writers.start(lambda connection, number=number: work(connection, number))  # type: ignore[misc]
    results = writers.join()
    taken = [f"name-{number:02}" for number in range(12) if number % 4 != 3]
    assert names(database) == taken == sorted(name for name in results.values() if isinstance(name, str))
    assert sorted(str(error) for error in results.values() if isinstance(error, Refused)) == [
        "name-03",
        "name-07",
        "name-11",
    ]
    assert runs == dict.fromkeys(range(12), 1)


def test_a_name_that_is_taken_undoes_its_own_job_and_runs_no_other_again(database: Database) -> None:
    database.write(lambda connection: put(connection, "taken"))
    writers, runs = Writers(database), []

    def work(connection: Connection, name: str) -> str:
        runs.append(name)
        put(connection, f"{name}-too")
        return put(connection, name)

    with writers.one_batch():
        for name in ("a", "taken", "b"):
            writers.start(lambda connection, name=name: work(connection, name))  # type: ignore[misc]
    results = writers.join()
    assert isinstance(results.pop(1), RecordConflict)
    assert list(results.values()) == ["a", "b"]
    assert names(database) == ["a", "a-too", "b", "b-too", "taken"]
    assert sorted(runs) == ["a", "b", "taken"]


def test_on_a_slow_disk_all_who_wait_share_a_commit(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[float] = []
    execute = prepared.run

    def slowly(connection: Connection, statement: str, parameters: Any = ()) -> Any:
        if statement == "COMMIT":
            commits.append(time.monotonic())
            time.sleep(0.02)
        return execute(connection, statement, parameters)

    monkeypatch.setattr(database_module, "run", slowly)
    waits_s: list[float] = []

    def write(start: int) -> None:
        for number in range(start, start + 5):
            began = time.monotonic()
            file.write(lambda connection, number=number: put(connection, f"name-{number}"))  # type: ignore[misc]
            waits_s.append(time.monotonic() - began)

    threads = [threading.Thread(target=write, args=(start * 100,)) for start in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(file)) == 32 * 5
    assert len(commits) < 32 * 5 / 5
    assert max(waits_s) < 0.5, "nobody waits longer than for the commit that is under way and the next one"


@pytest.mark.parametrize("moment", ["in a job", "before the COMMIT", "after the COMMIT"])
def test_who_is_interrupted_while_leading_takes_nobody_along(
    database: Database, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    is_over: list[bool] = []

    def interrupt(now: str) -> None:
        if now == moment and 2 in runs and not is_over:
            is_over.append(True)
            raise Interrupted

    def work(connection: Connection, number: int) -> str:
        name = put(connection, f"name-{number}")
        runs.append(number)
        interrupt("in a job")
        return name

    def commit(*arguments: Any) -> Any:
        is_commit = not database.is_sqlite or arguments[1] == "COMMIT"
        if is_commit:
            interrupt("before the COMMIT")
        result = original(*arguments)
        if is_commit:
            interrupt("after the COMMIT")
        return result

    owner, name = (database_module, "run") if database.is_sqlite else (Connection, "commit")
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, commit)
    writers = Writers(database)
    with writers.one_batch():
        for number in range(6):
            writers.start(lambda connection, number=number: work(connection, number))  # type: ignore[misc]
    results = writers.join()
    (stopped,) = [number for number, result in results.items() if isinstance(result, Interrupted)]
    del results[stopped]
    assert results == {number: f"name-{number}" for number in range(6) if number != stopped}
    own = [] if moment != "after the COMMIT" else [f"name-{stopped}"]
    assert names(database) == sorted([*results.values(), *own])
    assert database.write(lambda connection: put(connection, "later")) == "later"


def test_who_is_interrupted_while_waiting_writes_nothing_and_holds_nobody_up(file: Database) -> None:
    """As the main thread is by a signal."""
    writers, main = Writers(file), threading.get_ident()

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with writers.one_batch():
            writers.start(lambda connection: put(connection, "before"))
            threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGUSR1)).start()
            with pytest.raises(Interrupted):
                file.write(lambda connection: put(connection, "interrupted"))
            writers.start(lambda connection: put(connection, "after"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert writers.join() == {0: "before", 1: "after"}
    assert names(file) == ["after", "before"]


def test_who_is_interrupted_as_its_turn_to_lead_comes_hands_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    committed: list[list[str]] = []
    is_leading, may_go_on = threading.Event(), threading.Event()

    def commit(jobs: list[Job[Any]]) -> None:
        is_leading.set()
        may_go_on.wait(10)
        committed.append([job.work(None) for job in jobs])  # type: ignore[arg-type]

    group = GroupCommit(commit)
    lead, turns = group._lead, []

    def interrupted(job: Job[Any]) -> None:
        turns.append(job)
        if len(turns) == 2:
            raise Interrupted
        lead(job)

    monkeypatch.setattr(group, "_lead", interrupted)
    ends: dict[str, str] = {}

    def run(name: str) -> None:
        try:
            group.run(Job(lambda _: name, False, False))
            ends[name] = "done"
        except Interrupted:
            ends[name] = "interrupted"

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for number, thread in enumerate(threads):
        thread.start()
        assert is_leading.wait(10)
        while len(group._waiting) < number:
            time.sleep(0.001)
    may_go_on.set()
    for thread in threads:
        thread.join(10)
    assert ends == {"a": "done", "b": "interrupted", "c": "done", "d": "done"}
    assert committed == [["a"], ["c", "d"]]


def test_an_outage_is_told_to_each_by_an_error_of_its_own(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RecordUnavailable("The database does not answer.")

    writers = Writers(file)
    with writers.one_batch():
        monkeypatch.setattr(file, "_demand_answers", fail)
        for number in range(8):
            writers.start(lambda connection, number=number: put(connection, f"name-{number}"))  # type: ignore[misc]
    errors = writers.join().values()
    assert {str(error) for error in errors} == {"The database does not answer."}
    assert len({id(error) for error in errors}) == 8
