"""SIGTERM while a request does not come to its end: no queued email is taken any more, and the process ends in time."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.conftest import TAKES_LONG, valid_request
from tests.smtp_server import SMTPServer
from tests.test_process import Running, running

QUEUED = 30


@contextmanager
def unfinished(service: Running) -> Iterator[None]:
    """A request that has promised a body, and keeps it."""
    head = (
        b"POST /api/v1/emails HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head + b"\r\n{")
        yield


def queue_emails(service: Running) -> None:
    for _ in range(QUEUED):
        assert service.ask("POST", "/api/v1/emails", valid_request(), {"Prefer": "respond-async"})[0] == 202


def statuses(directory: Path) -> set[str]:
    with closing(sqlite3.connect(directory / "letterbox.db")) as database:
        return {status for (status,) in database.execute("SELECT DISTINCT status FROM emails")}


def test_nothing_is_taken_while_a_request_keeps_the_process_from_ending(tmp_path: Path) -> None:
    with SMTPServer(delay_s=0.05) as server, running(tmp_path, server, QUEUE_WORKERS="1") as service:
        with unfinished(service):
            queue_emails(service)
            service.process.terminate()
            time.sleep(1)
            sent = len(server.messages)
            time.sleep(1)
            assert len(server.messages) == sent < QUEUED
        assert service.process.wait(timeout=10) == 0
    assert statuses(tmp_path) == {"Sent", "Queued"}


@TAKES_LONG
def test_a_request_that_never_ends_does_not_keep_the_process_for_longer_than_it_has(tmp_path: Path) -> None:
    with (
        SMTPServer(delay_s=0.05) as server,
        running(tmp_path, server, QUEUE_WORKERS="1") as service,
        unfinished(service),
    ):
        queue_emails(service)
        began = time.monotonic()
        service.process.terminate()
        try:
            assert service.process.wait(timeout=40) == 0
        except subprocess.TimeoutExpired:
            service.process.kill()
            raise
        assert time.monotonic() - began < 30
    assert statuses(tmp_path) == {"Sent", "Queued"}


def test_a_signal_that_comes_while_the_serving_process_starts_is_not_lost(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = os.environ | {"PORT": str(port), "VAR_DIR": str(tmp_path / "var"), "SMTP_CONFIGURATIONS": ""}
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until = time.monotonic() + 60
        while not (born := children.read_text().split()) and time.monotonic() < until:
            time.sleep(0.005)
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert [child for child in born if Path(f"/proc/{child}").exists()] == []
    finally:
        process.kill()
