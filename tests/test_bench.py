"""The benchmark itself: its sink counts rightly, its load generator believes nothing, and all of it runs."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import native, payload
from bench.__main__ import main
from bench.native import Counters
from tests.conftest import TAKES_LONG
from tests.neighbours import absent, program


@pytest.fixture(autouse=True, scope="module")
def _compiler() -> None:
    """The sink and the load generator are compiled by the first test that needs them."""
    program("cc")


TINY = ("--tiny", "--systems", "letterbox", "--concurrency", "4")
ENVELOPE = b"EHLO test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"


class Client:
    """An SMTP client that says what it is told and hears everything."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._heard = b""
        self.hear("220")

    def say(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def hear(self, *codes: str) -> None:
        """The codes of the next replies."""
        for code in codes:
            line = self._line()
            while line[3:4] == b"-":
                line = self._line()
            assert line[:3].decode() == code, line

    def is_left(self) -> bool:
        """Whether the server has hung up."""
        return not self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()

    def _line(self) -> bytes:
        while b"\n" not in self._heard:
            arrived = self._socket.recv(65536)
            assert arrived, "the sink hung up"
            self._heard += arrived
        line, _, self._heard = self._heard.partition(b"\n")
        return line


@contextmanager
def talking(*, delay_ms: float = 0) -> Iterator[tuple[native.Sink, Client]]:
    with native.sink(delay_ms=delay_ms) as sink:
        client = Client(sink.port)
        try:
            yield sink, client
        finally:
            client.close()


def test_chunks_are_counted_as_one_message_with_the_last_of_them() -> None:
    with talking() as (sink, client):
        client.say(ENVELOPE + b"BDAT 5\r\na\r\n.\nBDAT 3 LAST\r\nb\r\n")
        client.hear("250", "250", "250", "250", "250")
        assert sink.counters() == Counters(messages=1, octets=8, answers=2, connections=1, refused=0)


def test_data_end_at_the_lone_dot_wherever_the_stream_is_cut() -> None:
    with talking() as (sink, client):
        client.say(ENVELOPE + b"DATA\r\n")
        client.hear("250", "250", "250", "354")
        for octet in b"a\r\n..\r\n.b\r\n\r.\r\n\n.\r\n.\r\nNOOP\r\n":
            client.say(bytes([octet]))
        client.hear("250", "250")
        assert sink.counters().messages == 1


def test_an_empty_message_is_a_message() -> None:
    with talking() as (sink, client):
        client.say(ENVELOPE + b"DATA\r\n.\r\n")
        client.hear("250", "250", "250", "354", "250")
        client.say(b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nBDAT 0 LAST\r\n")
        client.hear("250", "250", "250")
        assert sink.counters().messages == 2


def test_a_message_without_a_recipient_is_refused_and_its_octets_are_no_commands() -> None:
    with talking() as (sink, client):
        client.say(b"MAIL FROM:<a@example.com>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\nDATA\r\n")
        client.hear("250", "503", "250", "503")
        counters = sink.counters()
        assert (counters.messages, counters.refused) == (0, 2)


def test_lines_without_carriage_return_and_sizes_without_digits_are_refused() -> None:
    with talking() as (sink, client):
        client.say(b"NOOP\n")
        client.hear("500")
        client.say(ENVELOPE + b"BDAT -1 LAST\r\n")
        client.hear("250", "250", "250", "501")
        assert client.is_left()
        assert sink.counters().refused == 2


def test_replies_to_what_arrived_together_leave_together_and_late() -> None:
    with talking(delay_ms=30) as (sink, client):
        began = time.monotonic()
        client.say(ENVELOPE + b"BDAT 1 LAST\r\nx")
        client.hear("250", "250", "250", "250")
        assert time.monotonic() - began >= 0.03
        assert sink.counters().answers == 2


def test_each_request_has_a_number_of_its_own(tmp_path: Path) -> None:
    with serving(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok") as (port, heard):
        load = native.load(port, payload.write_request(tmp_path), connections=2, requests=10, first_number=7)
    assert load.answered == 10
    assert sorted(heard) == [b"visitor-%016d@example.com" % number for number in range(7, 17)]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 201 Created\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nmore than two",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_any_other_answer_fails_the_run(tmp_path: Path, answer: bytes) -> None:
    with serving(answer) as (port, _), pytest.raises(RuntimeError, match="failed"):
        native.load(port, payload.write_request(tmp_path), connections=1, requests=1)


def test_the_requests_have_the_size_that_is_promised(tmp_path: Path) -> None:
    head, _, body = payload.write_request(tmp_path).read_bytes().partition(b"\r\n\r\n")
    assert len(body) == payload.JSON_OCTETS
    assert f"Content-Length: {payload.JSON_OCTETS}".encode() in head


@TAKES_LONG
@pytest.mark.parametrize("part", ["loopback", "delay", "attachment"])
def test_the_service_is_measured_on_loopback_behind_a_slow_server_and_with_a_large_attachment(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*TINY, "--only", part, "--delay-ms", "5"])
    row = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("letterbox "))
    assert float(row.split()[1]) > 0


@TAKES_LONG
def test_the_service_is_measured_with_few_and_with_many_emails_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    main([*TINY, "--only", "million", "--rows", "2000"])
    printed = capsys.readouterr().out
    rates = [row.split()[-1] for row in printed.splitlines() if row.startswith(("send", "look up", "list"))]
    assert len(rates) == 6
    assert all(float(rate) > 0 for rate in rates)


@TAKES_LONG
def test_the_service_signs_in_behind_tls(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        native.build("sink-tls")
    except RuntimeError:
        absent("the sink's TLS needs the headers of OpenSSL")
    main([*TINY, "--only", "loopback", "--tls"])
    assert "\nletterbox " in capsys.readouterr().out


@TAKES_LONG
def test_the_ratios_are_to_fastify(capsys: pytest.CaptureFixture[str]) -> None:
    program("npm")
    main(["--tiny", "--systems", "letterbox", "fastify", "--concurrency", "4", "--only", "loopback"])
    rows = {row.split()[0]: row.split() for row in capsys.readouterr().out.splitlines() if row.strip()}
    assert rows["fastify"][3] == "1.00"
    assert float(rows["letterbox"][3]) == pytest.approx(
        float(rows["letterbox"][2]) / float(rows["fastify"][2]), abs=0.02
    )


@contextmanager
def serving(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """An HTTP server that says the same to every request, and the senders that it read."""
    heard: list[bytes] = []
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                heard.append(request.partition(b'"Email": "')[2].partition(b'"')[0])
                if not answer:
                    return
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connections.append(listener.accept()[0])
            except OSError:
                return
            threading.Thread(target=serve, args=(connections[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
