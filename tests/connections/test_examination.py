"""What the owner of a connection is told when it is tried out, over real sockets."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_network
from typing import Any

import pytest

from app.connections.examination import examine, sign_in_fault
from app.model.smtp import Account, Reach, Security, SMTPConfiguration
from app.smtp import resolver
from app.smtp.walk import CheckStep
from tests.smtp.certificates import Authority
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Deed, Drip, Drop, Fault, Hang, Raw, SMTPServer, authority

NAMES = ["dns", "tcp", "tls", "ehlo", "auth", "mail", "message"]
PASSWORD = "pa55w0rd-of-the-owner"
SIGNED_IN: dict[str, Any] = {"tls": True, "credentials": ("owner@example.com", PASSWORD)}
CHATTER = "banner-of-the-server.internal"


def configuration_for(server: SMTPServer, **changes: Any) -> SMTPConfiguration:
    account = Account("from@example.com", *(server.credentials or ("owner@example.com", None)))
    return server.configuration(1001, **{"account": account} | changes)


def examined(server: SMTPServer, *, limit_s: float = 20.0, **changes: Any) -> tuple[CheckStep, ...]:
    steps = examine(configuration_for(server, **changes), address_to_test="reader@example.com", limit_s=limit_s)
    assert PASSWORD not in repr(steps)
    assert CHATTER not in repr(steps)
    return steps


def failed_step(steps: tuple[CheckStep, ...]) -> CheckStep:
    *before, failed = steps
    # Where the dialogue fails before anything is known of TLS, there is no step of that name.
    expected = NAMES[: NAMES.index(failed.name) + 1]
    assert [step.name for step in steps] in (expected, [name for name in expected if name != "tls"])
    assert all(step.success and not step.remedy for step in before)
    assert not failed.success
    assert failed.detail
    assert failed.remedy.endswith(".")
    assert "SMTP_1" not in failed.remedy
    return failed


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
@pytest.mark.parametrize("way", ["tls", "starttls", "clear text"])
def test_a_connection_that_works_signs_in_and_sends(way: str, extensions: tuple[str, ...]) -> None:
    with SMTPServer(
        extensions, tls=way == "tls", starttls=way == "starttls", credentials=("owner@example.com", PASSWORD)
    ) as server:
        security = {"tls": Security.TLS, "starttls": Security.STARTTLS}.get(way, Security.NONE)
        steps = examined(server, security=security)
        server.wait_until(lambda: not server.open_connections)
    assert [(step.name, step.success, step.remedy) for step in steps] == [(name, True, "") for name in NAMES]
    (message,) = server.messages
    assert (message.sender, message.recipients, message.login) == (
        "from@example.com",
        ("reader@example.com",),
        "owner@example.com",
    )
    assert message.parsed["Subject"] == "Letterbox connection test"
    assert message.parsed["From"] == "from@example.com"
    assert message.parsed["To"] == "reader@example.com"
    assert message.parsed["Auto-Submitted"] == "auto-generated"
    assert message.parsed["Message-ID"].endswith("@example.com>")
    assert abs(parsedate_to_datetime(message.parsed["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "connection works" in message.parsed.get_content()
    assert not message.parsed.defects
    assert (server.connections, server.transcripts[0][-1]) == (1, "S: 221 2.0.0 bye")


def test_each_step_says_what_was_found_and_how_long_it_took() -> None:
    with SMTPServer(delay_s=0.02, **SIGNED_IN) as server:
        dns, tcp, tls, ehlo, auth, mail, message = examined(server, host="localhost")
    assert dns.detail == "localhost was found"
    assert tcp.detail == f"connected to localhost:{server.port}"
    assert tls.detail.startswith("TLSv1.")
    assert "certificate valid until " in tls.detail
    assert ehlo.detail == "the server offers SIZE, PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, AUTH PLAIN LOGIN"
    assert auth.detail == "signed in as owner@example.com"
    assert message.detail == "the server accepted the message (250 2.0.0)"
    assert all(step.duration_ms >= 15 for step in (ehlo, auth, mail, message))


def test_an_announcement_is_not_repeated_where_it_is_free_text() -> None:
    extensions = (f"X-{CHATTER}", f"SIZE {CHATTER}", "PIPELINING")
    with SMTPServer(extensions, mechanisms=f"PLAIN {CHATTER.upper()}", **SIGNED_IN) as server:
        steps = examined(server)
    assert CHATTER.upper() not in repr(steps)
    assert steps[3].detail == "the server offers SIZE, PIPELINING, AUTH PLAIN"


@pytest.mark.parametrize(
    ("options", "changes", "name", "detail", "remedy"),
    [
        ({}, {"host": "does-not-exist.invalid"}, "dns", "there is no host named does-not-exist.invalid", "host"),
        ({}, {"reach": Reach(is_limited=True)}, "dns", "may connect to", "CONNECTION_ALLOWED_NETWORKS"),
        ({}, {"security": Security.TLS}, "tls", "does not begin with TLS", "enableStartTls"),
        ({}, {"security": Security.STARTTLS}, "tls", "does not offer STARTTLS", "465"),
        ({"tls": True}, {"ca_file": "/nowhere.pem"}, "tls", "cannot be used", "mail.smtp.ssl.trust"),
        ({"tls": True}, {"ca_file": "/etc/hostname"}, "tls", "cannot be used", "mail.smtp.ssl.trust"),
        ({"starttls": True, "faults": {"STARTTLS": "454 4.7.0 {}"}}, {}, "tls", "STARTTLS (454 4.7.0)", "465"),
        ({"starttls": True, "faults": {"STARTTLS": Raw(b"220 go\r\n250 {}\r\n")}}, {}, "tls", "rules", "server"),
        ({"tls": True, "faults": {"TLS": Drop()}}, {}, "tls", "does not begin with TLS", "587"),
        ({"faults": {"GREETING": "554 5.7.1 {}"}}, {}, "ehlo", "away (554 5.7.1)", "blocks"),
        ({"faults": {"GREETING": Raw(b"SSH-2.0-{}\r\n")}}, {}, "ehlo", "did not greet", "mail.smtp.ssl.enable"),
        ({"faults": {"GREETING": Hang()}}, {"timeout_s": 0.2}, "ehlo", "did not greet", "mail.smtp.ssl.enable"),
        ({"tls": True, "faults": {"GREETING": Drop()}}, {}, "ehlo", "did not greet", "host and port"),
        ({"faults": {"EHLO": "550 5.7.1 {}", "HELO": "550 {}"}}, {}, "ehlo", "EHLO (550 5.7.1)", "mail.smtp.localhost"),
        ({"faults": {"EHLO": "421 4.7.0 {}"}}, {}, "ehlo", "hung up after EHLO (421 4.7.0)", "mail.smtp.localhost"),
        (
            {"faults": {"EHLO": Drop()}},
            {"local_hostname": "[127.0.0.1]"},
            "ehlo",
            "hung up after EHLO, in which this service gave its address",
            "take no address",
        ),
        ({"faults": {"EHLO": Raw(b"{}\r\n")}}, {}, "ehlo", "did not answer", "host and port"),
        ({**SIGNED_IN, "faults": {"AUTH": "535 5.7.8 {}"}}, {}, "auth", "sign-in (535 5.7.8)", "app password"),
        ({**SIGNED_IN, "faults": {"AUTH": "454 4.7.0 {}"}}, {}, "auth", "just now (454 4.7.0)", "later"),
        ({**SIGNED_IN, "faults": {"AUTH": Drop()}}, {}, "auth", "broke off", "username and password"),
        ({**SIGNED_IN, "mechanisms": "XOAUTH2 {}"}, {}, "auth", "it offers XOAUTH2", "auth to false"),
        (SIGNED_IN, {"mechanisms": ("CRAM-MD5",)}, "auth", "offers PLAIN LOGIN", "mail.smtp.auth.mechanisms"),
        (
            {},
            {"account": Account("from@example.com", "u", PASSWORD), "security": Security.NONE},
            "auth",
            "no sign-in in clear text",
            "enableStartTls",
        ),
        ({"faults": {"MAIL": "550 5.7.1 {}"}}, {}, "mail", "sender (550 5.7.1)", "Set from"),
        ({"faults": {"MAIL": "530 5.7.0 {}"}}, {}, "mail", "after a sign-in (530 5.7.0)", "auth to true"),
        ({"faults": {"MAIL": "451 4.3.0 {}"}}, {}, "mail", "sender just now (451 4.3.0)", "again"),
        ({"faults": {"MAIL": Raw(b"{}\r\n")}}, {}, "mail", "broke off", "later"),
        ({"extensions": ("SIZE 10",)}, {}, "mail", "size", "server"),
        ({"faults": {"RCPT": "550 5.1.1 {}"}}, {}, "mail", "refused addressToTest (550 5.1.1)", "typing error"),
        ({"faults": {"RCPT": "554 5.7.1 {}"}}, {}, "mail", "pass on mail to addressToTest (554 5.7.1)", "auth"),
        ({"faults": {"RCPT": "450 4.2.0 {}"}}, {}, "mail", "recipient just now (450 4.2.0)", "minutes"),
        ({"faults": {"MESSAGE": "550 5.7.1 {}"}}, {}, "message", "message (550 5.7.1)", "from"),
        ({"faults": {"MESSAGE": "452 4.3.1 {}"}}, {}, "message", "just now (452 4.3.1)", "minutes"),
        ({"faults": {"MESSAGE": Drop()}}, {}, "message", "may have arrived", "mailbox"),
        ({"extensions": PIPELINING, "faults": {"DATA": "554 5.6.0 {}"}}, {}, "message", "(554 5.6.0)", "from"),
        ({"extensions": PIPELINING, "faults": {"DATA": Drop()}}, {}, "message", "broke off", "later"),
    ],
)
def test_the_first_step_that_fails_is_explained_in_our_words(
    options: dict[str, Any], changes: dict[str, Any], name: str, detail: str, remedy: str
) -> None:
    def fill(fault: Fault) -> Fault:
        """Whatever the server says of itself must not be told."""
        if isinstance(fault, Raw):
            return Raw(fault.data.replace(b"{}", CHATTER.encode()))
        return fault.replace("{}", CHATTER) if isinstance(fault, str) else fault

    options = {key: value.replace("{}", CHATTER) if isinstance(value, str) else value for key, value in options.items()}
    options["faults"] = {step: fill(fault) for step, fault in options.get("faults", {}).items()}
    with SMTPServer(**options) as server:
        failed = failed_step(examined(server, **changes))
    assert failed.name == name
    assert detail in failed.detail
    assert remedy in failed.remedy


@pytest.mark.parametrize(
    ("issuer", "names", "lifetime", "detail", "remedy"),
    [
        (authority(), [CHATTER], timedelta(days=1), "not for 127.0.0.1", "Set host"),
        (authority(), ["127.0.0.1"], timedelta(days=-1), "out of date", "renew"),
        (Authority(), ["127.0.0.1"], timedelta(days=1), "authority", "mail.smtp.ssl.trust"),
    ],
    ids=["other name", "expired", "unknown authority"],
)
def test_a_certificate_that_is_not_accepted_is_explained(
    issuer: Authority, names: list[str], lifetime: timedelta, detail: str, remedy: str
) -> None:
    context = issuer.server_context(*names, not_after=datetime.now(UTC) + lifetime)
    with SMTPServer(tls=True, context=context) as server:
        failed = failed_step(examined(server))
        unchecked = examined(server, is_certificate_checked=False)
    assert failed.name == "tls"
    assert detail in failed.detail
    assert remedy in failed.remedy
    assert unchecked[-1].success
    assert "not checked" in unchecked[2].detail


def test_a_closed_and_a_filtered_port_read_the_same() -> None:
    with SMTPServer() as server, socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        filtered = failed_step(examined(server, port=port, connect_timeout_s=0.2))
        for each in (first, second, listener):
            each.close()
        closed = failed_step(examined(server, port=port))
    assert (filtered.name, filtered.detail) == ("tcp", f"no connection to 127.0.0.1:{port} could be made")
    assert (closed.name, closed.detail, closed.remedy) == (filtered.name, filtered.detail, filtered.remedy)


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_to_test_the_sign_in_is_shown_and_nothing_is_sent(address: str | None) -> None:
    with SMTPServer(**SIGNED_IN) as server:
        failed = failed_step(examine(configuration_for(server), address_to_test=address))
    assert failed.name == "mail"
    assert "Set addressToTest" in failed.remedy
    assert not any("C: MAIL" in line for line in server.transcripts[0])


@pytest.mark.parametrize("address", ["a@x.test>\r\nBcc: evil@x.test", "a@x.test\r\nDATA", "a b@x.test", "nobody"])
def test_an_address_that_is_more_than_an_address_goes_nowhere(address: str) -> None:
    with SMTPServer() as server:
        failed = failed_step(examine(configuration_for(server), address_to_test=address))
        as_sender = configuration_for(server, account=Account(address, "u", None))
        assert failed_step(examine(as_sender, address_to_test="reader@example.com")).name == "mail"
    assert failed.name == "mail"
    assert not any("C: MAIL" in line for transcript in server.transcripts for line in transcript)


@pytest.mark.parametrize("extensions", [PLAIN, ("PIPELINING",)])
def test_an_address_that_is_not_ascii_arrives_or_is_explained(extensions: tuple[str, ...]) -> None:
    with SMTPServer(extensions) as server:
        steps = examine(configuration_for(server), address_to_test="grüße@example.com")
    if extensions is PLAIN:
        assert steps[-1].success
        assert server.messages[0].recipients == ("grüße@example.com",)
    else:
        assert "ASCII" in failed_step(steps).remedy


@pytest.mark.parametrize("fault", [Hang(), Drip()])
@pytest.mark.parametrize("step", ["GREETING", "AUTH", "RCPT", "MESSAGE", "QUIT"])
def test_the_whole_examination_ends_at_its_limit(step: str, fault: Fault) -> None:
    with SMTPServer(faults={step: fault}, **SIGNED_IN) as server:
        began = time.monotonic()
        steps = examined(server, limit_s=0.4)
        # A busy machine may be late; without the limit it would be 5 s, and 30 s for the message.
        assert time.monotonic() - began < 2.5
    assert steps[-1].success is (step == "QUIT")


def test_a_silent_name_server_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        if flags:
            raise socket.gaierror
        answered.wait(10)
        return ()

    monkeypatch.setattr(resolver, "_look_up", silent)
    with SMTPServer() as server:
        failed = failed_step(examined(server, host="mail.example.com", limit_s=0.1))
    answered.set()
    assert (failed.name, failed.detail) == ("dns", "mail.example.com could not be looked up in time")


def test_an_allowed_network_can_be_examined() -> None:
    reach = Reach(is_limited=True, allowed_networks=(ip_network("127.0.0.0/8"),))
    with SMTPServer() as server:
        assert examined(server, reach=reach)[-1].success


@pytest.mark.parametrize("reply", [None, f"535 5.7.8 {CHATTER}"])
def test_a_sign_in_that_fails_is_told_in_whole_sentences(reply: Deed) -> None:
    with SMTPServer(faults={"AUTH": reply}, **SIGNED_IN) as server:
        fault = sign_in_fault(configuration_for(server))
        server.wait_until(lambda: not server.open_connections)
    assert any("C: AUTH" in line for line in server.transcripts[0])
    assert not any("C: MAIL" in line for line in server.transcripts[0])
    if reply is None:
        assert fault is None
    else:
        assert fault is not None
        assert fault.startswith("The sign-in did not work: the server refused the sign-in (535 5.7.8). Check username")
        assert CHATTER not in fault
        assert PASSWORD not in fault


def test_a_sign_in_that_hangs_ends_at_its_limit() -> None:
    with SMTPServer(faults={"AUTH": Hang()}, **SIGNED_IN) as server:
        began = time.monotonic()
        fault = sign_in_fault(configuration_for(server), limit_s=0.2)
        assert time.monotonic() - began < 2
    assert fault is not None
    assert "broke off during the sign-in" in fault
