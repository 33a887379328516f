"""MAIL and RCPT: what is announced is used and respected, and an address stays an address."""

import pytest

from app.model.message import Message
from app.model.outcome import Outcome, Stage
from app.model.smtp import Account
from app.smtp.address import AddressUnsafe, path
from tests.smtp.conftest import MESSAGE, Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, SMTPServer

INJECTIONS = [
    "a@x.test>\r\nRCPT TO:<evil@x.test",
    "a@x.test\nDATA",
    "a@x.test\r",
    "a@x.test\0",
    "a@x.testNOTIFY=NEVER>",
    "<a@x.test>NOTIFY=NEVER",
    "a@x.test> NOTIFY=NEVER",
    "a b@x.test",
    "a@x.test\x85",
    "a@x.test\u2028",
    "a@x.test\ud800",
    "a@b@x.test",
    "@x.test",
    "a@",
    "a",
    "",
    "a" * 250 + "@x.test",
]


@pytest.mark.parametrize("address", INJECTIONS)
def test_junk_is_no_address(address: str) -> None:
    with pytest.raises(AddressUnsafe):
        path(address)


def test_an_address_is_written_between_angle_brackets() -> None:
    assert path("a+b'c@x.test") == b"<a+b'c@x.test>"
    assert path("grüße@x.test") == "<grüße@x.test>".encode()


@pytest.mark.parametrize("address", INJECTIONS)
@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
def test_an_injection_never_reaches_the_wire(extensions: tuple[str, ...], address: str, send: Send) -> None:
    with SMTPServer(extensions=extensions) as server:
        delivery = send(server.configuration(), recipient=address)
        assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.RECIPIENT_REFUSED, Stage.RCPT)
        bad = Account(address, "user", None)
        delivery = send(server.configuration(account=bad), server.configuration(index=2))
        assert [attempt.outcome for attempt in delivery.attempts] == [Outcome.SERVER_AT_FAULT, Outcome.ACCEPTED]
    commands = {line for transcript in server.transcripts for line in transcript if line.startswith("C: ")}
    assert not any("evil" in command or "NOTIFY" in command for command in commands)
    assert [message.recipients for message in server.received] == [("owner@example.com",)]


@pytest.mark.parametrize(
    ("announced", "is_sent"), [("SIZE 10", False), ("SIZE 0", True), ("SIZE", True), ("SIZE 999", True)]
)
def test_a_message_larger_than_the_announced_size_is_not_sent(announced: str, is_sent: bool, send: Send) -> None:
    with SMTPServer(extensions=("PIPELINING", announced)) as server, SMTPServer() as next_server:
        delivery = send(server.configuration(), next_server.configuration(index=2))
    assert delivery.delivered_by == (1 if is_sent else 2)
    assert delivery.attempts[0].stage is (Stage.MESSAGE if is_sent else Stage.MAIL)
    size = len(MESSAGE.content) + len(b"From: <sender@example.com>\r\n")
    if is_sent:
        assert server.messages[0].mail_parameters == f"SIZE={size}"
    else:
        assert not any("C: MAIL" in line for line in server.transcripts[0])


@pytest.mark.parametrize(
    ("extensions", "is_sent"),
    [(("SMTPUTF8", "8BITMIME"), True), (("8BITMIME",), False), (("SMTPUTF8",), False), ((), False)],
)
@pytest.mark.parametrize("cause", ["header", "recipient", "account"])
def test_smtputf8_is_asked_for_where_it_is_needed(
    cause: str, extensions: tuple[str, ...], is_sent: bool, send: Send
) -> None:
    message = Message("AB12CD34", "Reply-To: <grüße@x.test>\r\n\r\nHi\r\n".encode(), needs_smtputf8=True)
    account = Account("grüße@x.test" if cause == "account" else "sender@example.com", "user", None)
    with SMTPServer(extensions=("PIPELINING", *extensions)) as server:
        delivery = send(
            server.configuration(account=account),
            message=message if cause == "header" else MESSAGE,
            recipient="empfänger@x.test" if cause == "recipient" else "owner@example.com",
        )
    assert delivery.outcome is (Outcome.ACCEPTED if is_sent else Outcome.SERVER_AT_FAULT)
    if is_sent:
        assert server.messages[0].mail_parameters == "BODY=8BITMIME SMTPUTF8"
        assert server.messages[0].sender == account.address
    else:
        assert not any("C: MAIL" in line for line in server.transcripts[0])


@pytest.mark.parametrize(("extensions", "is_sent"), [(("8BITMIME",), True), ((), False)])
def test_eight_bit_bytes_need_8bitmime(extensions: tuple[str, ...], is_sent: bool, send: Send) -> None:
    message = Message("AB12CD34", "Subject: x\r\n\r\nGrüße\r\n".encode())
    with SMTPServer(extensions=extensions) as server:
        delivery = send(server.configuration(), message=message)
    assert delivery.outcome is (Outcome.ACCEPTED if is_sent else Outcome.SERVER_AT_FAULT)
    assert [message.mail_parameters for message in server.messages] == (["BODY=8BITMIME"] if is_sent else [])


def test_a_plain_message_asks_for_nothing(send: Send) -> None:
    with SMTPServer(extensions=("8BITMIME", "SMTPUTF8")) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.messages[0].mail_parameters == ""
