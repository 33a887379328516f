"""Bodies over real sockets: whole or refused, within a deadline, a few at a time of one client, and within a budget."""

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import valid_request
from tests.smtp_server import SMTPServer
from tests.test_process import Running, serving

FIRST_S, LINE_S = 1.5, 0.3
SHORTLY = (
    "from app.web import body_reads as reads; from app.cli import main; "
    f"reads.FIRST_S, reads.LONGEST_LINE_S = {FIRST_S}, {LINE_S}; main()"
)
"""The service with shorter patience than it has."""
BUDGET = 32 * 1024 * 1024
THREADS = 20

FORM = b"email=ada%40example.com&message=Hello"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nada@example.com\r\n'
    b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nHello\r\n--b--\r\n'
)
JSON = b'{"email":"ada@example.com","message":"Hello"}'
BODIES = {
    "urlencoded": ("/forms/default", "application/x-www-form-urlencoded", FORM),
    "multipart": ("/forms/default", "multipart/form-data; boundary=b", PARTS),
    "form as JSON": ("/forms/default", "application/json", JSON),
    "API": ("/api/v1/emails", "application/json", JSON),
}


@pytest.fixture(scope="module")
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server: SMTPServer) -> Iterator[Running]:
    environment = {"COOLDOWN_ENABLED": "false", "WEB_THREADS": str(THREADS), "BODY_MEMORY_BYTES": str(BUDGET)}
    directory = tmp_path_factory.mktemp("service")
    with serving([sys.executable, "-c", SHORTLY], directory, environment, server=server) as service:
        yield service


