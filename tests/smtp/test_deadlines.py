"""No server holds a caller: not by silence, not by dripping, not by reading slowly, and neither does the DNS."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from app.model.message import Message
from app.model.outcome import Attempt, Outcome, Stage
from app.smtp import resolver, transaction
from tests.smtp.conftest import MESSAGE, Send
from tests.smtp_server import PIPELINING, PLAIN, Drip, Fault, Hang, SMTPServer

TIMEOUT_S = 0.2
PHASE_S = 1.0
LARGE = Message("AB12CD34", MESSAGE.content * 200_000)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_every_phase_ends_at_its_deadline(is_encrypted: bool, send: Send) -> None:
    def provoke(case: tuple[str, Fault]) -> tuple[str, Attempt]:
        step, fault = case
        credentials = ("user", "secret")
        with SMTPServer(PIPELINING, tls=is_encrypted, credentials=credentials, faults={step: fault}) as server:
            return step, send(server.configuration(timeout_s=PHASE_S)).attempts[0]

    steps = ("GREETING", "EHLO", "AUTH", "MAIL", "RCPT", "DATA")
    cases = list(product(steps, (Hang(), Drip(), Drip(b"x"))))
    # All at once, so that the timeout can be long enough for a busy machine.
    with ThreadPoolExecutor(len(cases)) as threads, at_most(PHASE_S + 15):
        for step, attempt in threads.map(provoke, cases):
            assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage(step.lower()))
            assert attempt.detail == "no answer in time"
            assert attempt.duration_ms >= PHASE_S * 950


@pytest.mark.parametrize("fault", [Hang(), Drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 5000)])
@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_handshake_ends_at_its_deadline(is_implicit: bool, fault: Fault, send: Send) -> None:
    with SMTPServer(tls=is_implicit, starttls=not is_implicit, faults={"TLS": fault}) as server, at_most(10):
        delivery = send(server.configuration(timeout_s=TIMEOUT_S))
    assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.TLS)


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, ("CHUNKING", *PIPELINING)])
def test_a_server_that_stops_reading_is_given_up(
    extensions: tuple[str, ...], is_encrypted: bool, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "BYTES_PER_SECOND", 1_000_000_000)
    with SMTPServer(extensions=extensions, tls=is_encrypted, faults={"TRANSFER": Hang()}) as server, at_most(10):
        delivery = send(server.configuration(timeout_s=TIMEOUT_S), message=LARGE)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.MESSAGE)


def test_the_callers_deadline_ends_the_transfer_too(send: Send) -> None:
    with SMTPServer(faults={"TRANSFER": Hang()}) as server, at_most(10):
        delivery = send(server.configuration(), message=LARGE, deadline_s=0.5)
    assert delivery.outcome is Outcome.SERVER_AT_FAULT


def test_the_callers_deadline_ends_every_phase_and_the_failover(send: Send) -> None:
    with SMTPServer(faults={"EHLO": Hang()}) as server, at_most(10):
        delivery = send(server.configuration(), server.configuration(index=2), deadline_s=0.3)
    assert [attempt.smtp_id for attempt in delivery.attempts] == [1]
    assert delivery.outcome is Outcome.SERVER_AT_FAULT


def test_without_any_time_left_the_record_says_so(send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(), server.configuration(index=2), deadline_s=-1)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.duration_ms) == (Outcome.SERVER_AT_FAULT, Stage.CONNECT, 0)
    assert "no time was left" in attempt.detail
    assert server.connections == 0


def test_a_port_that_does_not_answer_is_given_up(send: Send) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # The backlog is full, so the kernel ignores whoever else wants to connect.
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with SMTPServer() as server, at_most(10):
            delivery = send(
                server.configuration(port=listener.getsockname()[1], timeout_s=TIMEOUT_S), server.configuration(index=2)
            )
    assert [attempt.stage for attempt in delivery.attempts] == [Stage.CONNECT, Stage.MESSAGE]
    assert delivery.delivered_by == 2


@pytest.mark.parametrize("phase", ["look-up", "connecting"])
def test_look_up_and_connecting_have_a_timeout_of_their_own(
    phase: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def late(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        if flags:
            raise socket.gaierror
        answered.wait(10)
        return ()

    with socket.socket() as listener, socket.socket() as first, socket.socket() as second, SMTPServer() as server:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        changes: dict[str, Any] = {"port": listener.getsockname()[1]}
        if phase == "look-up":
            monkeypatch.setattr(resolver, "_look_up", late)
            changes = {"host": "late.example.com"}
        with at_most(4):
            delivery = send(server.configuration(connect_timeout_s=TIMEOUT_S, timeout_s=30.0, **changes))
        answered.set()
    assert delivery.attempts[0].stage is (Stage.DNS if phase == "look-up" else Stage.CONNECT)


def test_a_silent_name_server_is_given_up_and_costs_one_thread(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        if flags:
            raise socket.gaierror
        answered.wait(10)
        return (resolver.Address(socket.AF_INET, ("127.0.0.1", port)),)

    monkeypatch.setattr(resolver, "_look_up", silent)
    with SMTPServer() as server:
        configuration = server.configuration(host="mail.example.com", timeout_s=0.05)
        for _ in range(5):
            delivery = send(configuration)
            assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.DNS)
        assert sum(thread.name == "dns mail.example.com" for thread in threading.enumerate()) == 1
        answered.set()
        assert send(server.configuration(host="mail.example.com")).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 70 + ".example"])
def test_an_unknown_host_is_the_servers_fault(host: str, send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(host=host), server.configuration(index=2))
    assert [attempt.stage for attempt in delivery.attempts] == [Stage.DNS, Stage.MESSAGE]


def test_the_second_address_is_used_when_the_first_does_not_answer(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_addresses(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        # The first refuses (nobody listens on another loopback address), as a broken IPv6 route would.
        addresses: tuple[Any, ...] = ("127.1.2.3", "127.0.0.1")
        return tuple(resolver.Address(socket.AF_INET, (address, port)) for address in addresses)

    monkeypatch.setattr(resolver, "_look_up", two_addresses)
    with SMTPServer() as server:
        assert send(server.configuration(host="mail.example.com")).outcome is Outcome.ACCEPTED
