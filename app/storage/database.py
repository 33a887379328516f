"""The connection to the database: SQLite in WAL mode by default, PostgreSQL by URL.

Reads take a pooled connection of their own. Writes go through `Database.write`, which commits the work of all requests
that are waiting at that moment in one transaction (group commit): one round trip for many of them.
"""

import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from app.errors import LetterboxError, RecordConflict, RecordRefused, RecordUnavailable
from app.model.clock import Clock, utc_now
from app.storage import postgresql, sqlite
from app.storage.group_commit import GroupCommit, Job, copy_of, finish, is_interruption, run_jobs
from app.storage.postgresql import BUSY_TIMEOUT_S
from app.storage.prepared import run
from app.storage.sqlite import DatabaseFile
from app.storage.times import to_ms

Result = TypeVar("Result")

_PAUSE_S = 1.0
"""How long a database that did not answer in time is not asked again, so that not every request waits for it."""


class Database:
    """One per process. `url` is a SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`)."""

    def __init__(self, url: str, *, clock: Clock = utc_now) -> None:
        """`clock` is this process's."""
        self._clock = clock
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._file = DatabaseFile(self.url) if self.is_sqlite else None
        self._readers = self._engine(pool_size=8)
        self._writer = self._engine(pool_size=1)
        self._group = GroupCommit(self._commit_all)
        self._committing = threading.Lock()
        self._writing: Connection | None = None
        self._writing_since_ms: int | None = None
        self._outlives_power: bool | None = None
        self._glance: sqlite3.Connection | None = None
        self._glancing = threading.Lock()
        self._asked_again_at = 0.0

    def write(
        self, work: Callable[[Connection], Result], *, outlives_power: bool = False, never_refuses: bool = False
    ) -> Result:
        """Run `work` in a transaction and return its result once that is committed.

        What is committed outlives the process, however it ends. With `outlives_power` it outlives a power failure, too:
        SQLite waits for the disk then; PostgreSQL always does. What `work` raises undoes it and nothing else;
        `never_refuses` says that it raises nothing on purpose, which saves a savepoint.

        `work` may run twice (a batch that breaks is run again job by job), and in another thread, so it must do nothing
        but talk to the connection. Raises RecordUnavailable when the database does not answer or takes no writes,
        RecordConflict and RecordRefused when it does not take these values, and what `work` raises.
        """
        job = Job(work, outlives_power, never_refuses)
        self._group.run(job)
        if job.error is None:
            return cast(Result, job.result)
        if isinstance(job.error, SQLAlchemyError):
            raise _translated(job.error, "The request could not be recorded, so nothing was sent.") from job.error
        raise job.error

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
                    self._glance = cast(DatabaseFile, self._file).connect(BUSY_TIMEOUT_S)
                row = self._glance.execute(query, parameters).fetchone()
        except sqlite3.Error as error:
            raise RecordUnavailable("The record could not be read.") from error
        return row[0] if row else None

    def now_ms(self, connection: Connection) -> int:
        """The moment by which leases, due times, idempotency keys and marks are judged, in milliseconds since 1970.

        On PostgreSQL it is the server's, because the processes may be on machines whose clocks differ; it is asked once
        in each transaction. On SQLite all share a machine, and its clock.
        """
        if self.is_sqlite:
            return to_ms(self._clock())
        if connection is not self._writing:
            return postgresql.now_ms(connection)
        if self._writing_since_ms is None:
            self._writing_since_ms = postgresql.now_ms(connection)
        return self._writing_since_ms

    def moment_ms(self, connection: Connection, moment: datetime) -> int:
        """A moment by this process's clock, as `now_ms` counts it."""
        return self.now_ms(connection) + to_ms(moment) - to_ms(self._clock())

    def connect_for_migration(self) -> Connection:
        """A connection of its own for schema changes; the caller closes it before anything is written."""
        self._give_writer_back()
        connection = self._writer.connect()
        if self.is_sqlite:
            event.listen(connection, "begin", sqlite.begin)
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
        if self._file is not None:
            self._file.forget()

    def trouble(self) -> str | None:
        """What happened to the file of the database, as a sentence for an operator; None while it is there."""
        return None if self._file is None else self._file.trouble()

    def _give_writer_back(self) -> None:
        with self._committing:
            if self._writing is not None:
                self._writing.close()
                self._writing = None

    def _commit_all(self, jobs: list[Job[Any]]) -> None:
        with self._committing:
            if not self._commit(jobs):
                self._commit_one_by_one(jobs)

    def _commit_one_by_one(self, jobs: list[Job[Any]]) -> None:
        waited_for_nothing = 0
        for job in jobs:
            if waited_for_nothing > 1:
                # It is not one job that another session is in the way of: the others need not wait for that, too.
                job.error = RecordUnavailable("The database does not take anything.")
                continue
            self._commit([job])
            job.is_done = True
            waited_for_nothing += _sqlstate(job.error) in postgresql.TOOK_TOO_LONG

    def _commit(self, jobs: list[Job[Any]]) -> bool:
        """Run the jobs in one transaction. False when one of several broke it and each deserves a try of its own.

        What interrupts this thread is raised; by then the jobs are done if they are committed.
        """
        began = monotonic()
        try:
            self._demand_answers()
            if self._file is not None:
                self._commit_to_file(jobs, self._file)
            else:
                self._commit_to_server(jobs)
        except Exception as error:  # noqa: BLE001 - it is raised again in the thread that asked for the write
            self._note(error, began)
            if len(jobs) > 1 and not _is_outage(error):
                return False
            for job in jobs:
                job.error = error if len(jobs) == 1 else copy_of(error)
        return True

    def _commit_to_file(self, jobs: list[Job[Any]], file: DatabaseFile) -> None:
        """A file has no session to lose, so the one connection that writes stays lent.

        The transaction is begun and ended by the driver. For SQLAlchemy the connection is in one that never ends:
        its own begin and commit would cost another 25 us each time.
        """
        if self._writing is None:
            self._writing = self._writer.connect()
            self._outlives_power = None
        connection = self._writing
        outlives_power = any(job.outlives_power for job in jobs)
        is_ending = False
        try:
            if outlives_power is not self._outlives_power:
                run(connection, f"PRAGMA synchronous={'FULL' if outlives_power else 'NORMAL'}")
                self._outlives_power = outlives_power
            sqlite.begin(connection)
            run_jobs(jobs, connection)
            file.demand_unmoved(at_once=outlives_power)
            is_ending = True
            run(connection, "COMMIT")
        except BaseException as error:
            self._writing = None
            if is_ending and is_interruption(error) and not sqlite.is_in_transaction(connection):
                # It came after the COMMIT.
                finish(jobs)
            # What was begun is rolled back as the connection goes back to its pool.
            connection.close()
            raise

    def _commit_to_server(self, jobs: list[Job[Any]]) -> None:
        number = None
        try:
            with self._writer.connect() as connection:
                connection.begin()
                self._writing, self._writing_since_ms = connection, None
                run_jobs(jobs, connection)
                number = postgresql.transaction_id(connection)
                connection.commit()
        except BaseException as error:
            is_unanswered = isinstance(error, DBAPIError) and error.connection_invalidated
            if number is None or not (is_unanswered or is_interruption(error)):
                raise
            is_committed = postgresql.was_committed(self._readers, number)
            if is_committed is None:
                unconfirmed = RecordUnavailable(
                    "The database did not confirm the record; what was to be queued may still be sent."
                )
                if is_unanswered:
                    raise unconfirmed from error
                for job in jobs:
                    job.error = copy_of(unconfirmed)
            if is_committed is not False and is_interruption(error):
                finish(jobs)
                raise
            if not is_committed:
                raise
        finally:
            self._writing = None

    def _demand_answers(self) -> None:
        """Raises RecordUnavailable while the database has just kept somebody waiting for nothing."""
        if monotonic() < self._asked_again_at:
            raise RecordUnavailable("The database does not answer.")

    def _note(self, error: BaseException, began: float) -> None:
        # On SQLite every process waits for its own lock, and one that gets it is served.
        if not self.is_sqlite and _is_outage(error) and monotonic() - began >= BUSY_TIMEOUT_S:
            self._asked_again_at = monotonic() + _PAUSE_S

    def _engine(self, *, pool_size: int) -> Engine:
        options: dict[str, Any] = {
            # Its errors are logged, and parameters hold addresses and what is encrypted.
            "hide_parameters": True,
            "poolclass": QueuePool,
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": BUSY_TIMEOUT_S,
        }
        if self._file is not None:
            return create_engine(self.url, creator=partial(self._file.connect, BUSY_TIMEOUT_S), **options)
        engine = create_engine(self.url, pool_pre_ping=True, connect_args=postgresql.ARGUMENTS, **options)
        postgresql.bound_silence(engine)
        return engine


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
