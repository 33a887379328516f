"""One HTTP POST to a service that vouches for visitors, within a deadline that nothing it does can stretch.

Used by `captcha`. No redirect is followed, no proxy of the environment is asked, certificates are always verified, and
an answer is read to a limit.
"""

import io
import socket
import ssl
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from app.smtp.connect import connect
from app.smtp.resolver import Resolver

ANSWER_LIMIT = 64 * 1024
"""Of head and body together; a verdict has a few hundred bytes."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_resolver = Resolver()


class AnswerUnusable(Exception):
    """What came back is no answer that can be believed. The text holds nothing that was sent."""


def ask(url: str, body: bytes, *, content_type: str, deadline_s: float) -> bytes:
    """The body of the answer, which must be a 200. `http` only leads to this machine.

    Raises OSError, of which TimeoutError is one, and AnswerUnusable.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise AnswerUnusable("the address that is asked is not https")
    deadline = monotonic() + deadline_s
    connection = _connected(parts, deadline)
    try:
        connection.settimeout(_remaining(deadline))
        connection.sendall(_request(parts, body, content_type))
        return _body(_received(connection, deadline))
    finally:
        connection.close()


def _connected(parts: SplitResult, deadline: float) -> socket.socket:
    host = parts.hostname or ""
    plain = connect(_resolver.resolve(host, parts.port or (443 if parts.scheme == "https" else 80), deadline), deadline)
    if parts.scheme == "http":
        return plain
    try:
        # The handshake as a whole has this long.
        plain.settimeout(_remaining(deadline))
        return _context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _request(parts: SplitResult, body: bytes, content_type: str) -> bytes:
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Accept: application/json\r\n"
        "User-Agent: letterbox\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _received(connection: socket.socket, deadline: float) -> bytes:
    """Everything until the end, which `Connection: close` asked for."""
    received = bytearray()
    while True:
        connection.settimeout(_remaining(deadline))
        chunk = connection.recv(16 * 1024)
        if not chunk:
            return bytes(received)
        received += chunk
        if len(received) > ANSWER_LIMIT:
            raise AnswerUnusable("it is too long")


def _body(received: bytes) -> bytes:
    answer = HTTPResponse(_Received(received), method="POST")  # type: ignore[arg-type]
    try:
        answer.begin()
        content = answer.read()
    except (HTTPException, ValueError) as error:
        raise AnswerUnusable("it is no HTTP, or ends early") from error
    if answer.status != 200:
        raise AnswerUnusable(f"its status is {answer.status}")
    return content


class _Received:
    """What HTTPResponse asks of a socket: a file to read from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """Reading the system's authorities takes 10 ms and more, so once."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
