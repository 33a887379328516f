"""A proxy before PostgreSQL that can fall silent, and that can lose the answer to a COMMIT."""

import socket
import threading
from contextlib import suppress
from typing import Self


class PostgreSQLProxy:
    """A context: listens until it ends."""

    def __init__(self, server: tuple[str, int] = ("127.0.0.1", 5432)) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flows = threading.Event()
        self._flows.set()
        self._loses_commit = False
        self._sockets: list[socket.socket] = [self._listener]

    @property
    def port(self) -> int:
        number: int = self._listener.getsockname()[1]
        return number

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def url(self, original: str) -> str:
        """Of the same database, through this proxy and in clear text, so that it understands what passes."""
        host, port = self._server
        return original.replace(f"{host}:{port}", f"127.0.0.1:{self.port}") + "?sslmode=disable&gssencmode=disable"

    def fall_silent(self) -> None:
        """Confirm what comes and hand nothing on, as a server that hangs does."""
        self._flows.clear()

    def speak(self) -> None:
        self._flows.set()

    def lose_next_commit(self) -> None:
        """Hand the next COMMIT on, and hang up instead of handing its answer back."""
        self._loses_commit = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += client, server
                is_lost = threading.Event()
                threading.Thread(target=self._up, args=(client, server, is_lost), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client, is_lost), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, is_lost: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                self._flows.wait()
                if self._loses_commit and b"COMMIT" in data:
                    self._loses_commit = False
                    is_lost.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _down(self, server: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not is_lost.is_set():
                self._flows.wait()
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
