"""What an operator is told about a configuration."""

import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.cli.check_smtp import CheckedConfiguration, table
from app.model.smtp import Account, Security
from app.smtp.check import CheckStep, check
from tests.smtp.certificates import Authority
from tests.smtp_server import Drip, Drop, Fault, Hang, Raw, Reset, SMTPServer, authority


def last(steps: tuple[CheckStep, ...]) -> CheckStep:
    """The failed step; those before it have succeeded."""
    *before, failed = steps
    assert all(step.success and not step.remedy for step in before)
    assert not failed.success
    assert failed.detail
    return failed


@pytest.mark.parametrize(("is_implicit", "is_starttls"), [(True, False), (False, True), (False, False)])
def test_a_working_configuration_shows_five_steps(is_implicit: bool, is_starttls: bool) -> None:
    with SMTPServer(tls=is_implicit, starttls=is_starttls, credentials=("user", "secret")) as server:
        steps = check(server.configuration(host="localhost"))
    assert [(step.name, step.success, step.remedy) for step in steps] == [
        (name, True, "") for name in ("dns", "tcp", "tls", "ehlo", "auth")
    ]
    dns, tcp, tls, ehlo, auth = steps
    assert "127.0.0.1" in dns.detail
    assert tcp.detail == f"127.0.0.1 port {server.port}"
    if is_implicit or is_starttls:
        assert tls.detail.startswith("TLSv1.")
        assert "localhost" in tls.detail
        assert "valid until" in tls.detail
    else:
        assert "clear text" in tls.detail
    assert "CHUNKING" in ehlo.detail
    assert "SIZE 33554432" in ehlo.detail
    assert auth.detail == "signed in as user"
    assert server.transcripts[0][-2:] == ["C: QUIT", "S: 221 2.0.0 bye"]
    assert not any("C: MAIL" in line for line in server.transcripts[0])


def test_without_a_password_nothing_is_signed_in() -> None:
    with SMTPServer() as server:
        assert check(server.configuration())[-1].detail == "no sign-in configured"


def test_the_test_account_is_checked_on_request() -> None:
    with SMTPServer(tls=True, credentials=("user", "secret")) as server:
        wrong = Account("sender@example.com", "user", "wrong")
        configuration = server.configuration(test_account=wrong)
        assert check(configuration)[-1].success
        assert last(check(configuration, is_test=True)).name == "auth"
        missing = last(check(server.configuration(index=3, test_account=None), is_test=True))
    assert missing.name == "auth"
    assert "SMTP_3_PASSWORD_TEST" in missing.remedy


@pytest.mark.parametrize(
    ("server_options", "changes", "name", "detail", "remedy"),
    [
        ({}, {"host": "does-not-exist.invalid"}, "dns", "", "typing error"),
        ({}, {"port": 1}, "tcp", "refused", "465 and 587"),
        ({}, {"security": Security.TLS}, "tls", "", "starttls"),
        ({}, {"security": Security.STARTTLS}, "tls", "does not offer STARTTLS", "465"),
        ({"tls": True}, {"ca_file": "/nowhere.pem"}, "tls", "No such file", "CAFile"),
        ({"tls": True}, {"security": Security.NONE, "timeout_s": 0.3}, "ehlo", "no answer", '"Security": "tls"'),
        ({"faults": {"GREETING": "554 5.7.1 blocked"}}, {}, "ehlo", "554 5.7.1", "block list"),
        ({"tls": True, "faults": {"GREETING": Hang()}}, {"timeout_s": 0.5}, "ehlo", "no answer", "says nothing"),
        ({"faults": {"EHLO": Drop()}}, {"local_hostname": "www.example.com"}, "ehlo", "closed", "another host name"),
        (
            {"faults": {"EHLO": Drop()}},
            {"local_hostname": "[127.0.0.1]"},
            "ehlo",
            "closed",
            '127.0.0.1 hung up after EHLO [127.0.0.1]. Some servers take no address there: set "EhloName"',
        ),
        ({"faults": {"EHLO": Reset()}}, {"local_hostname": "[127.0.0.1]"}, "ehlo", "", 'set "EhloName"'),
        ({"faults": {"EHLO": "421 4.7.0 bye"}}, {"local_hostname": "[127.0.0.1]"}, "ehlo", "421", 'set "EhloName"'),
        ({"faults": {"EHLO": "550 no", "HELO": "550 no"}}, {}, "ehlo", "550 no", "refused EHLO"),
        ({"faults": {"EHLO": Raw(b"what?\r\n")}}, {}, "ehlo", "not an SMTP reply", "Host and Port"),
        ({"faults": {"EHLO": Hang()}}, {"timeout_s": 0.3}, "ehlo", "no answer", "Host and Port"),
        ({"tls": True, "faults": {"TLS": Drop()}}, {}, "tls", "", "465"),
        (
            {"tls": True, "credentials": ("user", "x"), "faults": {"AUTH": "535 5.7.8 no"}},
            {},
            "auth",
            "535",
            "app password",
        ),
        ({"tls": True, "credentials": ("user", "x"), "faults": {"AUTH": "454 4.7.0 no"}}, {}, "auth", "454", "later"),
        ({"tls": True, "credentials": ("user", "x"), "mechanisms": "GSSAPI"}, {}, "auth", "GSSAPI", '"Auth": "none"'),
        (
            {"credentials": ("user", "x"), "mechanisms": "PLAIN LOGIN"},
            {"security": Security.NONE, "mechanisms": ("CRAM-MD5",)},
            "auth",
            "announced: PLAIN LOGIN; allowed: CRAM-MD5",
            'Change "AuthMechanisms"',
        ),
    ],
)
def test_the_first_step_that_fails_is_explained(
    server_options: dict[str, Any], changes: dict[str, Any], name: str, detail: str, remedy: str
) -> None:
    with SMTPServer(**server_options) as server:
        failed = last(check(server.configuration(index=4, **changes)))
    assert failed.name == name
    assert detail in failed.detail
    assert remedy in failed.remedy


