"""The service as an ASGI application: each request is answered by the WSGI application in a thread.

WSGI has no word for a body that ends early, nor a way to stop waiting for one; ASGI has both.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog

from app.settings import Settings
from app.web.body_reads import BodyReads, Receive, RequestBody
from app.web.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

_ONCE = ("CONTENT_TYPE", "CONTENT_LENGTH")
_LONGEST_NAME_REMEMBERED = 64


class ASGIApplication:
    """One per process. `at_startup` is called on the main thread, once the server has set its signal handlers."""

    def __init__(
        self, application: "WSGIApplication", settings: Settings, *, threads: int, at_startup: Callable[[], None]
    ) -> None:
        self._application = application
        self._reads = BodyReads(settings)
        self._threads = Threads(threads)
        self._at_startup = at_startup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        environ = _environ(scope)
        environ["wsgi.input"] = body = RequestBody(self._reads, self._threads, environ, receive)
        try:
            if body.is_broken:
                await body.receive_small()
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._threads.run(partial(self._answer, environ, answered))
            status, headers, content = await answered
        finally:
            body.close()
        self._reads.remember_token(environ)
        if body.is_broken:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._at_startup()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _answer(self, environ: "WSGIEnvironment", answered: "asyncio.Future[Answer]") -> None:
        """Called in a thread of the pool."""
        try:
            answer = self._call(environ)
        except Exception:
            # The application answers its own errors; this one was raised around it.
            log.exception("unexpected error around the application")
            answer = (500, [], b"")
        answered.get_loop().call_soon_threadsafe(_set, answered, answer)

    def _call(self, environ: "WSGIEnvironment") -> Answer:
        status, headers = "", list[tuple[str, str]]()

        def start_response(line: str, fields: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = line, fields
            return lambda _: None

        blocks = self._application(environ, start_response)
        try:
            content = b"".join(blocks)
        finally:
            if hasattr(blocks, "close"):
                blocks.close()
        return int(status[:3]), [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers], content


def _set(answered: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not answered.done():
        answered.set_result(answer)


def _environ(scope: Scope) -> "WSGIEnvironment":
    """The request as WSGI has it (PEP 3333). The lines of a header are joined with commas."""
    client, server = scope.get("client") or ("", 0), scope.get("server") or ("", 0)
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    environ: WSGIEnvironment = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, octets in scope["headers"]:
        # In WSGI it would have the name that another one has with a hyphen, which a proxy may have written.
        if b"_" in name:
            continue
        key = _key(name) if len(name) <= _LONGEST_NAME_REMEMBERED else _environ_key(name)
        if key not in environ:
            environ[key] = octets.decode("latin-1")
        elif key not in _ONCE:
            environ[key] += f",{octets.decode('latin-1')}"
    if "HTTP_TRANSFER_ENCODING" in environ:
        # The length of a chunked body is not what is declared (RFC 9112, section 6.3).
        environ.pop("CONTENT_LENGTH", None)
    elif "CONTENT_LENGTH" in environ:
        # However many zeros are before it, the server has read it as a number; Python converts 4,300 digits at most.
        environ["CONTENT_LENGTH"] = environ["CONTENT_LENGTH"].lstrip("0") or "0"
    return environ


def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in _ONCE else f"HTTP_{key}"


_key = lru_cache(maxsize=1024)(_environ_key)
