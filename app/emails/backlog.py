"""How many emails may wait for workers (spec: delivery, "A backlog limit")."""

import time
from collections.abc import Callable

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
        self._waiting = 0
        self._counted_at = float("-inf")

    def is_full(self) -> bool:
        """Whether no more can be accepted just now; the asker is about to add one. Raises RecordUnavailable."""
        if self._now() - self._counted_at > _KNOWN_FOR_S:
            self._waiting = self._database.read(queue.waiting)
            self._counted_at = self._now()
        if self._waiting >= self._limit:
            return True
        self._waiting += 1
        return False
