"""Signing in: what is said, when it is not said, and what its refusal means."""

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Account, Security
from app.smtp.check import check
from app.smtp.session import SMTPSession
from tests.smtp.conftest import Send
from tests.smtp_server import SMTPServer


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2 LOGIN", "plain"])
@pytest.mark.parametrize("password", ["secret", "gehüpft wie gesprungen ✓", "x" * 300])
@pytest.mark.parametrize("is_encrypted", [True, False])
def test_every_mechanism_signs_in(mechanisms: str, password: str, is_encrypted: bool, send: Send) -> None:
    with SMTPServer(tls=is_encrypted, credentials=("üser", password), mechanisms=mechanisms) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.messages[0].login == "üser"


def test_behind_tls_one_round_trip_is_enough_and_without_it_the_password_is_hidden(send: Send) -> None:
    for is_encrypted, chosen in [(True, "PLAIN"), (False, "CRAM-MD5")]:
        with SMTPServer(tls=is_encrypted, credentials=("u", "p"), mechanisms="PLAIN LOGIN CRAM-MD5") as server:
            assert send(server.configuration()).outcome is Outcome.ACCEPTED
        assert any(f"AUTH {chosen}" in line for line in server.transcripts[0] if line.startswith("C: "))


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 wrong", "534 5.7.9 too weak", "454 4.7.0 later", "421 4.3.2 closing", "250 what?"]
)
def test_a_refused_sign_in_is_the_accounts_fault(reply: str, send: Send) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), faults={"AUTH": reply}) as server:
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (Outcome.SERVER_AT_FAULT, Stage.AUTH, int(reply[:3]))


def test_a_wrong_password_is_tried_once(send: Send) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), mechanisms="PLAIN LOGIN CRAM-MD5") as server:
        wrong = Account("sender@example.com", "user", "Secret")
        assert send(server.configuration(account=wrong)).attempts[0].code == 535
    assert sum("C: AUTH" in line for line in server.transcripts[0]) == 1


def test_a_refused_mechanism_leads_to_the_next(send: Send) -> None:
    faults = {"AUTH": ["504 5.5.4 not that one", None]}
    with SMTPServer(tls=True, credentials=("user", "secret"), faults=faults) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED


def test_without_a_common_mechanism_nothing_is_said(send: Send) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), mechanisms="XOAUTH2 GSSAPI") as server:
        delivery = send(server.configuration())
    assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.AUTH)
    assert not any("C: AUTH" in line for line in server.transcripts[0])


@pytest.mark.parametrize(
    ("allowed", "chosen"),
    [((), "PLAIN"), (("LOGIN",), "LOGIN"), (("XOAUTH2", "CRAM-MD5"), "CRAM-MD5"), (("LOGIN", "PLAIN"), "LOGIN")],
)
def test_only_the_allowed_mechanisms_are_used_in_their_order(allowed: tuple[str, ...], chosen: str, send: Send) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), mechanisms="PLAIN LOGIN CRAM-MD5") as server:
        assert send(server.configuration(mechanisms=allowed)).outcome is Outcome.ACCEPTED
    assert [line.split()[2] for line in server.transcripts[0] if "C: AUTH" in line] == [chosen]


def test_when_no_allowed_mechanism_is_offered_nothing_is_said_and_the_remedy_names_them() -> None:
    with SMTPServer(tls=True, credentials=("user", "secret"), mechanisms="PLAIN LOGIN") as server:
        failed = check(server.configuration(mechanisms=("CRAM-MD5",)))[-1]
    assert (failed.name, failed.success) == ("auth", False)
    assert "CRAM-MD5" in failed.remedy
    assert not any("C: AUTH" in line for line in server.transcripts[0])


def test_an_account_without_a_password_does_not_sign_in(send: Send) -> None:
    with SMTPServer() as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert not any("AUTH" in line for line in server.transcripts[0])


@pytest.mark.parametrize(("security", "is_allowed"), [(Security.AUTO, False), (Security.NONE, True)])
def test_a_password_leaves_this_machine_in_clear_text_only_on_request(
    security: Security, is_allowed: bool, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests stay on loopback, so only the session's idea of where the server is can be another one.
    monkeypatch.setattr(SMTPSession, "peer_address", "192.0.2.1")
    with SMTPServer(credentials=("user", "secret")) as server:
        delivery = send(server.configuration(security=security))
    assert delivery.attempts[0].stage is (Stage.MESSAGE if is_allowed else Stage.AUTH)
    assert any("C: AUTH" in line for line in server.transcripts[0]) is is_allowed
