"""Names that cannot be looked up: an answer each time, and nobody who comes later waits for a look-up that broke."""

import socket
import threading
from time import monotonic

import pytest

from app.model.outcome import Outcome, Stage
from app.smtp import resolver
from app.smtp.resolver import Resolver
from tests.smtp.conftest import Send
from tests.smtp_server import SMTPServer


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ".example", "b\xfc" * 40, "a\0b"])
def test_a_name_that_is_none_fails_at_the_look_up_each_time(host: str, send: Send) -> None:
    with SMTPServer() as server:
        for _ in range(2):
            (attempt,) = send(server.configuration(host=host)).attempts
            assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.DNS)


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(socket.EAI_AGAIN, "later"), UnicodeError("label too long"), KeyError("nsswitch"), MemoryError()],
)
def test_a_look_up_that_breaks_fails_for_whoever_waits_and_the_next_one_is_made_anew(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = threading.Event()

    def break_once(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        if flags or breaks.is_set():
            return healthy(host, port, flags)
        breaks.set()
        raise error

    healthy = resolver._look_up
    monkeypatch.setattr(resolver, "_look_up", break_once)
    names = Resolver()
    with pytest.raises(socket.gaierror):
        names.resolve("localhost", 25, monotonic() + 5)
    assert names.resolve("localhost", 25, monotonic() + 5)
