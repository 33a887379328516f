"""How many bodies are read at a time: one that never ends holds its thread, and nobody is to hold all of them.

The server hands a request on as soon as its head is there, so reading a body is waiting for the client, without an end.
Who waits for SMTP servers is bounded elsewhere (`emails.turnstile`).
"""

from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from app.errors import Overloaded
from app.guards.client_address import client_key
from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SLOW_S = 2.0
"""What takes longer than a body that has arrived, however busy the machine is."""
MOST_SLOW_OF_ONE = 8
"""Slow bodies of one client: as many as somebody behind a slow line sends at once, and a fraction of the threads."""


class BodyReads:
    """WSGI middleware: bounds the reads of all requests in this process.

    Whoever is over a bound is answered as `Overloaded` is, when the body is asked for.
    """

    def __init__(self, application: "WSGIApplication", settings: Settings) -> None:
        self._application = application
        self._most = settings.web_threads
        self._trusted_proxies = settings.guards.trusted_proxies
        self._under_way: dict[int, tuple[float, WSGIEnvironment]] = {}
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["wsgi.input"] = _BoundedInput(environ["wsgi.input"], environ, self)
        return self._application(environ, start_response)

    def begin(self, environ: "WSGIEnvironment") -> int:
        """A read that is to be ended with what this returns. Raises Overloaded."""
        number, now = id(environ), monotonic()
        with self._lock:
            if len(self._under_way) >= self._most or self._holds_too_many(environ, now):
                raise Overloaded("Too many requests are still being received.")
            self._under_way[number] = (now, environ)
        return number

    def end(self, number: int) -> None:
        with self._lock:
            self._under_way.pop(number, None)

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
        number = self._reads.begin(self._environ)
        try:
            block: bytes = self._input.read(size)
            return block
        finally:
            self._reads.end(number)