@pytest.mark.parametrize(
    ("issuer", "names", "lifetime", "remedy"),
    [
        (authority(), ["mail.example.com"], timedelta(days=1), "Set Host to the name"),
        (authority(), ["127.0.0.1"], timedelta(days=-1), "out of date"),
        (Authority(), ["127.0.0.1"], timedelta(days=1), "Set CAFile"),
    ],
    ids=["other name", "expired", "unknown authority"],
)
def test_a_certificate_that_is_not_accepted_is_explained(
    issuer: Authority, names: list[str], lifetime: timedelta, remedy: str
) -> None:
    context = issuer.server_context(*names, not_after=datetime.now(UTC) + lifetime)
    with SMTPServer(tls=True, context=context) as server:
        failed = last(check(server.configuration()))
    assert failed.name == "tls"
    assert failed.detail.startswith("certificate not accepted")
    assert f"certificate for {names[0]}, valid until " in failed.detail
    assert remedy in failed.remedy


def test_a_certificate_that_is_not_accepted_is_shown_also_behind_starttls() -> None:
    context = authority().server_context("mail.example.com")
    with SMTPServer(starttls=True, context=context, credentials=("user", "secret")) as server:
        failed = last(check(server.configuration()))
    assert "certificate for mail.example.com" in failed.detail
    assert not any("C: AUTH" in line for transcript in server.transcripts for line in transcript)


def test_a_certificate_that_is_not_checked_is_shown_all_the_same() -> None:
    with SMTPServer(tls=True, context=Authority().server_context("mail.example.com")) as server:
        tls = check(server.configuration(is_certificate_checked=False))[2]
    assert tls.success
    assert "certificate for mail.example.com, valid until" in tls.detail
    assert tls.detail.endswith("not checked")


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "AUTH", "QUIT"])
@pytest.mark.parametrize("fault", [Hang(), Drip()])
def test_the_whole_check_ends_at_its_limit(step: str, fault: Fault) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), faults={step: fault}) as server:
        began = time.monotonic()
        steps = check(server.configuration(), limit_s=0.3)
        # A busy machine may be late; the configuration's own timeout is 5 s for each phase.
        assert time.monotonic() - began < 2
    assert steps[-1].success is (step == "QUIT")


def test_without_any_time_the_check_says_so() -> None:
    with SMTPServer() as server:
        failed = last(check(server.configuration(), limit_s=-1.0))
    assert (failed.name, failed.detail) == ("tcp", "no answer in time")


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_the_table_has_no_time_for_tls_that_is_not_used(is_encrypted: bool) -> None:
    with SMTPServer(tls=is_encrypted) as server:
        (line,) = table([CheckedConfiguration(server.configuration(), False, check(server.configuration()))])
    assert ("tls -  " in line) is not is_encrypted
    assert ("tls ok" in line) is is_encrypted


def test_a_blocked_port_is_explained() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with SMTPServer() as server:
            failed = last(check(server.configuration(port=listener.getsockname()[1], timeout_s=0.2)))
    assert failed.name == "tcp"
    assert "firewall" in failed.remedy
