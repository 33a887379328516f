"""Every fault at every stage, against a real server, in each of the three forms of the dialogue."""

import time
from itertools import product
from typing import Any

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Account, Security
from app.smtp import transaction
from tests.smtp.conftest import MESSAGE, Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Drip, Drop, Fault, Hang, Raw, Reset, SMTPServer, refuse

A, F, R, M, U = (
    Outcome.ACCEPTED,
    Outcome.SERVER_AT_FAULT,
    Outcome.RECIPIENT_REFUSED,
    Outcome.MESSAGE_REFUSED,
    Outcome.UNKNOWN,
)
MODES = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING}

NO_REPLY: dict[str, Fault] = {
    "drop": Drop(),
    "reset": Reset(),
    "garbage": Raw(b"\x00\xffwhat?\r\n"),
    "binary": Raw(b"\xff" * 5000),
    "endless reply": Raw(b"250-more\r\n" * 200),
    "wrong code": Raw(b"099 no\r\n"),
    "half a reply": Drop(b"250-ok\r\n250"),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_healthy_server_accepts(mode: str, send: Send) -> None:
    with SMTPServer(extensions=MODES[mode]) as server:
        delivery = send(server.configuration(index=7))
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code, attempt.enhanced_code) == (A, Stage.MESSAGE, 250, "2.0.0")
    assert (attempt.smtp_id, attempt.recipients, attempt.detail) == (7, ("owner@example.com",), "250 2.0.0 queued")
    (message,) = server.messages
    assert message.data == b"From: <sender@example.com>\r\n" + MESSAGE.content
    assert (message.sender, message.recipients) == ("sender@example.com", ("owner@example.com",))


@pytest.mark.parametrize(
    ("step", "reply", "expected", "stage"),
    [
        ("GREETING", "421 4.3.2 closing", F, Stage.GREETING),
        ("GREETING", "554 5.7.1 go away", F, Stage.GREETING),
        ("EHLO", "421 4.3.2 closing", F, Stage.EHLO),
        ("EHLO", "451 4.7.1 bad name", F, Stage.EHLO),
        ("MAIL", "421 4.3.2 closing", F, Stage.MAIL),
        ("MAIL", "451 4.3.0 later", F, Stage.MAIL),
        ("MAIL", "552 5.3.4 too large", F, Stage.MAIL),
        ("RCPT", "421 4.3.2 closing", F, Stage.RCPT),
        ("RCPT", "450 4.2.0 greylisted", F, Stage.RCPT),
        ("RCPT", "550 5.1.1 no such user", R, Stage.RCPT),
        ("RCPT", "552 5.2.2 mailbox full", R, Stage.RCPT),
        ("RCPT", "550 no such user", R, Stage.RCPT),
        ("RCPT", "550 5.7.1 relaying denied", F, Stage.RCPT),
        ("RCPT", "530 sign in first", F, Stage.RCPT),
        ("DATA", "421 4.3.2 closing", F, Stage.DATA),
        ("DATA", "451 4.3.0 later", F, Stage.DATA),
        ("DATA", "554 5.6.0 no", M, Stage.DATA),
        ("DATA", "250 what now", F, Stage.DATA),
        ("MESSAGE", "421 4.3.2 closing", F, Stage.MESSAGE),
        ("MESSAGE", "452 4.3.1 disk full", F, Stage.MESSAGE),
        ("MESSAGE", "550 5.7.1 spam", M, Stage.MESSAGE),
        ("MESSAGE", "554 5.6.0 no", M, Stage.MESSAGE),
        ("MESSAGE", "354 go on", U, Stage.MESSAGE),
        ("QUIT", "421 4.3.2 closing", A, Stage.MESSAGE),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_is_judged_by_stage_and_code(
    mode: str, step: str, reply: str, expected: Outcome, stage: Stage, send: Send
) -> None:
    if mode == "chunking" and step == "DATA":
        # There is no DATA where the message is sent with BDAT, so nothing goes wrong.
        expected, stage = A, Stage.MESSAGE
    with SMTPServer(extensions=MODES[mode], faults={step: reply}) as server:
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage) == (expected, stage)
    if expected is not A:
        assert attempt.code == int(reply[:3])
        assert attempt.detail == reply
    assert len(server.messages) == (1 if expected is A else 0)


@pytest.mark.parametrize(
    ("mode", "step", "fault"),
    [
        (mode, step, fault)
        for mode, step, fault in product(MODES, ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "TRANSFER"), NO_REPLY)
        # With BDAT there is no DATA, and nobody reads replies in the middle of the data.
        if not (mode == "chunking" and step == "DATA") and (step != "TRANSFER" or fault in ("drop", "reset"))
    ],
)
def test_without_a_reply_the_outcome_depends_on_what_was_handed_over(
    mode: str, step: str, fault: str, send: Send
) -> None:
    hand_overs: list[None] = []
    with SMTPServer(extensions=MODES[mode], faults={step: NO_REPLY[fault]}) as server:
        delivery = send(server.configuration(), on_hand_over=lambda: hand_overs.append(None))
    (attempt,) = delivery.attempts
    # In one write with BDAT LAST, or behind the dot, the server may have got it all before it went silent.
    is_handed_over = step == "TRANSFER" or (mode == "chunking" and step in ("MAIL", "RCPT"))
    assert attempt.outcome is (U if is_handed_over else F)
    assert attempt.code is None
    stages = {Stage.MESSAGE if is_handed_over else Stage(step.lower())}
    if (step, fault) == ("GREETING", "reset"):
        # The reset may overtake the end of connect().
        stages.add(Stage.CONNECT)
    assert attempt.stage in stages
    assert len(hand_overs) == int(is_handed_over)
    assert not server.received


