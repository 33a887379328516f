"""Signing in: what is said, when it is not said, and what its refusal means."""

from base64 import b64encode
from itertools import product

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Account, Security
from app.smtp.check import check
from app.smtp.session import SMTPSession
from tests.smtp.conftest import Send
from tests.smtp_server import Fault, SMTPServer


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


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("mechanisms", "initial_response"),
    [
        *product(("LOGIN", "PLAIN", "CRAM-MD5"), ("", "ignored", "501 5.5.4 no argument", "500 5.5.2 too long")),
        # To PLAIN that is the answer to a wrong password, which is not said twice.
        ("LOGIN", "535 5.7.8 no argument"),
    ],
)
def test_a_server_that_takes_no_initial_response_is_signed_in_to(
    mechanisms: str, initial_response: str, send: Send
) -> None:
    server = SMTPServer(
        tls=True, credentials=("user", "secret"), mechanisms=mechanisms, initial_response=initial_response
    )
    with server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert sum(answer == b64("secret") for _, answer in server.told) == (mechanisms == "LOGIN")


@pytest.mark.parametrize(
    "prompts",
    [
        ("Username:", "Password:"),
        (b64("Username:"), b64("Password:")),
        (b64("User Name\0"), b64("Password\0")),
        (b64("USER"), b64("PASS")),
        (b64("Benutzername"), b64("Kennwort")),
        (b64("Please go ahead"), b64("Password for user user:")),
        ("", ""),
        ("=", "="),
        ("%%%", "%%%"),
    ],
)
def test_login_goes_by_the_questions_and_their_order(prompts: tuple[str, str], send: Send) -> None:
    server = SMTPServer(tls=True, credentials=("user", "secret"), mechanisms="LOGIN", prompts=prompts)
    with server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.told == list(zip(prompts, (b64("user"), b64("secret")), strict=True))


@pytest.mark.parametrize(
    ("mechanisms", "prompts"),
    [
        ("LOGIN", (b64("Username:"), b64("Username:"))),
        ("LOGIN", (b64("Username:"), "User Name")),
        ("LOGIN", (b64("Password:"),)),
        # Clear words that are base64, too.
        ("LOGIN", ("Username", "Username")),
        ("PLAIN", (b64("Username:"),)),
        ("PLAIN", ("Name",)),
        ("CRAM-MD5", ("not base64!",)),
        ("CRAM-MD5", ("",)),
    ],
)
def test_a_password_is_no_answer_to_a_question_that_does_not_ask_for_it(
    mechanisms: str, prompts: tuple[str, ...], send: Send
) -> None:
    server = SMTPServer(
        tls=True, credentials=("user", "secret"), mechanisms=mechanisms, prompts=prompts, initial_response="ignored"
    )
    with server:
        (attempt,) = send(server.configuration()).attempts
    assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.AUTH)
    assert server.told[-1][1] == "*"
    assert b64("secret") not in [answer for _, answer in server.told]


def test_after_an_odd_question_another_mechanism_signs_in(send: Send) -> None:
    prompts = ("not base64!",)
    with SMTPServer(credentials=("user", "secret"), mechanisms="CRAM-MD5 LOGIN", prompts=prompts) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("line", ["AUTH=LOGIN PLAIN", "AUTH LOGIN", "auth login", "AUTH PLAIN\r\n250-AUTH=PLAIN"])
def test_the_announcement_may_be_written_in_the_old_way(line: str, send: Send) -> None:
    announcement = f"250-tests\r\n250-{line}\r\n250 8BITMIME"
    with SMTPServer(tls=True, credentials=("user", "secret"), faults={"EHLO": announcement}) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.messages[0].login == "user"


@pytest.mark.parametrize("reply", ["535 5.7.8 no digest", "504 5.5.4 unknown", "501 5.5.4 no"])
def test_where_no_digest_can_be_checked_the_password_is_said(reply: str, send: Send) -> None:
    faults: dict[str, Fault] = {"AUTH": [reply, None]}
    with SMTPServer(credentials=("user", "secret"), mechanisms="CRAM-MD5 PLAIN", faults=faults) as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert [line.split()[2] for line in server.transcripts[0] if "C: AUTH" in line] == ["CRAM-MD5", "PLAIN"]


def test_who_is_signed_in_already_goes_on(send: Send) -> None:
    with SMTPServer(tls=True, credentials=("user", "secret")) as server:
        server.faults = {"EHLO": "250-tests\r\n250 AUTH PLAIN", "AUTH": "503 5.5.1 already authenticated"}
        server.credentials, configuration = None, server.configuration()
        assert send(configuration).outcome is Outcome.ACCEPTED
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
