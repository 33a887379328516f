"""How many emails may wait for workers (spec: delivery, "A backlog limit")."""

import threading
import time
from collections.abc import Callable

from app.errors import Overloaded
from app.storage import queue
from app.storage.database import Database

_KNOWN_FOR_S = 1.0
"""How long a count is believed: counting thousands of rows for each request would cost more than the request."""


class Backlog:
    """One per process. Within a second several processes can exceed the limit by what they accept in it."""

    def __init__(self, database: Database, *, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._waiting = 0
        """Emails: those that were counted, and those that this process has added since."""
        self._reserved = 0
        """Places of requests that are not decided yet."""
        self._counted_at = float("-inf")

    def reserve(self) -> None:
        """Take a place for one more email, until `release`. Raises Overloaded and RecordUnavailable without one."""
        if self._now() - self._counted_at > _KNOWN_FOR_S:
            waiting, counted_at = (
                self._database.read(lambda connection: queue.waiting(connection, most=self._limit)),
                self._now(),
            )
            with self._lock:
                self._waiting, self._counted_at = waiting, counted_at
        with self._lock:
            if self._waiting + self._reserved >= self._limit:
                raise Overloaded("Too many messages are waiting to be delivered.")
            self._reserved += 1

    def release(self, *, is_queued: bool) -> None:
        """Give a place back; the email that it was for is waiting now, or was not accepted."""
        with self._lock:
            self._reserved -= 1
            self._waiting += is_queued
