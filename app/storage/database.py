"""The connection to the database: SQLite in WAL mode by default, PostgreSQL by URL.

Reads take a pooled connection of their own. Writes go through `Database.write`, which commits the work of all requests
that are waiting at that moment in one transaction (group commit): one round trip for many of them.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from app.errors import DatabaseUnusable, LetterboxError, RecordConflict, RecordRefused, RecordUnavailable
from app.storage import postgresql
from app.storage.postgresql import BUSY_TIMEOUT_S
from app.storage.prepared import run

Result = TypeVar("Result")

_PAUSE_S = 1.0
"""How long a database that did not answer in time is not asked again, so that not every request waits for it."""


@dataclass(slots=True)
class _Job(Generic[Result]):
    work: Callable[[Connection], Result]
    outlives_power: bool
    result: Result | None = None
    error: BaseException | None = None
    is_done: bool = False


class Database:
    """One per process. `url` is a SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`)."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            _make_directory(Path(self.url.database).parent)
        self._readers = self._engine(pool_size=8)
        self._writer = self._engine(pool_size=1)
        self._pending: deque[_Job[Any]] = deque()
        self._committing = threading.Lock()
        self._writing: Connection | None = None
        self._outlives_power: bool | None = None
        self._glance: sqlite3.Connection | None = None
        self._glancing = threading.Lock()
        self._asked_again_at = 0.0

    def write(self, work: Callable[[Connection], Result], *, outlives_power: bool = False) -> Result:
        """Run `work` in a transaction and return its result once that is committed.

        What is committed outlives the process, however it ends. With `outlives_power` it outlives a power failure, too:
        SQLite waits for the disk then; PostgreSQL always does.

        `work` may run twice (a batch in which one job fails is run again job by job), so it must do nothing but talk
        to the connection. Raises RecordUnavailable when the database does not answer or takes no writes, RecordConflict
        and RecordRefused when it does not take these values, and what `work` raises.
        """
        job = _Job(work, outlives_power)
        self._pending.append(job)
        with self._committing:
            # Whoever gets the lock first commits for everyone who queued behind it.
            if not job.is_done:
                self._commit_pending()
        if job.error is not None:
            if isinstance(job.error, SQLAlchemyError):
                raise _translated(job.error, "The request could not be recorded, so nothing was sent.") from job.error
            raise job.error
        return cast(Result, job.result)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run a query on a connection of its own; raises RecordUnavailable when the database does not answer."""
        self._demand_answers()
        began = monotonic()
        try:
            with self._readers.connect() as connection:
                return query(connection)
        except SQLAlchemyError as error:
            self._note(error, began)
            raise _translated(error, "The record could not be read.") from error

    def glance(self, query: str, *parameters: object) -> Any:
        """The first value of a query with `?` for each parameter, or None; raises RecordUnavailable. SQLite only.

        It goes past SQLAlchemy on a connection of its own, which makes it cheap enough for every request: 4 us, not 29.
        """
        try:
            with self._glancing:
                if self._glance is None:
                    self._glance = sqlite3.connect(
                        str(self.url.database), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
                    )
                row = self._glance.execute(query, parameters).fetchone()
        except sqlite3.Error as error:
            raise RecordUnavailable("The record could not be read.") from error
        return row[0] if row else None

    def connect_for_migration(self) -> Connection:
        """A connection of its own for schema changes; the caller closes it before anything is written."""
        self._give_writer_back()
        connection = self._writer.connect()
        if self.is_sqlite:
            event.listen(connection, "begin", _begin_on_sqlite)
        else:
            postgresql.wait_without_end(connection)
        return connection

    def close(self) -> None:
        self._give_writer_back()
        self._readers.dispose()
        self._writer.dispose()
        with self._glancing:
            if self._glance is not None:
                self._glance.close()
                self._glance = None

    def _give_writer_back(self) -> None:
        with self._committing:
            if self._writing is not None:
                self._writing.close()
                self._writing = None

    def _commit_pending(self) -> None:
        jobs = []
        while self._pending:
            jobs.append(self._pending.popleft())
        if not self._commit(jobs):
            self._commit_one_by_one(jobs)

    def _commit_one_by_one(self, jobs: list[_Job[Any]]) -> None:
        waited_for_nothing = 0
        for job in jobs:
            if waited_for_nothing > 1:
                # It is not one job that another session is in the way of: the others need not wait for that, too.
                job.error, job.is_done = RecordUnavailable("The database does not take anything."), True
                continue
            self._commit([job])
            waited_for_nothing += _sqlstate(job.error) in postgresql.TOOK_TOO_LONG

    def _commit(self, jobs: list[_Job[Any]]) -> bool:
        """Run the jobs in one transaction. False when one of several broke it and each deserves a try of its own."""
        began = monotonic()
        try:
            self._demand_answers()
            if self.is_sqlite:
                self._commit_to_file(jobs)
            else:
                self._commit_to_server(jobs)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked for the write
            self._note(error, began)
            if len(jobs) > 1 and not _is_outage(error):
                return False
            for job in jobs:
                job.error = error
        for job in jobs:
            job.is_done = True
        return True

    def _commit_to_file(self, jobs: list[_Job[Any]]) -> None:
        """A file has no session to lose, so the one connection that writes stays lent.

        The transaction is begun and ended by the driver. For SQLAlchemy the connection is in one that never ends:
        its own begin and commit would cost another 25 us each time.
        """
        if self._writing is None:
            self._writing = self._writer.connect()
            self._outlives_power = None
        connection = self._writing
        outlives_power = any(job.outlives_power for job in jobs)
        try:
            if outlives_power is not self._outlives_power:
                run(connection, f"PRAGMA synchronous={'FULL' if outlives_power else 'NORMAL'}")
                self._outlives_power = outlives_power
            _begin_on_sqlite(connection)
            _work(jobs, connection)
            run(connection, "COMMIT")
        except BaseException:
            self._writing = None
            # What was begun is rolled back as the connection goes back to its pool.
            connection.close()
            raise

    def _commit_to_server(self, jobs: list[_Job[Any]]) -> None:
        with self._writer.connect() as connection:
            connection.begin()
            _work(jobs, connection)
            number = postgresql.transaction_id(connection)
            try:
                connection.commit()
            except DBAPIError as error:
                if number is None or not error.connection_invalidated:
                    raise
                is_committed = postgresql.was_committed(self._readers, number)
                if is_committed is None:
                    raise RecordUnavailable(
                        "The database did not confirm the record; what was to be queued may still be sent."
                    ) from error
                if not is_committed:
                    raise

    def _demand_answers(self) -> None:
        """Raises RecordUnavailable while the database has just kept somebody waiting for nothing."""
        if monotonic() < self._asked_again_at:
            raise RecordUnavailable("The database does not answer.")

    def _note(self, error: BaseException, began: float) -> None:
        # On SQLite every process waits for its own lock, and one that gets it is served.
        if not self.is_sqlite and _is_outage(error) and monotonic() - began >= BUSY_TIMEOUT_S:
            self._asked_again_at = monotonic() + _PAUSE_S

    def _engine(self, *, pool_size: int) -> Engine:
        engine = create_engine(
            self.url,
            # Its errors are logged, and parameters hold addresses and what is encrypted.
            hide_parameters=True,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_pre_ping=not self.is_sqlite,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S}
            if self.is_sqlite
            else postgresql.ARGUMENTS,
        )
        if self.is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
        else:
            postgresql.bound_silence(engine)
        return engine


def _work(jobs: list[_Job[Any]], connection: Connection) -> None:
    for job in jobs:
        job.result = job.work(connection)


def _begin_on_sqlite(connection: Connection) -> None:
    # Taking the write lock at BEGIN makes a second process wait for it; a transaction that reads first and writes
    # later would fail at once instead (SQLITE_BUSY_SNAPSHOT).
    run(connection, "BEGIN IMMEDIATE")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(f"the directory {directory} of the database cannot be made") from error


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def _translated(error: SQLAlchemyError, text: str) -> LetterboxError:
    """Whether the values were refused, which is final, or the database cannot be used now."""
    if isinstance(error, IntegrityError):
        return RecordConflict("The change contradicts what is stored.")
    if isinstance(error, DataError):
        return RecordRefused("The database does not take these values.")
    return RecordUnavailable(text)


def _is_outage(error: BaseException) -> bool:
    """True when the database itself is away, locked or full, so that trying each job alone would only wait again."""
    if isinstance(error, RecordUnavailable):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        if _sqlstate(error) in postgresql.OF_ONE_JOB:
            return False
    return isinstance(error, OperationalError | PoolTimeoutError)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by us (BEGIN IMMEDIATE) or not at all (single reads), never by the driver.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # Waiting for the disk on every commit would cost more than all the rest of a request; see `write`.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
