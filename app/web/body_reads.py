"""How many bodies are read at a time: one that never ends holds its thread, and nobody is to hold all of them.

The server hands a request on as soon as its head is there, so reading a body is waiting for the client, without an end.
Whoever is not counted yet among those who wait (`emails.turnstile`) is counted meanwhile.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from app.emails.turnstile import READING, Turn, Turnstile
from app.errors import Overloaded
from app.guards.client_address import client_key
from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SLOW_S = 2.0
"""What takes longer than a body that has arrived, however busy the machine is."""
MOST_SLOW_OF_ONE = 8
"""Slow bodies of one client: as many as somebody behind a slow line sends at once, and a fraction of the threads."""
TURN = "letterbox.turn"
"""Where the WSGI environ has the turn of a request that was counted at the door."""


class BodyReads:
    """WSGI middleware: bounds the reads of all requests in this process.

    Whoever is over a bound is answered as `Overloaded` is, when the body is asked for.
    """

    def __init__(self, application: "WSGIApplication", settings: Settings, turnstile: Turnstile) -> None:
        self._application = application
        self._turnstile = turnstile
        self._trusted_proxies = settings.guards.trusted_proxies
        self._under_way: dict[int, tuple[float, WSGIEnvironment]] = {}
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["wsgi.input"] = _BoundedInput(environ["wsgi.input"], environ, self)
        return self._application(environ, start_response)

    @contextmanager
    def reading(self, environ: "WSGIEnvironment") -> Iterator[None]:
        """One block of a body is read inside. Raises Overloaded."""
        number, now = id(environ), monotonic()
        with self._lock:
            if self._holds_too_many(environ, now):
                raise Overloaded("Too many requests are still being received.")
            self._under_way[number] = (now, environ)
        turn: Turn | None = None
        try:
            if TURN not in environ:
                turn = self._turnstile.admit(READING)
            yield
        finally:
            if turn is not None:
                self._turnstile.end(turn)
            with self._lock:
                del self._under_way[number]

    def _holds_too_many(self, environ: "WSGIEnvironment", now: float) -> bool:
        if len(self._under_way) < MOST_SLOW_OF_ONE:
            return False
        client = self._client(environ)
        slow = (other for began, other in self._under_way.values() if now - began > SLOW_S)
        return sum(self._client(other) == client for other in slow) >= MOST_SLOW_OF_ONE

    def _client(self, environ: "WSGIEnvironment") -> str:
        return client_key(
            environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), self._trusted_proxies
        )


class _BoundedInput:
    """`wsgi.input` as werkzeug reads it."""

    __slots__ = ("_environ", "_input", "_reads")

    def __init__(self, original: Any, environ: "WSGIEnvironment", reads: BodyReads) -> None:
        self._input, self._environ, self._reads = original, environ, reads

    def read(self, size: int = -1) -> bytes:
        with self._reads.reading(self._environ):
            block: bytes = self._input.read(size)
            return block
