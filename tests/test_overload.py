"""More callers than may wait for a slow SMTP server: the surplus is told so at once, everything else goes on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.emails.turnstile import SPARE_THREADS
from tests.conftest import valid_request
from tests.smtp_server import Deed, SMTPServer
from tests.test_process import Answer, Running, running

THREADS = 20
CLIENTS = 60


class SlowServer(SMTPServer):
    """Replies to no message until `release`."""

    def __init__(self) -> None:
        self._released = threading.Event()
        super().__init__(faults={"MESSAGE": self._hold})

    def hold(self) -> None:
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def _hold(self, _: str) -> Deed:
        self._released.wait(25)
        return None


class Crowd:
    """Clients that post at once, each from a thread of its own."""

    def __init__(self, service: Running, number: int) -> None:
        self.answers: list[Answer] = []
        self._service = service
        self._threads = [threading.Thread(target=self._post) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def statuses(self) -> list[int]:
        return sorted(status for status, _, _ in self.answers)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _post(self) -> None:
        self.answers.append(self._service.ask("POST", "/api/v1/emails", valid_request()))


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    with SlowServer() as server:
        yield server
        server.release()


@pytest.fixture
def service(tmp_path: Path, slow: SlowServer) -> Iterator[Running]:
    """Its SMTP_1 is slow, its SMTP_2 is not."""
    with SMTPServer() as quick:
        common = {"Host": "127.0.0.1", "Email": "web@example.com", "Auth": "none", "Security": "none"}
        configurations = [common | {"Index": 1, "Port": slow.port}, common | {"Index": 2, "Port": quick.port}]
        environment = {
            "SMTP_CONFIGURATIONS": json.dumps(configurations),
            "SMTP_RECEPTION_EMAIL": "office@example.com",
            "WEB_THREADS": str(THREADS),
        }
        with running(tmp_path, None, **environment) as service:
            yield service


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 seconds"
        time.sleep(0.01)


def threads_of(service: Running) -> int:
    """Of the process that serves."""
    pid = service.process.pid
    (child, *_) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(list(Path(f"/proc/{child}/task").iterdir()))


def test_the_surplus_is_refused_and_everybody_else_is_served(service: Running, slow: SlowServer) -> None:
    slow.release()
    location = service.ask("POST", "/api/v1/emails", valid_request())[1]["location"]
    slow.hold()
    crowd = Crowd(service, CLIENTS)
    wait_until(lambda: len(crowd.answers) == CLIENTS - THREADS)

    assert crowd.statuses() == [503] * (CLIENTS - THREADS)
    for _, headers, body in crowd.answers:
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["title"] == "Service unavailable"
    waits = [int(headers["retry-after"]) for _, headers, _ in crowd.answers]
    assert 5 <= min(waits) < max(waits) <= 15
    for path in ("/test", "/health/live", "/health/ready", location, "/metrics"):
        began = time.monotonic()
        assert service.ask("GET", path)[0] == 200
        assert time.monotonic() - began < 1
    assert service.ask("POST", "/api/v1/emails?smtpId=2", valid_request())[0] == 201
    assert len(crowd.answers) == CLIENTS - THREADS, "the others are still waiting"

    slow.release()
    crowd.wait()
    assert crowd.statuses() == [201] * THREADS + [503] * (CLIENTS - THREADS)
    assert len(slow.messages) == 1 + THREADS


def test_afterwards_it_works_as_before_and_has_kept_no_threads(service: Running, slow: SlowServer) -> None:
    threads = []
    for _ in range(3):
        slow.hold()
        crowd = Crowd(service, CLIENTS)
        wait_until(lambda crowd=crowd: len(crowd.answers) == CLIENTS - THREADS)  # type: ignore[misc]
        slow.release()
        crowd.wait()
        assert [service.ask("POST", "/api/v1/emails", valid_request())[0] for _ in range(5)] == [201] * 5
        threads.append(threads_of(service))
    assert max(threads) <= THREADS + SPARE_THREADS + 20
    assert len(slow.messages) == 3 * (THREADS + 5)


def test_connections_that_are_only_kept_open_keep_nobody_out(service: Running, slow: SlowServer) -> None:
    slow.release()
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=5))
        assert service.ask("GET", "/test")[0] == 200
        assert service.ask("POST", "/api/v1/emails", valid_request())[0] == 201


class SlowBodies:
    """Requests that promise a body and keep it, from one client or from many."""

    def __init__(self, service: Running, clients: list[str], header: str = "X-Nothing: 1") -> None:
        self._sockets = []
        for client in clients:
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(
                b"POST /api/v1/emails HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + f"{header}\r\nX-Forwarded-For: {client}\r\nContent-Length: 1000\r\n\r\n".encode()
                + b'{"Email": '
            )
            self._sockets.append(connection)

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()


@pytest.mark.parametrize("header", ["Idempotency-Key: one", "Prefer: respond-async", "X-Nothing: 1"])
def test_who_waits_for_a_server_and_who_sends_no_body_do_not_hold_all_threads_together(
    service: Running, slow: SlowServer, header: str
) -> None:
    slow.hold()
    crowd = Crowd(service, THREADS)
    time.sleep(0.5)
    bodies = SlowBodies(service, ["192.0.2.1"] * SPARE_THREADS, header)
    time.sleep(0.5)
    for path in ("/test", "/health/live"):
        assert service.ask("GET", path)[0] == 200
    bodies.close()
    slow.release()
    crowd.wait()
    assert crowd.statuses() == [201] * THREADS
