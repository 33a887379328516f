"""How many callers may wait for one SMTP configuration at a time (spec: delivery, "Overload")."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Overloaded

CROWDED = "Too many messages are waiting for this SMTP configuration."
SPARE_THREADS = 16
"""Threads that callers of one configuration cannot take: half for other configurations, half for everything else."""


class Turnstile:
    """One per process. A slow server fills its own line; who does not fit is told so at once, and the rest goes on."""

    def __init__(self, limit: int) -> None:
        """`limit` is per configuration; altogether a few more may wait, and fewer than there are threads."""
        self._limit = limit
        self._limit_of_all = limit + SPARE_THREADS // 2
        self._inside: Counter[int] = Counter()
        self._inside_of_all = 0
        self._lock = threading.Lock()

    def is_full(self, smtp_id: int) -> bool:
        """Whether `passing` would most likely refuse just now; for whoever can say so before doing any work."""
        return self._inside[smtp_id] >= self._limit or self._inside_of_all >= self._limit_of_all

    @contextmanager
    def passing(self, smtp_id: int) -> Iterator[None]:
        """Inside, one more caller waits for this configuration. Raises Overloaded."""
        with self._lock:
            if self.is_full(smtp_id):
                raise Overloaded(CROWDED)
            self._inside[smtp_id] += 1
            self._inside_of_all += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[smtp_id] -= 1
                self._inside_of_all -= 1
