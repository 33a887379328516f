"""The brokers of this machine, for tests that need a real one; absent ones skip, with a reason."""

import socket
import threading
from contextlib import closing, suppress
from types import TracebackType
from typing import Self

import pytest
import redis

from app.emails.broker import build_celery

RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"
REDIS = "redis://127.0.0.1:6379/0"


def demand(url: str) -> None:
    """Skips the test when nothing listens there."""
    port = 5672 if url == RABBITMQ else 6379
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        pytest.skip(f"{'RabbitMQ' if url == RABBITMQ else 'Redis'} does not answer on 127.0.0.1:{port}: {error}")


def remove_queue(url: str, queue: str) -> None:
    """Leaves nothing of a test's own queue behind."""
    if url == REDIS:
        with closing(redis.Redis.from_url(url)) as client:
            for key in client.scan_iter(match=f"{queue}:*"):
                client.delete(key)
        return
    with build_celery(url, queue=queue).connection_for_write() as connection:
        connection.default_channel.queue_delete(queue)
        connection.default_channel.exchange_delete(queue)


class Relay:
    """Stands between a client and a broker, so that a test can cut the line."""

    def __init__(self, url: str) -> None:
        self._target = ("127.0.0.1", 5672 if url == RABBITMQ else 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.url = url.replace(str(self._target[1]), str(self._listener.getsockname()[1]))

    def cut(self) -> None:
        """Ends every connection; new ones are let through again."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += (near, far)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
