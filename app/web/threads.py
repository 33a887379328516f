"""The threads in which requests are answered. Used by `asgi`."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_AWAY = 256
"""Threads that wait for the rest of a body: an idle one costs some kilobytes."""


class Threads:
    """A pool of `size` threads. One that waits for a client is replaced meanwhile, so that clients never hold all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._number = self._idle = self._away = 0

    def run(self, job: Callable[[], None]) -> None:
        """Run it in a thread, as soon as there is one. It raises nothing."""
        with self._changed:
            self._jobs.append(job)
            self._see_to_jobs()

    @contextmanager
    def away(self) -> Iterator[bool]:
        """Inside, the calling thread of the pool waits for a client; False when too many do, so it must not."""
        with self._changed:
            may_wait = self._away < MOST_AWAY
            if may_wait:
                self._away += 1
                self._see_to_jobs()
        try:
            yield may_wait
        finally:
            if may_wait:
                with self._changed:
                    self._away -= 1

    def _see_to_jobs(self) -> None:
        if not self._jobs:
            return
        if self._idle >= len(self._jobs):
            self._changed.notify()
        elif self._number < self._size + self._away:
            self._number += 1
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            job()
            # A thread that waits for work keeps nothing of the last.
            del job

    def _next_job(self) -> Callable[[], None] | None:
        """None when there are more threads than needed."""
        with self._changed:
            while not self._jobs:
                if self._number > self._size + self._away:
                    self._number -= 1
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return self._jobs.popleft()
