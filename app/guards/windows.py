"""One client's windows and block, and one token's windows, in a storage of the limits library. `gate` counts here.

`LibraryWindows` would do on every storage of the library that knows fixed and moving windows, and is used in memory.
`redis_windows` does the same on Redis in one round trip.
"""

from typing import NamedTuple, Protocol

from app.guards.rules import BlockReason, Rules, Window, block_key
from app.model.clock import Seconds, monotonic_s

# Some storages tell whole seconds, so the last half second of a block may read as none.
_LEAST_S = 0.001


class Spent(NamedTuple):
    """How far one of the throttle's windows is used up."""

    requests: int
    ends_in_s: float


class Count(NamedTuple):
    """What the storage says to one request. `blocked_by` is set for the one request that set the block."""

    spent: tuple[Spent, ...]
    blocked_for_s: float = 0.0
    blocked_by: BlockReason | None = None


class Windows(Protocol):
    """Where requests are counted; raises what its storage raises when that is gone."""

    def count(self, client: str) -> Count:
        """Count one request in every window, unless the client is blocked: then nothing is counted."""

    def count_page(self, client: str) -> Count:
        """Count one request for a page, unless the client is blocked. It never sets a block."""

    def count_token(self, token: str) -> tuple[Spent, ...]:
        """Count one request in every window of an access token. Tokens are never blocked."""

    def block(self, client: str, seconds: float) -> None:
        """Set a block that was decided elsewhere; one that stands already stays as it is."""

    def forget(self, client: str) -> None:
        """Lift the block and empty the client's windows."""

    def close(self) -> None:
        """Stop what runs in the background."""


class WindowStorage(Protocol):
    """What is needed of a storage of the limits library: that of its fixed and its moving windows."""

    def incr(self, key: str, expiry: int, amount: int = 1) -> int: ...
    def get(self, key: str) -> int: ...
    def get_expiry(self, key: str) -> float: ...
    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool: ...
    def clear(self, key: str) -> None: ...


class LibraryWindows:
    """Windows on any storage. `now` is the clock that the storage itself uses, in seconds."""

    def __init__(self, storage: WindowStorage, rules: Rules, *, now: Seconds = monotonic_s) -> None:
        self._storage = storage
        self._rules = rules
        self._now = now

    def count(self, client: str) -> Count:
        storage, rules = self._storage, self._rules
        standing = block_key(client)
        if storage.get(standing):
            return Count((), self._blocked_for_s(standing))
        spent = self._spend(rules.throttles, client)
        burst, excess = rules.burst, rules.excess
        is_burst = not storage.acquire_entry(burst.key(client), burst.limit, burst.seconds)
        is_excess = not storage.acquire_entry(excess.key(client), excess.limit, excess.seconds)
        if not is_burst and not is_excess:
            return Count(spent)
        reason = rules.block_of(is_burst=is_burst, is_excess=is_excess)
        is_first = storage.incr(standing, rules.block_s[reason]) == 1
        return Count(spent, self._blocked_for_s(standing), reason if is_first else None)

    def count_page(self, client: str) -> Count:
        standing = block_key(client)
        if self._storage.get(standing):
            return Count((), self._blocked_for_s(standing))
        return Count(self._spend(self._rules.page_throttles, client))

    def count_token(self, token: str) -> tuple[Spent, ...]:
        return self._spend(self._rules.token_throttles, token)

    def block(self, client: str, seconds: float) -> None:
        self._storage.incr(block_key(client), max(1, round(seconds)))

    def forget(self, client: str) -> None:
        for key in self._rules.keys(client):
            self._storage.clear(key)

    def close(self) -> None:
        """There is nothing to stop."""

    def _spend(self, windows: tuple[Window, ...], counted: str) -> tuple[Spent, ...]:
        storage = self._storage
        spent = []
        for window in windows:
            # What FixedWindowRateLimiter.hit does, keeping the count that it throws away: asking again for the figures
            # would answer two overlapping requests with the same remainder.
            key = window.key(counted)
            requests = storage.incr(key, window.seconds)
            spent.append(Spent(requests, max(0.0, storage.get_expiry(key) - self._now())))
        return tuple(spent)

    def _blocked_for_s(self, standing: str) -> float:
        return max(_LEAST_S, self._storage.get_expiry(standing) - self._now())
