"""A real `siteverify` server for tests: it listens on loopback, keeps what it was asked, answers as it is told to.

    with SiteVerify(verdict(success=True)) as server:
        ask(server.url)
        assert server.asked[0]["response"] == "..."

An answer is bytes, sent as they are; a function of the connection does whatever it wants with it.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import parse_qs

Answer = bytes | Callable[[socket.socket], None]


def response(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def verdict(**members: Any) -> bytes:
    """An answer with these members."""
    return response(json.dumps(members).encode())


def drip(connection: socket.socket) -> None:
    """A byte of a head that never ends, again and again."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)


def hang(connection: socket.socket) -> None:
    """Say nothing until the other side has had enough."""
    with suppress(OSError):
        connection.recv(1)


class SiteVerify:
    """The server; see the module's docstring. `context` makes it speak TLS."""

    def __init__(self, answer: Answer, *, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.asked: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://localhost:{self.port}/siteverify"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes accept up; closing alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                # A client that does not trust us hangs up in the handshake.
                talk = self._context.wrap_socket(connection, server_side=True) if self._context else connection
                with talk:
                    self._read(talk)
                    if callable(self._answer):
                        self._answer(talk)
                    else:
                        talk.sendall(self._answer)

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            self.paths.append(file.readline().decode().split(" ")[1])
            length = 0
            while (line := file.readline().decode().strip()) != "":
                if line.lower().startswith("content-length:"):
                    length = int(line.partition(":")[2])
            fields = parse_qs(file.read(length).decode(), keep_blank_values=True)
            self.asked.append({name: values[0] for name, values in fields.items()})
