"""Host names to addresses within a deadline. Used by `session`; one `Resolver` per `delivery.Deliverer`.

`getaddrinfo` has no timeout and cannot be interrupted. Each look-up runs in a daemon thread of its own; whoever asks
for a host that is being looked up waits for the same thread, so there are never more threads than hosts.
"""

import contextlib
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Any

CACHE_S = 30.0
"""Long enough for a burst of new sessions, short enough for a server that moves."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: the family and what `socket.connect` takes."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]


class Resolver:
    """Looks hosts up, and remembers the answers for a little while. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[tuple[Address, ...]]] = {}
        self._known: dict[tuple[str, int], tuple[float, tuple[Address, ...]]] = {}

    def resolve(self, host: str, port: int, deadline: float) -> tuple[Address, ...]:
        """All addresses of a host, in the system's order. Raises OSError, of which TimeoutError is one."""
        with contextlib.suppress(socket.gaierror):
            return _look_up(host, port, socket.AI_NUMERICHOST)
        key = (host, port)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] > monotonic():
                return known[1]
            future = self._under_way.get(key)
            if future is None:
                future = Future()
                threading.Thread(target=self._run, args=(key, future), name=f"dns {host}", daemon=True).start()
                self._under_way[key] = future
        return future.result(timeout=max(0.0, deadline - monotonic()))

    def _run(self, key: tuple[str, int], future: Future[tuple[Address, ...]]) -> None:
        try:
            addresses = _look_up(*key)
        except BaseException as error:  # noqa: BLE001 - it is raised in the threads that wait for it
            with self._lock:
                del self._under_way[key]
            is_expected = isinstance(error, OSError)
            future.set_exception(error if is_expected else socket.gaierror(socket.EAI_FAIL, f"look-up broke: {error}"))
        else:
            with self._lock:
                del self._under_way[key]
                now = monotonic()
                # Hosts come and go with the connections of projects, so what is out of date is not kept.
                self._known = {each: known for each, known in self._known.items() if known[0] > now}
                self._known[key] = (now + CACHE_S, addresses)
            future.set_result(addresses)


def _look_up(host: str, port: int, flags: int = 0) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (ValueError, OverflowError) as error:
        # A label that is empty or too long for IDNA, or a port that is none.
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return tuple(Address(family, sockaddr) for family, _, _, _, sockaddr in found)
