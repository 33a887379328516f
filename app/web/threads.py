"""The threads in which requests are answered. Used by `asgi`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

MOST_AWAY = 256
"""Threads that wait for the rest of a body: an idle one costs some kilobytes."""


class Threads:
    """A pool of `size` threads. One that waits for a client is replaced meanwhile, so that clients never hold all."""

    def __init__(self, size: int) -> None:
        self._size = size
        # A condition around a list would do, but costs twice as much for each job.
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._number = self._idle = self._away = 0
        self._untaken = 0
        """Jobs for which a thread must be idle, or become so."""

    def run(self, job: Callable[[], None]) -> None:
        """Run it in a thread, as soon as there is one. It raises nothing."""
        with self._lock:
            self._untaken += 1
            if self._idle < self._untaken:
                self._add_thread()
        self._jobs.put(job)

    @contextmanager
    def away(self) -> Iterator[bool]:
        """Inside, the calling thread of the pool waits for a client; False when too many do, so it must not."""
        with self._lock:
            may_wait = self._away < MOST_AWAY
            if may_wait:
                self._away += 1
                if self._idle < self._untaken:
                    self._add_thread()
        try:
            yield may_wait
        finally:
            if may_wait:
                with self._lock:
                    self._away -= 1
                    if self._number > self._size + self._away:
                        # The next thread that comes back ends.
                        self._number -= 1
                        self._untaken += 1
                        self._jobs.put(None)

    def _add_thread(self) -> None:
        if self._number < self._size + self._away:
            self._number += 1
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
                self._untaken -= 1
            if job is None:
                return
            job()
            # A thread that waits for work keeps nothing of the last.
            del job
