"""TLS is verified always and never given up for clear text."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Security
from app.smtp import tls
from tests.smtp.certificates import Authority
from tests.smtp.conftest import Send
from tests.smtp_server import Raw, SMTPServer, authority

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_implicit_tls_delivers(host: str, send: Send) -> None:
    with SMTPServer(tls=True) as server:
        assert send(server.configuration(host=host)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("security", [Security.AUTO, Security.STARTTLS])
def test_starttls_is_used_where_it_is_offered(security: Security, send: Send) -> None:
    with SMTPServer(starttls=True) as server:
        assert send(server.configuration(security=security)).outcome is Outcome.ACCEPTED
    commands = [line for line in server.transcripts[0] if line.startswith("C: ")]
    assert [command.split()[1].upper() for command in commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


def test_clear_text_on_request_does_not_use_starttls(send: Send) -> None:
    with SMTPServer(starttls=True) as server:
        assert send(server.configuration(security=Security.NONE)).outcome is Outcome.ACCEPTED
    assert "C: STARTTLS" not in server.transcripts[0]


def test_the_authorities_of_ssl_cert_file_are_trusted(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority().ca_file)
    tls._context.cache_clear()
    with SMTPServer(tls=True) as server:
        assert send(server.configuration(ca_file=None)).outcome is Outcome.ACCEPTED
    monkeypatch.undo()
    tls._context.cache_clear()


def test_old_tls_is_refused(send: Send) -> None:
    with SMTPServer() as server:
        context = tls.context_for(server.configuration(ca_file=None))
        unchecked = tls.context_for(server.configuration(is_certificate_checked=False))
    assert context.minimum_version is unchecked.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("is_implicit", [True, False])
@pytest.mark.parametrize(
    ("context", "detail"),
    [
        (authority().server_context("mail.example.com"), "IP address mismatch"),
        (Authority().server_context("127.0.0.1"), "unable to get local issuer"),
        (authority().server_context("127.0.0.1", not_after=YESTERDAY), "expired"),
    ],
    ids=["other name", "unknown authority", "expired"],
)
def test_a_certificate_that_proves_nothing_ends_the_attempt(
    is_implicit: bool, context: ssl.SSLContext, detail: str, send: Send
) -> None:
    with SMTPServer(
        tls=is_implicit, starttls=not is_implicit, context=context, credentials=("user", "secret")
    ) as server:
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (Outcome.SERVER_AT_FAULT, Stage.TLS, None)
    assert detail in attempt.detail
    assert not any(line.startswith(("C: AUTH", "C: MAIL")) for line in server.transcripts[0])


@pytest.mark.parametrize("is_implicit", [True, False])
@pytest.mark.parametrize("not_after", [None, YESTERDAY])
def test_a_certificate_is_not_checked_where_the_owner_gave_that_up(
    is_implicit: bool, not_after: datetime | None, send: Send
) -> None:
    context = Authority().server_context("mail.example.com", not_after=not_after)
    with SMTPServer(tls=is_implicit, starttls=not is_implicit, context=context) as server:
        security = Security.TLS if is_implicit else Security.STARTTLS
        unchecked = server.configuration(security=security, is_certificate_checked=False, ca_file="/nowhere/ca.pem")
        assert send(unchecked).outcome is Outcome.ACCEPTED
        # It holds for that configuration alone.
        assert send(server.configuration(security=security)).attempts[0].stage is Stage.TLS


def test_without_a_check_there_is_still_no_clear_text(send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(security=Security.STARTTLS, is_certificate_checked=False))
    assert delivery.attempts[0].stage is Stage.TLS


@pytest.mark.parametrize("ca_file", ["/dev/zero", "/", "/etc/hostname", "/nowhere\0.pem"])
def test_what_is_no_file_of_certificates_ends_the_attempt(ca_file: str, send: Send) -> None:
    with SMTPServer(tls=True) as server:
        delivery = send(server.configuration(ca_file=ca_file))
    assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.TLS)


def test_a_missing_authority_file_ends_the_attempt(send: Send) -> None:
    with SMTPServer(tls=True) as server:
        delivery = send(server.configuration(ca_file="/nowhere/ca.pem"))
    assert delivery.attempts[0].stage is Stage.TLS


def test_starttls_that_was_stripped_is_not_replaced_by_clear_text(send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(security=Security.STARTTLS))
    assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.TLS)
    assert not any("C: MAIL" in line for line in server.transcripts[0])


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "501 5.5.4 no", "421 4.3.2 closing"])
def test_refused_starttls_is_not_replaced_by_clear_text(reply: str, send: Send) -> None:
    with SMTPServer(starttls=True, faults={"STARTTLS": reply}) as server:
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (Outcome.SERVER_AT_FAULT, Stage.TLS, int(reply[:3]))
    assert not any("C: MAIL" in line for line in server.transcripts[0])


def test_words_before_the_handshake_are_not_taken_for_encrypted_ones(send: Send) -> None:
    injection = Raw(b"220 2.0.0 go ahead\r\n250-injected\r\n250 AUTH PLAIN\r\n")
    with SMTPServer(starttls=True, credentials=("user", "secret"), faults={"STARTTLS": injection}) as server:
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.TLS)
    assert "more than its reply" in attempt.detail


def test_a_clear_text_server_on_a_tls_port_ends_the_attempt(send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(security=Security.TLS))
    assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.TLS)


@pytest.mark.parametrize(
    ("port", "security", "is_implicit", "is_required"),
    [
        (465, Security.AUTO, True, False),
        (587, Security.AUTO, False, True),
        (25, Security.AUTO, False, False),
        (2525, Security.TLS, True, False),
        (25, Security.STARTTLS, False, True),
        (465, Security.STARTTLS, False, True),
        (465, Security.NONE, False, False),
    ],
)
def test_the_port_decides_when_security_is_auto(
    port: int, security: Security, is_implicit: bool, is_required: bool
) -> None:
    with SMTPServer() as server:
        configuration = server.configuration(port=port, security=security)
    assert tls.wants_implicit_tls(configuration) is is_implicit
    assert tls.requires_starttls(configuration) is is_required
