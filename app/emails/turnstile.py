"""How many callers may wait for one SMTP configuration at a time (spec: delivery, "Overload")."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.emails.desk import Desk
from app.errors import Overloaded

SPARE_THREADS = 16
"""Threads that callers of one configuration cannot take: half for other configurations, half for everything else."""
_CROWDED = "Too many messages are waiting for this SMTP configuration."


class Turn:
    """One caller's, from the door until its answer is known."""

    __slots__ = ("is_over", "smtp_id")

    def __init__(self, smtp_id: int) -> None:
        self.smtp_id = smtp_id
        """The configuration that the caller is counted for, until the turn is over."""
        self.is_over = False


class Turnstile:
    """One per process. A slow server fills its own line; who does not fit is told so at once, and the rest goes on.

    Whatever they wait for, all together never hold all threads.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is per configuration; altogether a few more may wait, and fewer than there are threads."""
        self._limit = limit
        self._limit_of_all = limit + SPARE_THREADS // 2
        self._inside: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._desk = Desk()

    def admit(self, smtp_id: int) -> Turn:
        """Count a caller who will most likely wait for this configuration. Raises Overloaded."""
        with self._lock:
            self._demand_room(smtp_id, others=self._inside.total())
            self._inside[smtp_id] += 1
        return Turn(smtp_id)

    def work(self, turn: Turn) -> None:
        """Wait until only a few others are at work; from here until `passing`."""
        self._desk.sit_down(id(turn))

    @contextmanager
    def passing(self, smtp_id: int, turn: Turn | None = None) -> Iterator[None]:
        """Inside, one more caller waits for this configuration. Raises Overloaded."""
        if turn is None:
            turn = self.admit(smtp_id)
        else:
            self._desk.rise(id(turn))
            self._move(turn, smtp_id)
        try:
            yield
        finally:
            self.end(turn)

    def end(self, turn: Turn) -> None:
        """The caller is gone; said as often as one likes."""
        self._desk.rise(id(turn))
        with self._lock:
            if not turn.is_over:
                self._discount(turn.smtp_id)
                turn.is_over = True

    def _move(self, turn: Turn, smtp_id: int) -> None:
        """Count a caller for the configuration that it did turn to."""
        if turn.smtp_id == smtp_id:
            return
        with self._lock:
            self._demand_room(smtp_id, others=self._inside.total() - 1)
            self._discount(turn.smtp_id)
            self._inside[smtp_id] += 1
            turn.smtp_id = smtp_id

    def _demand_room(self, smtp_id: int, *, others: int) -> None:
        if self._inside[smtp_id] >= self._limit:
            raise Overloaded(_CROWDED)
        if others >= self._limit_of_all:
            raise Overloaded("Too many requests are waiting.")

    def _discount(self, smtp_id: int) -> None:
        self._inside[smtp_id] -= 1
        if not self._inside[smtp_id]:
            # Anybody may name any number.
            del self._inside[smtp_id]
