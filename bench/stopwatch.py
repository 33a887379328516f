"""CPU time of one thread, layer by layer, while the whole runs: every microsecond counts for the innermost layer.

A function that runs alone in a loop finds everything in the processor's caches, which it does not between two others.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

Place = tuple[Any, str, str]
"""A module or class, the name of a function in it, and the layer that its time counts for."""


class Stopwatch:
    """Started once; `taken_ns` holds the time of each layer, that of `outermost` what no other one took."""

    def __init__(self, outermost: str) -> None:
        self.taken_ns: Counter[str] = Counter()
        self._inside = [outermost]
        self._since_ns = time.thread_time_ns()

    @contextmanager
    def watching(self, places: Sequence[Place]) -> Iterator[None]:
        """Count these functions for their layers until the block ends."""
        originals = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
        for owner, name, layer in places:
            setattr(owner, name, self._timed(getattr(owner, name), layer))
        self._since_ns = time.thread_time_ns()
        try:
            yield
        finally:
            self._charge()
            for owner, name, original in originals:
                setattr(owner, name, original)

    def _timed(self, function: Callable[..., Any], layer: str) -> Callable[..., Any]:
        @wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            self._charge()
            self._inside.append(layer)
            try:
                return function(*arguments, **options)
            finally:
                self._charge()
                self._inside.pop()

        return run

    def _charge(self) -> None:
        now_ns = time.thread_time_ns()
        self.taken_ns[self._inside[-1]] += now_ns - self._since_ns
        self._since_ns = now_ns