@pytest.mark.parametrize("fault", NO_REPLY)
@pytest.mark.parametrize("mode", MODES)
def test_a_missing_reply_to_the_whole_message_is_unknown(mode: str, fault: str, send: Send) -> None:
    with SMTPServer(extensions=MODES[mode], faults={"MESSAGE": NO_REPLY[fault]}) as server:
        delivery = send(server.configuration(), server.configuration(index=2), catch_all="other@example.com")
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (U, Stage.MESSAGE, None)
    assert len(server.received) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", [Hang(), Drip()])
def test_the_reply_to_the_message_is_waited_for_and_then_unknown(
    mode: str, fault: Fault, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "FINAL_REPLY_TIMEOUT_S", 0.4)
    with SMTPServer(extensions=MODES[mode], faults={"MESSAGE": fault}) as server:
        began = time.monotonic()
        # Neither the timeout of a phase nor the request's deadline cuts this wait short.
        delivery = send(server.configuration(timeout_s=0.2), deadline_s=0.3)
        assert 0.38 <= time.monotonic() - began < 5
    assert delivery.outcome is U


def test_the_reply_to_the_message_may_take_what_is_left_of_the_request(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "FINAL_REPLY_TIMEOUT_S", 0.1)
    with SMTPServer(faults={"MESSAGE": Hang()}) as server:
        began = time.monotonic()
        assert send(server.configuration(timeout_s=0.1), deadline_s=0.7).outcome is U
        assert 0.65 <= time.monotonic() - began < 5


@pytest.mark.parametrize("fault", [Drop(), Reset(), Hang(), "421 4.3.2 closing", Raw(b"?\r\n")])
@pytest.mark.parametrize("step", ["QUIT", "RSET"])
def test_what_happens_after_the_acceptance_changes_nothing(step: str, fault: Fault, send: Send) -> None:
    with SMTPServer(faults={step: fault}) as server:
        assert send(server.configuration()).outcome is A
        assert send(server.configuration()).outcome is A
    assert len(server.messages) == 2


def test_a_drop_right_behind_the_acceptance_is_an_acceptance(send: Send) -> None:
    with SMTPServer(faults={"MESSAGE": Reset(b"250 2.0.0 queued\r\n")}) as server:
        assert send(server.configuration()).outcome is A


def test_a_data_prompt_behind_a_refused_recipient_is_ended_with_a_lone_dot(send: Send) -> None:
    faults: dict[str, Fault] = {"RCPT": refuse("owner@example.com"), "DATA": ["354 go ahead anyway", None]}
    with SMTPServer(extensions=PIPELINING, faults=faults) as server:
        delivery = send(server.configuration(), catch_all="spare@example.com")
    assert [attempt.outcome for attempt in delivery.attempts] == [R, A]
    assert [message.recipients for message in server.received] == [("spare@example.com",)]
    assert server.connections == 1


def test_a_recipient_accepted_behind_a_refused_sender_gets_no_empty_message(send: Send) -> None:
    faults: dict[str, Fault] = {"MAIL": "550 5.7.1 not you", "RCPT": "250 2.1.5 ok", "DATA": "354 go ahead"}
    with SMTPServer(extensions=PIPELINING, faults=faults) as server:
        delivery = send(server.configuration())
    assert (delivery.outcome, delivery.attempts[0].stage) == (F, Stage.MAIL)
    assert not server.received


def test_a_message_that_could_not_be_written_to_its_end_was_not_handed_over(send: Send) -> None:
    announcement = b"250-tests\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
    with SMTPServer(faults={"EHLO": Reset(announcement)}) as server:
        # The pause lets the reset arrive before the write, and after the session was found in order.
        delivery = send(server.configuration(), on_hand_over=lambda: time.sleep(0.1))
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (F, Stage.MESSAGE, None)


def test_chunking_without_pipelining_waits_for_each_reply(send: Send) -> None:
    with SMTPServer(extensions=("CHUNKING", *PLAIN)) as server:
        assert send(server.configuration()).outcome is A
    assert server.messages[0].is_chunked
    assert server.messages[0].round_trips == 3


@pytest.mark.parametrize("reply", ["500 what?", "502 5.5.1 what?", "503 polite people say HELO", "550 5.7.1 bad name"])
def test_a_server_that_refuses_ehlo_is_greeted_with_helo(reply: str, send: Send) -> None:
    with SMTPServer(faults={"EHLO": reply}) as server:
        assert send(server.configuration()).outcome is A
    assert server.messages[0].mail_parameters == ""


@pytest.mark.parametrize(
    "changes", [{"security": Security.STARTTLS}, {"account": Account("a@x.example", "a", "secret")}]
)
def test_what_helo_cannot_do_ends_with_the_refusal_of_ehlo(changes: dict[str, Any], send: Send) -> None:
    with SMTPServer(faults={"EHLO": "550 5.7.1 bad name"}) as server:
        (attempt,) = send(server.configuration(**changes)).attempts
    assert (attempt.outcome, attempt.stage, attempt.detail) == (F, Stage.EHLO, "550 5.7.1 bad name")


def test_where_both_are_refused_the_refusal_of_ehlo_is_told(send: Send) -> None:
    with SMTPServer(faults={"EHLO": "550 5.7.1 bad name", "HELO": "501 no"}) as server:
        (attempt,) = send(server.configuration()).attempts
    assert (attempt.outcome, attempt.stage, attempt.detail) == (F, Stage.EHLO, "550 5.7.1 bad name")
