"""Group commit: the writes of all threads that wait at one moment become one transaction.

A thread that finds nobody committing leads: it commits what is waiting. The others wait for their own job, and what
comes in meanwhile is committed next, led by the first of its own threads. Used by `storage.database`.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from app.errors import RecordUnavailable
from app.storage.prepared import run

Result = TypeVar("Result")


class Job(Generic[Result]):
    """One thread's write. Whoever commits it sets `result` or `error`."""

    __slots__ = (
        "_is_left",
        "_leads",
        "_woken",
        "error",
        "is_done",
        "never_refuses",
        "outlives_power",
        "result",
        "work",
    )

    def __init__(self, work: Callable[[Connection], Result], outlives_power: bool, never_refuses: bool) -> None:
        self.work = work
        self.outlives_power = outlives_power
        self.never_refuses = never_refuses
        self.result: Result | None = None
        self.error: Exception | None = None
        self.is_done = False
        self._woken: threading.Lock | None = None
        self._leads = False
        self._is_left = False

    def wake(self) -> None:
        """Let its thread go on, if it waits."""
        if self._woken is not None:
            self._woken.release()


class GroupCommit:
    """The line of the jobs of one database. `commit` is called by one thread at a time, with at least one job.

    When it returns all are done. Only what is no job's fault, such as SystemExit in the thread that leads, may come out
    of it: that is raised in this thread alone, and of the others the jobs that are not `is_done` are committed by
    another thread.
    """

    def __init__(self, commit: Callable[[list[Job[Any]]], None]) -> None:
        self._commit = commit
        self._waiting: deque[Job[Any]] = deque()
        self._is_led = False
        self._lock = threading.Lock()

    def run(self, job: Job[Any]) -> None:
        """Returns once the job is done; raises only what interrupts this thread."""
        try:
            with self._lock:
                self._waiting.append(job)
                if self._is_led:
                    job._woken = threading.Lock()
                    job._woken.acquire()
                else:
                    self._is_led = job._leads = True
            if job._woken is not None:
                job._woken.acquire()
            if job._leads:
                self._lead(job)
        except BaseException:
            self._leave(job)
            raise

    def _lead(self, own: Job[Any]) -> None:
        jobs: list[Job[Any]] = []
        try:
            with self._lock:
                jobs = list(self._waiting)
                self._waiting.clear()
            self._commit(jobs)
        except BaseException:
            with self._lock:
                # Its own job ends with it.
                undone = [job for job in jobs if not (job.is_done or job is own or job._is_left)]
                self._waiting.extendleft(reversed(undone))
            jobs = [job for job in jobs if job.is_done]
            raise
        finally:
            with self._lock:
                self._hand_on(own)
            for job in jobs:
                if job is not own:
                    job.wake()

    def _hand_on(self, leader: Job[Any]) -> None:
        """Let the first of those who wait lead; the lock is held."""
        leader._leads = False
        if self._waiting:
            successor = self._waiting[0]
            successor._leads = True
            successor.wake()
        else:
            self._is_led = False

    def _leave(self, job: Job[Any]) -> None:
        """The thread was interrupted while it waited, or while it led: nobody may wait for it."""
        with self._lock:
            job._is_left = True
            if job in self._waiting:
                self._waiting.remove(job)
            if job._leads:
                self._hand_on(job)


def run_jobs(jobs: list[Job[Any]], connection: Connection) -> None:
    """Run the jobs in a transaction that has begun.

    Of several, one that refuses is undone alone; whatever else one raises breaks them all.
    """
    for job in jobs:
        job.error = None
        if job.never_refuses or len(jobs) == 1:
            job.result = job.work(connection)
            continue
        run(connection, "SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and not isinstance(error, IntegrityError | DataError):
                raise
            run(connection, "ROLLBACK TO SAVEPOINT job")
            job.error = error
        run(connection, "RELEASE SAVEPOINT job")


def finish(jobs: list[Job[Any]]) -> None:
    """They are committed, although what interrupts the leading thread is about to be raised."""
    for job in jobs:
        job.is_done = True


def copy_of(error: Exception) -> Exception:
    """For one of several threads: each time that an exception is raised its traceback grows."""
    if not isinstance(error, RecordUnavailable):
        return error  # is raised as the cause of another one
    copy = RecordUnavailable(str(error))
    copy.__cause__ = error.__cause__
    return copy


def is_interruption(error: BaseException) -> bool:
    """Whether it is of the thread that commits, such as SystemExit, and none of the jobs has caused it."""
    return not isinstance(error, Exception)
