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
@pytest.mark.parametrize("cause", ["recipient", "account"])
def test_smtputf8_is_asked_for_where_it_is_needed(
    cause: str, extensions: tuple[str, ...], is_sent: bool, send: Send
) -> None:
    account = Account("grüße@x.test" if cause == "account" else "sender@example.com", "user", None)
    with SMTPServer(extensions=("PIPELINING", *extensions)) as server:
        delivery = send(
            server.configuration(account=account),
            recipient="empfänger@x.test" if cause == "recipient" else "owner@example.com",
        )
    assert delivery.outcome is (Outcome.ACCEPTED if is_sent else Outcome.SERVER_AT_FAULT)
    if is_sent:
        assert server.messages[0].mail_parameters == "BODY=8BITMIME SMTPUTF8"
        assert server.messages[0].sender == account.address
    else:
        assert not any("C: MAIL" in line for line in server.transcripts[0])


HEAD = "Subject: Hello\r\nMessage-ID: <1@x.test>\r\n"


@pytest.mark.parametrize(
    ("fields", "without"),
    [
        ("Reply-To: <grüße@x.test>\r\n", ""),
        ("To: a@x.test\r\nReply-To: =?utf-8?b?SsO2cmc=?=\r\n <grüße@x.test>\r\n", "To: a@x.test\r\n"),
        ("To: a@x.test,\r\n grüße@x.test,\r\n b@x.test\r\n", "To: a@x.test,\r\n b@x.test\r\n"),
        ("To: grüße@x.test\r\nCc: grüße@x.test\r\n", "To: undisclosed-recipients:;\r\n"),
        ("To: grüße@x.test\r\nCc: grüße@x.test, c@x.test\r\n", "To: undisclosed-recipients:;\r\nCc: c@x.test\r\n"),
    ],
)
@pytest.mark.parametrize("body", ["Hi\r\n", "It is long.\r\n" * 50_000])
@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING], ids=["plain", "pipelining", "chunking"])
def test_without_smtputf8_only_what_needs_it_is_left_out_of_the_header(
    extensions: tuple[str, ...], body: str, fields: str, without: str, send: Send
) -> None:
    message = Message("AB12CD34", f"{fields}{HEAD}\r\n{body}".encode(), needs_smtputf8=True)
    older = tuple(name for name in extensions if name != "SMTPUTF8")
    with SMTPServer(extensions) as server, SMTPServer(older) as old_server:
        assert send(server.configuration(), message=message).outcome is Outcome.ACCEPTED
        assert send(old_server.configuration(), message=message).outcome is Outcome.ACCEPTED
    (whole,), (reduced,) = server.messages, old_server.messages
    from_field = b"From: <sender@example.com>\r\n"
    assert whole.data == from_field + message.content
    assert reduced.data == from_field + f"{without}{HEAD}\r\n{body}".encode("ascii")
    assert reduced.mail_parameters == f"SIZE={len(reduced.data)}"


def test_a_domain_that_is_not_ascii_needs_nothing(send: Send) -> None:
    with SMTPServer(()) as server:
        (attempt,) = send(server.configuration(), recipients=["a@bücher.example", "b@x.test"]).attempts
    assert (attempt.outcome, attempt.refused) == (Outcome.ACCEPTED, ())
    assert server.messages[0].recipients == ("a@xn--bcher-kva.example", "b@x.test")


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
