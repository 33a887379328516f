"""The connection to the database: SQLite in WAL mode by default, PostgreSQL by URL.

Reads take a pooled connection of their own. Writes go through `Database.write`, which commits the work of all requests
that are waiting at that moment in one transaction (group commit): one fsync or round trip for many of them.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from app.errors import RecordUnavailable

Result = TypeVar("Result")


@dataclass(slots=True)
class _Job(Generic[Result]):
    work: Callable[[Connection], Result]
    result: Result | None = None
    error: Exception | None = None
    is_done: bool = False


class Database:
    """One per process. `url` is a SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`)."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            pool_pre_ping=not self.is_sqlite,
            connect_args={"check_same_thread": False, "timeout": 5} if self.is_sqlite else {"connect_timeout": 5},
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
        self._pending: deque[_Job[Any]] = deque()
        self._committing = threading.Lock()

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction and return its result once that is committed.

        `work` may run twice (a batch that fails as a whole is run again job by job), so it must do nothing but talk to
        the connection. Raises RecordUnavailable when the database does not take it, with the cause.
        """
        job = _Job(work)
        self._pending.append(job)
        with self._committing:
            # Whoever gets the lock first commits for everyone who queued behind it.
            if not job.is_done:
                self._commit_pending()
        if job.error is not None:
            if isinstance(job.error, SQLAlchemyError):
                raise RecordUnavailable("the database did not take the write") from job.error
            raise job.error
        return cast(Result, job.result)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run a query on a connection of its own; raises RecordUnavailable when the database does not answer."""
        try:
            with self.engine.connect() as connection:
                return query(connection)
        except SQLAlchemyError as error:
            raise RecordUnavailable("the database did not answer") from error

    def close(self) -> None:
        self.engine.dispose()

    def _commit_pending(self) -> None:
        jobs = []
        while self._pending:
            jobs.append(self._pending.popleft())
        if not self._commit(jobs):
            for job in jobs:
                self._commit([job])

    def _commit(self, jobs: list[_Job[Any]]) -> bool:
        """Run the jobs in one transaction. False when it failed and there is more than one to try again."""
        try:
            with self.engine.begin() as connection:
                for job in jobs:
                    job.result = job.work(connection)
        except Exception as error:  # noqa: BLE001 - it is raised again in the thread that asked for the write
            if len(jobs) > 1:
                return False
            jobs[0].error = error
        for job in jobs:
            job.is_done = True
        return True


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
