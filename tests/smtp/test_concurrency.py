"""Thirty threads at once: every message arrives once, as it is, whatever happens to the sessions."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.model.message import Message
from app.model.outcome import Outcome
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Deed, Drop, SMTPServer


def numbered(number: int) -> Message:
    return Message(f"{number:08X}", b"Subject: %d\r\n\r\n%b\r\n" % (number, b"%d." % number * (number % 50)))


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_thirty_threads_deliver_every_message_once(extensions: tuple[str, ...], is_encrypted: bool, send: Send) -> None:
    with SMTPServer(extensions, tls=is_encrypted) as server, ThreadPoolExecutor(30) as threads:
        configuration = server.configuration(max_connections=10, timeout_s=20.0)
        deliveries = threads.map(lambda number: send(configuration, message=numbered(number)), range(150))
        assert {delivery.outcome for delivery in deliveries} == {Outcome.ACCEPTED}
    bodies = sorted(message.data.partition(b"\r\n")[2] for message in server.messages)
    assert bodies == sorted(numbered(number).content for number in range(150))
    assert server.peak_connections <= 10


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
def test_with_failing_servers_the_record_of_every_message_is_true(extensions: tuple[str, ...], send: Send) -> None:
    dice = random.Random(20)

    def sometimes(argument: str) -> Deed:
        return dice.choice((None, None, None, "451 4.3.0 later", "421 4.3.2 closing", Drop()))

    faults = {"MAIL": sometimes, "RCPT": sometimes, "MESSAGE": sometimes}
    with (
        SMTPServer(extensions, faults=faults) as first,
        SMTPServer(extensions, faults=faults) as second,
        ThreadPoolExecutor(30) as threads,
    ):
        group = first.configuration(timeout_s=20.0), second.configuration(index=2, timeout_s=20.0)
        deliveries = list(threads.map(lambda number: send(*group, message=numbered(number)), range(150)))
    arrived = Counter(message.parsed["Subject"] for server in (first, second) for message in server.messages)
    reached = Counter(message.parsed["Subject"] for server in (first, second) for message in server.received)
    for number, delivery in enumerate(deliveries):
        if delivery.outcome is Outcome.ACCEPTED:
            assert arrived[str(number)] == 1
        else:
            assert arrived[str(number)] == 0
        # Refused bytes may travel twice within one attempt: once more on a fresh session after a 421 to a reused one.
        assert reached[str(number)] <= 2 * len(delivery.attempts)
    assert {Outcome.ACCEPTED, Outcome.SERVER_AT_FAULT} <= {delivery.outcome for delivery in deliveries}
