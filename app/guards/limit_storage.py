"""The limits library's storage for one process, bounded: what `memory://` means in this service. Used by `gate`.

The library's own MemoryStorage never bounds its keys, and after a hit it starts a timer thread which scans all of them
10 ms later. Here a hit costs O(1), there is no thread, and a million addresses take no more memory than the capacity.
It counts by monotonic time, so a wall clock that is set neither frees a client nor keeps one out.

Keys are kept apart by namespace (the part before the first slash, see `limits.RateLimitItem`), each with the full
capacity. So a flood of new addresses pushes out the counters that were touched longest ago, never a block.
"""

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import TypeVar

from limits.storage import MovingWindowSupport, Storage

from app.model.clock import Seconds, monotonic_s

# Measured: a client takes 860 bytes after one request and 1240 when it has filled every window, so this is 43 to 62 MB.
DEFAULT_CAPACITY = 50_000

# Two for one: more keys go than come, so that what has expired does not wait for the capacity to be reached.
_SWEPT_PER_NEW_KEY = 2


Entry = TypeVar("Entry")


class _Counter:
    """A fixed window: how many requests since its first one, and when it ends."""

    __slots__ = ("count", "ends_at")

    def __init__(self, ends_at: float) -> None:
        self.count = 0
        self.ends_at = ends_at


class _Namespace:
    """The keys of one kind of limit, least recently touched first."""

    __slots__ = ("counters", "lifetime_s", "times")

    def __init__(self) -> None:
        self.counters: OrderedDict[str, _Counter] = OrderedDict()
        self.times: OrderedDict[str, array[float]] = OrderedDict()
        self.lifetime_s = 0.0


class BoundedMemoryStorage(Storage, MovingWindowSupport):
    """Fixed and moving windows of at most `capacity` keys of each namespace; any thread may call any method."""

    STORAGE_SCHEME = ["bounded-memory"]  # noqa: RUF012 - the library's own declaration

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        capacity: int = DEFAULT_CAPACITY,
        now: Seconds = monotonic_s,
    ) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._capacity = capacity
        self._now = now
        self._lock = threading.Lock()
        self._namespaces: defaultdict[str, _Namespace] = defaultdict(_Namespace)

    @property
    def base_exceptions(self) -> type[Exception]:
        return MemoryError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count in the fixed window that the first request opened; returns the requests in it so far."""
        now = self._now()
        with self._lock:
            counters = self._namespaces[key.partition("/")[0]].counters
            counter = counters.get(key)
            if counter is None:
                self._make_room(counters, lambda oldest: oldest.ends_at <= now)
                counter = counters[key] = _Counter(now + expiry)
            else:
                counters.move_to_end(key)
                if counter.ends_at <= now:
                    counter.count = 0
                    counter.ends_at = now + expiry
            counter.count += amount
            return counter.count

    def get(self, key: str) -> int:
        now = self._now()
        with self._lock:
            counter = self._namespaces[key.partition("/")[0]].counters.get(key)
            return counter.count if counter is not None and counter.ends_at > now else 0

    def get_expiry(self, key: str) -> float:
        """When the fixed window ends, by the clock of this storage; now when there is none."""
        now = self._now()
        with self._lock:
            counter = self._namespaces[key.partition("/")[0]].counters.get(key)
            return max(now, counter.ends_at) if counter is not None else now

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count in the moving window, unless it would then hold more than `limit` requests."""
        if amount > limit:
            return False
        now = self._now()
        with self._lock:
            namespace = self._namespaces[key.partition("/")[0]]
            times = namespace.times.get(key)
            if times is None:
                # One expiry for a namespace is the rule; were there several, the longest would decide when keys go.
                namespace.lifetime_s = lifetime_s = max(namespace.lifetime_s, expiry)
                self._make_room(namespace.times, lambda oldest: oldest[-1] < now - lifetime_s)
                times = namespace.times[key] = array("d")
            else:
                namespace.times.move_to_end(key)
                decisive = len(times) - 1 - (limit - amount)
                if decisive >= 0 and times[decisive] >= now - expiry:
                    return False
            times.extend([now] * amount)
            del times[: -limit or None]
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest request that still counts came, and how many do."""
        now = self._now()
        with self._lock:
            times = self._namespaces[key.partition("/")[0]].times.get(key)
            if times is None:
                return now, 0
            first = bisect_left(times, now - expiry)
            return (times[first], len(times) - first) if first < len(times) else (now, 0)

    def clear(self, key: str) -> None:
        with self._lock:
            namespace = self._namespaces[key.partition("/")[0]]
            namespace.counters.pop(key, None)
            namespace.times.pop(key, None)

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        """Forget everything; returns how many keys that were."""
        with self._lock:
            keys = sum(len(namespace.counters) + len(namespace.times) for namespace in self._namespaces.values())
            self._namespaces.clear()
            return keys

    def _make_room(self, entries: "OrderedDict[str, Entry]", has_expired: Callable[[Entry], bool]) -> None:
        """Drop what has expired from the cold end, and beyond the capacity also what has not."""
        for _ in range(_SWEPT_PER_NEW_KEY):
            if not entries:
                return
            coldest = next(iter(entries))
            if len(entries) < self._capacity and not has_expired(entries[coldest]):
                return
            del entries[coldest]
