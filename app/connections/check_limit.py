"""How many servers may be tried at a time for the owners of connections. Used by `/apiops` through `registry`."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Overloaded

MOST = 8
MOST_OF_A_PROJECT = 4
"""Each holds a thread for as long as a server stays silent: the threads are there for mail."""


class CheckLimit:
    """One per process."""

    def __init__(self) -> None:
        self._under_way: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, project_id: int) -> Iterator[None]:
        """Inside, one more server is being tried for this project. Raises Overloaded."""
        with self._lock:
            if self._under_way.total() >= MOST or self._under_way[project_id] >= MOST_OF_A_PROJECT:
                raise Overloaded("Too many connections are being tried just now.")
            self._under_way[project_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[project_id] -= 1
