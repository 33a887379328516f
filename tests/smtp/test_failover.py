"""Three servers, each fault at each stage: nothing is lost, nothing is doubled, and the record is true."""

from itertools import product

import pytest

from app.model.outcome import Outcome, Stage
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Drop, Fault, Raw, Reset, SMTPServer, refuse

MODES = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING}
FAULTS: dict[str, Fault] = {
    "drop": Drop(),
    "reset": Reset(),
    "garbage": Raw(b"what?\r\n"),
    "421": "421 4.3.2 closing",
    "451": "451 4.3.0 later",
    "550 5.7.1": "550 5.7.1 no",
    "550 5.1.1": "550 5.1.1 no such user",
}
STEPS = ("CONNECT", "GREETING", "EHLO", "MAIL", "RCPT", "DATA", "TRANSFER", "MESSAGE")


@pytest.mark.parametrize(
    ("mode", "step", "fault"),
    [
        (mode, step, fault)
        for mode, step, fault in product(MODES, STEPS, FAULTS)
        # A server that answers in the middle of the data and then accepts them contradicts itself.
        if step != "TRANSFER" or fault in ("drop", "reset")
    ],
)
def test_nothing_is_lost_and_nothing_is_doubled(mode: str, step: str, fault: str, send: Send) -> None:
    faults = {step: FAULTS[fault]}
    with (
        SMTPServer(MODES[mode], faults=faults) as first,
        SMTPServer(MODES[mode], faults=faults) as second,
        SMTPServer(MODES[mode]) as third,
    ):
        servers = (first, second, third)
        delivery = send(*(server.configuration(index=index) for index, server in enumerate(servers, 1)))
    accepted = [message for server in servers for message in server.messages]
    received = [message for server in servers for message in server.received]
    assert len(accepted) == (1 if delivery.outcome is Outcome.ACCEPTED else 0)
    assert [attempt.smtp_id for attempt in delivery.attempts] == list(range(1, len(delivery.attempts) + 1))
    *earlier, last = [attempt.outcome for attempt in delivery.attempts]
    # Only a fault of the server leads on; whatever else happens is the end.
    assert set(earlier) <= {Outcome.SERVER_AT_FAULT}
    if last is Outcome.ACCEPTED:
        assert delivery.delivered_by == len(delivery.attempts)
    elif last is Outcome.UNKNOWN:
        assert len(delivery.attempts) == 1
        assert len(received) <= 1
    else:
        assert last in (Outcome.RECIPIENT_REFUSED, Outcome.MESSAGE_REFUSED)
        assert len(delivery.attempts) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_message_waits_for_the_third_server_when_two_do_not_work(mode: str, send: Send) -> None:
    with (
        SMTPServer(MODES[mode], faults={"MAIL": "451 4.3.0 later"}) as first,
        SMTPServer(MODES[mode], faults={"RCPT": "550 5.7.1 relaying denied"}) as second,
        SMTPServer(MODES[mode]) as third,
    ):
        hand_overs: list[None] = []
        delivery = send(
            *(server.configuration(index=index) for index, server in enumerate((first, second, third), 1)),
            on_hand_over=lambda: hand_overs.append(None),
        )
    assert [(attempt.smtp_id, attempt.stage, attempt.code) for attempt in delivery.attempts] == [
        (1, Stage.MAIL, 451),
        (2, Stage.RCPT, 550),
        (3, Stage.MESSAGE, 250),
    ]
    assert delivery.delivered_by == 3
    assert len(hand_overs) == (3 if mode == "chunking" else 1)


def test_a_server_that_is_not_there_is_passed_over(send: Send) -> None:
    with SMTPServer() as gone, SMTPServer() as there:
        gone.stop_listening()
        delivery = send(gone.configuration(), there.configuration(index=2))
    assert [attempt.stage for attempt in delivery.attempts] == [Stage.CONNECT, Stage.MESSAGE]


def test_with_every_server_at_fault_the_last_one_decides(send: Send) -> None:
    with SMTPServer(faults={"MAIL": "451 4.3.0 later"}) as server:
        delivery = send(*(server.configuration(index=index) for index in (1, 2, 3)))
    assert [attempt.smtp_id for attempt in delivery.attempts] == [1, 2, 3]
    assert (delivery.outcome, delivery.delivered_by) == (Outcome.SERVER_AT_FAULT, None)


def test_a_test_message_passes_over_configurations_without_a_test_account(send: Send) -> None:
    with SMTPServer() as server:
        configurations = server.configuration(test_account=None), server.configuration(index=2)
        delivery = send(*configurations, is_test=True)
        assert [attempt.smtp_id for attempt in delivery.attempts] == [2]
        delivery = send(configurations[0], is_test=True)
        assert (delivery.outcome, delivery.attempts[0].stage) == (Outcome.SERVER_AT_FAULT, Stage.AUTH)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_catch_all_gets_what_the_recipient_refused_on_the_same_session(
    mode: str, is_encrypted: bool, send: Send
) -> None:
    with SMTPServer(MODES[mode], tls=is_encrypted, faults={"RCPT": refuse("owner@example.com")}) as server:
        delivery = send(server.configuration(), server.configuration(index=2), catch_all="spare@example.com")
    assert [(attempt.smtp_id, attempt.recipients, attempt.outcome) for attempt in delivery.attempts] == [
        (1, ("owner@example.com",), Outcome.RECIPIENT_REFUSED),
        (1, ("spare@example.com",), Outcome.ACCEPTED),
    ]
    assert [message.recipients for message in server.received] == [("spare@example.com",)]
    assert server.connections == 1


def test_the_catch_all_is_reached_although_the_refusal_ended_the_session(send: Send) -> None:
    scripts: list[dict[str, Fault]] = [{"RCPT": Drop(b"550 5.1.1 no such user\r\n")}]
    with SMTPServer(PIPELINING, scripts=scripts) as server:
        delivery = send(server.configuration(), catch_all="spare@example.com")
    assert [attempt.outcome for attempt in delivery.attempts] == [Outcome.RECIPIENT_REFUSED, Outcome.ACCEPTED]
    assert server.connections == 2


@pytest.mark.parametrize("catch_all", [None, "owner@example.com", "nobody@example.com"])
def test_without_a_catch_all_that_works_a_refused_recipient_is_the_end(catch_all: str | None, send: Send) -> None:
    with SMTPServer(faults={"RCPT": "550 5.1.1 no such user"}) as server:
        delivery = send(server.configuration(), server.configuration(index=2), catch_all=catch_all)
    assert delivery.outcome is Outcome.RECIPIENT_REFUSED
    assert len(delivery.attempts) == (2 if catch_all == "nobody@example.com" else 1)
    assert {attempt.smtp_id for attempt in delivery.attempts} == {1}


def test_a_refused_recipient_is_not_tried_again_at_the_next_server(send: Send) -> None:
    def refuse_then_fail(argument: str) -> str:
        return "550 5.1.1 no such user" if "owner" in argument else "451 4.3.0 later"

    with SMTPServer(faults={"RCPT": refuse_then_fail}) as first, SMTPServer() as second:
        delivery = send(first.configuration(), second.configuration(index=2), catch_all="spare@example.com")
    assert [(attempt.smtp_id, attempt.recipients) for attempt in delivery.attempts] == [
        (1, ("owner@example.com",)),
        (1, ("spare@example.com",)),
        (2, ("spare@example.com",)),
    ]
    assert delivery.delivered_by == 2