class Client:
    """One connection, from an address of its own."""

    def __init__(self, service: Running, address: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=20, source_address=(address, 0))

    def begin(self, kind: str, framing: str, body: bytes = b"") -> "Client":
        path, content_type, _ = BODIES[kind]
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nAccept: application/json\r\n"
        self.socket.sendall(f"{head}Content-Type: {content_type}\r\n{framing}\r\n\r\n".encode() + body)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers, and everything until the server closes the connection."""
        octets = b""
        with self.socket:
            while block := self.socket.recv(65536):
                octets += block
        head, _, body = octets.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body

    def close(self) -> None:
        self.socket.close()


def chunk(octets: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(octets), octets)


CHUNKED = "Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"


def post(service: Running, address: str = "127.0.0.1") -> int:
    client = Client(service, address)
    body = json.dumps(valid_request()).encode()
    client.begin("API", f"Connection: close\r\nContent-Length: {len(body)}", body)
    return client.answer()[0]


@pytest.mark.parametrize("kind", BODIES)
def test_a_whole_body_is_taken_however_it_comes(service: Running, server: SMTPServer, kind: str) -> None:
    for way in range(3):
        # The same words from the same visitor would be one message.
        body = BODIES[kind][2].replace(b"Hello", kind[:5].encode() + b"%d" % way)
        framing, pieces = [
            (CHUNKED, [chunk(body), LAST]),
            (CHUNKED, [chunk(body[:9]), chunk(body[9:])[:-4], chunk(body[9:])[-4:], b"0\r\nX-Trailer: 1\r\n\r\n"]),
            (f"Content-Length: {len(body)}", [body[:5], body[5:]]),
        ][way]
        wanted = len(server.messages) + 1
        client = Client(service).begin(kind, f"Connection: close\r\n{framing}")
        for piece in pieces:
            client.socket.sendall(piece)
            time.sleep(0.01)
        assert client.answer()[0] in (200, 201)
        server.wait_until(lambda wanted=wanted: len(server.messages) == wanted)  # type: ignore[misc]


@pytest.mark.parametrize("end", ["closed for writing", "closed", "reset", "no number"])
@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_ends_early_is_refused_and_never_mailed(
    service: Running, server: SMTPServer, kind: str, end: str
) -> None:
    body = BODIES[kind][2].replace(b"Hello", b"never")
    statuses = []
    for framing, pieces in [
        (CHUNKED, chunk(body)),
        (CHUNKED, chunk(body[:30])),
        (CHUNKED, chunk(body)[:-5]),
        (CHUNKED, chunk(body) + b"0\r\n"),
        (f"Content-Length: {len(body) + 1}", body),
        (f"Content-Length: {len(body) + 100_000}", body),
    ][: 2 if end == "no number" else None]:
        client = Client(service).begin(kind, framing, pieces)
        time.sleep(0.02)
        if end == "closed for writing":
            client.socket.shutdown(socket.SHUT_WR)
        elif end == "no number":
            client.socket.sendall(b"zz\r\n")
        elif end == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end in ("closed for writing", "no number"):
            statuses.append(client.answer()[0])
        client.close()
    assert set(statuses) <= {400}
    assert post(service) == 201
    time.sleep(0.2)
    assert not any(b"never" in message.data for message in server.messages)


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Content-Length: 1000000", CHUNKED])
@pytest.mark.parametrize("kind", ["urlencoded", "API"])
def test_a_body_that_takes_too_long_is_answered_with_408_and_the_connection_is_closed(
    service: Running, kind: str, framing: str
) -> None:
    began = time.monotonic()
    client = Client(service).begin(kind, framing, chunk(b"a") if framing == CHUNKED else b"a")
    status, headers, body = client.answer()
    assert status == 408
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == 408
    assert FIRST_S - 0.1 <= time.monotonic() - began < FIRST_S + 5


def test_a_drip_of_octets_does_not_lengthen_the_deadline(service: Running) -> None:
    client = Client(service).begin("API", "Content-Length: 1000")
    began = time.monotonic()
    with client.socket, pytest.raises(OSError):  # noqa: PT011, PT012 - closed, in one of many ways
        while time.monotonic() - began < FIRST_S + 5:
            client.socket.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() - began < FIRST_S + 3


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Content-Length: 1000000", CHUNKED])
def test_half_bodies_of_many_addresses_keep_nobody_out(service: Running, framing: str) -> None:
    with ExitStack() as stack:
        for number in range(2, 9):
            for _ in range(10):
                client = Client(service, f"127.0.0.{number}")
                stack.callback(client.close)
                client.begin("API", framing, chunk(b"{") if framing == CHUNKED else b"{")
        time.sleep(0.1)
        for path in ("/test", "/health/live", "/health/ready"):
            began = time.monotonic()
            assert service.ask("GET", path)[0] == 200
            assert time.monotonic() - began < 1
        assert [post(service, "127.0.0.9") for _ in range(3)] == [201] * 3


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Content-Length: 1000000", CHUNKED])
def test_more_than_a_few_bodies_of_one_address_wait_in_its_line_and_are_then_refused(
    service: Running, framing: str
) -> None:
    start = chunk(b"{") if framing == CHUNKED else b"{"
    clients = [Client(service, "127.0.0.10").begin("API", framing, start) for _ in range(10)]
    answers = sorted((client.answer()[:2] for client in clients), key=lambda answer: answer[0])
    assert [status for status, _ in answers] == [408] * 8 + [503] * 2
    for status, headers in answers:
        assert headers["connection"] == "close"
        assert ("retry-after" in headers) == (status == 503)


def test_many_whole_bodies_of_one_address_at_once_are_all_taken(service: Running) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(post(service))) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * THREADS


def test_the_bodies_of_a_process_have_a_budget_and_small_ones_a_part_of_it(service: Running) -> None:
    length = 6 * 1024 * 1024
    with ExitStack() as stack:
        for number in range(2, 6):
            client = Client(service, f"127.0.0.{number}").begin("API", f"Content-Length: {length}", b"{")
            stack.callback(client.close)
        time.sleep(0.2)
        for kind in ("API", "urlencoded"):
            status, headers, _ = Client(service, "127.0.0.9").begin(kind, f"Content-Length: {length}").answer()
            assert status == 503, "before the body is there"
            assert int(headers["retry-after"]) > 0
        assert post(service, "127.0.0.9") == 201
    wait_until(lambda: answers_after(service, length) == 400)


def answers_after(service: Running, length: int) -> int:
    """A whole body of that length, which is no JSON."""
    client = Client(service, "127.0.0.9").begin("API", f"Connection: close\r\nContent-Length: {length}", b"a" * length)
    return client.answer()[0]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 seconds"
        time.sleep(0.05)


def memory_of(service: Running, name: str) -> int:
    """Of the process that serves, in octets."""
    pid = service.process.pid
    (child, *_) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = Path(f"/proc/{child}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


@pytest.mark.parametrize(
    ("kind", "piece"),
    [("urlencoded", b"%"), ("urlencoded", b"%41a"), ("API", b'{"":{}},'), ("multipart", b"--b\r\n\r\n\r\n")],
)
def test_ten_hostile_bodies_at_once_stay_within_the_budget_and_a_normal_post_goes_through(
    service: Running, kind: str, piece: bytes
) -> None:
    body = (piece * (10 * 1024 * 1024 // len(piece) + 1))[: 10 * 1024 * 1024]
    service.ask("GET", "/test")
    idle = memory_of(service, "VmRSS")
    statuses: list[int] = []

    def attack(number: int) -> None:
        client = Client(service, f"127.0.1.{number}")
        try:
            client.begin(kind, f"Connection: close\r\nContent-Length: {len(body)}", body)
            statuses.append(client.answer()[0])
        except OSError:
            # Refused while it was still sending.
            client.close()
            statuses.append(503)

    threads = [threading.Thread(target=attack, args=(number,)) for number in range(1, 11)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    assert post(service, "127.0.0.9") == 201
    assert time.monotonic() - began < 10
    for thread in threads:
        thread.join()
    assert set(statuses) <= {400, 503}
    assert memory_of(service, "VmHWM") - idle < 4 * BUDGET
