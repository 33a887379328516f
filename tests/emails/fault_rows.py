"""What can go wrong at an SMTP server, one row each, and what has to come of it. Used by `test_fault_matrix`."""

import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cache, partial
from typing import Any

import pytest

from app.smtp import resolver
from tests.smtp.certificates import Authority
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Drip, Drop, Fault, Hang, Raw, Reset, SMTPServer, authority

BEFORE_THE_MESSAGE = ("dns", "connect", "greeting", "tls", "ehlo", "auth")


class Ending(Enum):
    """What becomes of the attempt; the value is its outcome in the record."""

    ACCEPTED = "accepted"
    FAULT = "server-at-fault"
    RECIPIENT_REFUSED = "recipient-refused"
    MESSAGE_REFUSED = "message-refused"
    UNCERTAIN = "unknown"


@dataclass(frozen=True)
class Breaking:
    """What a row may use to break a server; it is all undone behind the test."""

    server: SMTPServer
    stack: ExitStack
    monkeypatch: pytest.MonkeyPatch


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, the stage in which it is noticed, and how it ends.

    `arrives` counts the messages that the server has read to their end. `is_slow` ends by a timeout.
    """

    name: str
    stage: str
    ending: Ending = Ending.FAULT
    faults: Mapping[str, Fault] = field(default_factory=dict)
    breaks: Callable[[Breaking], object] = lambda _: None
    extensions: tuple[str, ...] = PIPELINING
    configuration: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    arrives: int = 0
    is_slow: bool = False


@cache
def _stranger() -> Authority:
    return Authority()


def _set(**attributes: Any) -> Callable[[Breaking], None]:
    def breaks(breaking: Breaking) -> None:
        for name, value in attributes.items():
            setattr(breaking.server, name, value() if callable(value) else value)

    return breaks


def _look_up_fails(breaking: Breaking, *, is_silent: bool) -> None:
    def look_up(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        if host != "localhost":
            return healthy(host, port, flags)
        if is_silent and not flags:
            breaking.server.is_over.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure in name resolution")

    healthy = resolver._look_up
    breaking.monkeypatch.setattr(resolver, "_look_up", look_up)


def _nobody_accepts(breaking: Breaking) -> None:
    server = breaking.server
    server.stop_listening()
    listener = breaking.stack.enter_context(socket.create_server((server.host, server.port), backlog=0))
    # The backlog is full, so the kernel ignores whoever else wants to connect.
    for _ in range(2):
        filler = breaking.stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())


def _answers(step: str, *replies: str, ending: Ending = Ending.FAULT, **more: Any) -> list[Row]:
    return [_at(step, reply, name=f"{step} {reply}", ending=ending, **more) for reply in replies]


def _at(step: str, fault: Fault, **more: Any) -> Row:
    stage = {"CONNECT": "greeting", "STARTTLS": "tls", "TRANSFER": "message"}.get(step, step.lower())
    return Row(**({"name": f"{step} {fault}", "stage": stage, "faults": {step: fault}} | more))


_BROKEN_OFF = "421 4.3.2 closing"
_SAYS_YES = {"GREETING": "220", "EHLO": "250", "STARTTLS": "220", "AUTH": "235", "MAIL": "250", "RCPT": "250"}
_LOCAL = {"host": "localhost"}
_uncertain = partial(_at, ending=Ending.UNCERTAIN)

ROWS: list[Row] = [
    # The way to the server.
    Row(name="unknown host", stage="dns", breaks=partial(_look_up_fails, is_silent=False), configuration=_LOCAL),
    Row(
        name="silent name server",
        stage="dns",
        breaks=partial(_look_up_fails, is_silent=True),
        configuration=_LOCAL,
        is_slow=True,
    ),
    Row(name="refused", stage="connect", breaks=lambda breaking: breaking.server.stop_listening()),
    Row(name="nobody accepts", stage="connect", breaks=_nobody_accepts, is_slow=True),
    _at("CONNECT", Hang(), name="silent accept", is_slow=True),
    # TLS: never continued in clear text.
    Row(name="unknown issuer", stage="tls", breaks=_set(context=lambda: _stranger().server_context("127.0.0.1"))),
    Row(name="other name", stage="tls", breaks=_set(context=lambda: authority().server_context("other.example"))),
    Row(
        name="expired",
        stage="tls",
        breaks=_set(
            context=lambda: authority().server_context("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
        ),
    ),
    Row(name="STARTTLS missing", stage="tls", breaks=_set(offers_starttls=False)),
    _at("TLS", Drop(b"no handshake\r\n")),
    _at("TLS", Drop()),
    _at("TLS", Hang(), is_slow=True),
    # Answers before the message.
    *_answers("GREETING", _BROKEN_OFF, "554 5.3.2 no service", "250 wrong", "nonsense"),
    *_answers("EHLO", _BROKEN_OFF, "451 4.3.0 later", "554 5.3.0 no"),
    *_answers("STARTTLS", _BROKEN_OFF, "454 4.7.0 no TLS now"),
    *_answers("AUTH", _BROKEN_OFF, "454 4.7.0 later", "535 5.7.8 wrong password"),
    Row(name="no common mechanism", stage="auth", breaks=_set(mechanisms="GSSAPI")),
    # Answers about the message.
    *_answers("MAIL", _BROKEN_OFF, "451 4.3.0 later", "550 5.7.1 sender refused", "530 5.7.0 sign in first"),
    *_answers("RCPT", _BROKEN_OFF, "450 4.2.0 greylisted", "550 5.7.1 relay denied", "530 5.7.0 sign in first"),
    *_answers("RCPT", "550 5.1.1 no such user", "552 5.2.2 full", "550 no", ending=Ending.RECIPIENT_REFUSED),
    *_answers("DATA", _BROKEN_OFF, "451 4.3.0 later"),
    *_answers("DATA", "554 5.6.0 no", ending=Ending.MESSAGE_REFUSED),
    *_answers("MESSAGE", _BROKEN_OFF, "452 4.3.1 disk full", arrives=1),
    *_answers("MESSAGE", "554 5.7.1 spam", "552 5.3.4 too big", ending=Ending.MESSAGE_REFUSED, arrives=1),
    *_answers("MESSAGE", "354 go on", ending=Ending.UNCERTAIN, arrives=1),
    *_answers("MAIL", "451 4.3.0 later", extensions=PLAIN),
    *_answers("RCPT", "550 5.7.1 relay denied", extensions=CHUNKING),
    *_answers("MESSAGE", "452 4.3.1 disk full", arrives=1, extensions=CHUNKING),
    # The connection ends at a command, in disorder, and behind its reply.
    *(_at(step, Drop()) for step in ("CONNECT", "GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA")),
    *(_at(step, Reset()) for step in ("EHLO", "AUTH", "MAIL", "RCPT", "DATA")),
    *(
        _at(step, Drop(f"{_SAYS_YES[step]} fine\r\n".encode()), name=f"dropped behind {step}", stage=stage)
        for step, stage in (("GREETING", "ehlo"), ("AUTH", "mail"), ("MAIL", "rcpt"), ("RCPT", "data"))
    ),
    _at("MAIL", Drop(), extensions=PLAIN),
    _at("DATA", Drop(), extensions=PLAIN),
    # Everything was handed over.
    _uncertain("DATA", Drop(b"354 go on\r\n"), stage="message", name="dropped behind DATA"),
    _uncertain("TRANSFER", Drop()),
    _uncertain("MESSAGE", Drop(), arrives=1),
    _uncertain("MESSAGE", Reset(), arrives=1),
    _uncertain("MESSAGE", Hang(), arrives=1, is_slow=True),
    _uncertain("MESSAGE", Drip(), arrives=1, is_slow=True),
    _uncertain("MESSAGE", Raw(b"what?\r\n"), arrives=1),
    _uncertain("MESSAGE", Drop(), arrives=1, extensions=CHUNKING),
    # With BDAT in the first write, whoever drops the line at MAIL may have the message.
    _uncertain("MAIL", Drop(), stage="message", extensions=CHUNKING),
    _at("MESSAGE", Drop(b"250 2.0.0 queued\r\n"), name="dropped behind 250", ending=Ending.ACCEPTED, arrives=1),
    # No answer in time, and one that never ends.
    *(_at(step, Hang(), is_slow=True) for step in ("AUTH", "MAIL", "DATA")),
    *(_at(step, Drip(), is_slow=True) for step in ("GREETING", "RCPT")),
    # What the server announced rules the message out.
    Row(
        name="larger than SIZE",
        stage="mail",
        extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 40000"),
        request={"Message": "It is long. " * 5000},
    ),
    Row(
        name="SMTPUTF8 missing",
        stage="message",
        ending=Ending.ACCEPTED,
        extensions=("PIPELINING", "8BITMIME"),
        request={"Email": "jürgen.{unique}@example.com"},
        arrives=1,
    ),
]
