"""One message for several recipients: who is refused does not keep it from the others, and nobody is asked twice."""

from collections.abc import Callable

import pytest

from app.model.outcome import Outcome, Stage
from app.smtp import transaction
from tests.smtp.conftest import MESSAGE, Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Deed, Drop, Fault, SMTPServer, refuse

MODES = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING, "chunking alone": ("CHUNKING", *PLAIN)}
THREE = ("a@example.com", "b@example.com", "c@example.com")


def replies(**by_name: str) -> Callable[[str], Deed]:
    """A fault for RCPT: these replies to a, b and c; None is healthy."""
    return lambda argument: by_name.get(argument.removeprefix("TO:<")[0])


@pytest.mark.parametrize("mode", MODES)
def test_all_recipients_get_one_message(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode]) as server:
        delivery = send(server.configuration(), recipients=THREE)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.recipients, attempt.refused) == (Outcome.ACCEPTED, THREE, ())
    (message,) = server.received
    assert message.recipients == THREE
    assert message.data == b"From: <sender@example.com>\r\n" + MESSAGE.content


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "450 4.2.0 greylisted", "550 5.7.1 relaying denied"])
@pytest.mark.parametrize("refused", THREE)
@pytest.mark.parametrize("mode", MODES)
def test_a_refused_recipient_does_not_stop_the_others(mode: str, refused: str, reply: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"RCPT": refuse(refused, reply)}) as server:
        delivery = send(server.configuration(), server.configuration(index=2), recipients=THREE)
        again = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.recipients, delivery.refused) == (Outcome.ACCEPTED, THREE, (refused,))
    assert server.received[0].recipients == tuple(each for each in THREE if each != refused)
    assert again.outcome is Outcome.ACCEPTED
    assert (len(server.received), server.connections) == (2, 1)


@pytest.mark.parametrize(
    ("refusals", "outcome", "code"),
    [
        ({"a": "550 5.1.1 no", "b": "551 5.1.6 no", "c": "553 5.1.3 no"}, Outcome.RECIPIENT_REFUSED, 550),
        ({"a": "550 5.1.1 no", "b": "451 4.3.0 later", "c": "550 5.1.1 no"}, Outcome.SERVER_AT_FAULT, 451),
        ({"a": "550 5.1.1 no", "b": "550 5.1.1 no", "c": "554 5.7.1 relaying"}, Outcome.SERVER_AT_FAULT, 554),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_when_all_are_refused_one_fault_of_the_server_leads_to_the_next(
    mode: str, refusals: dict[str, str], outcome: Outcome, code: int, send: Send
) -> None:
    hand_overs: list[None] = []
    with SMTPServer(MODES[mode], faults={"RCPT": replies(**refusals)}) as first, SMTPServer() as second:
        delivery = send(
            first.configuration(),
            second.configuration(index=2),
            recipients=THREE,
            catch_all="spare@example.com",
            on_hand_over=lambda: hand_overs.append(None),
        )
    attempt = delivery.attempts[0]
    assert (attempt.outcome, attempt.stage, attempt.code, attempt.refused) == (outcome, Stage.RCPT, code, THREE)
    assert not first.received
    assert not any("DATA" in line or "BDAT" in line for line in first.transcripts[0])
    if outcome is Outcome.SERVER_AT_FAULT:
        assert (delivery.delivered_by, delivery.refused) == (2, ())
        assert [message.recipients for message in second.received] == [THREE]
    else:
        # The catch-all stands in for one recipient, not for many.
        assert (len(delivery.attempts), second.received, hand_overs) == (1, [], [])


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_sender_refuses_nobody_by_name(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"MAIL": "550 5.7.1 not you"}) as server:
        delivery = send(server.configuration(), recipients=THREE)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.refused) == (Outcome.SERVER_AT_FAULT, Stage.MAIL, ())
    assert not server.received


@pytest.mark.parametrize("fault", ["421 4.3.2 closing", Drop(), Drop(b"421 4.3.2 closing\r\n")])
@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_hangs_up_among_the_recipients_gets_no_message(mode: str, fault: Deed, send: Send) -> None:
    faults: dict[str, Fault] = {"RCPT": ["550 5.1.1 no such user", fault, None]}
    with SMTPServer(MODES[mode], faults=faults) as first, SMTPServer() as second:
        delivery = send(first.configuration(), second.configuration(index=2), recipients=THREE)
    assert [attempt.outcome for attempt in delivery.attempts] == [Outcome.SERVER_AT_FAULT, Outcome.ACCEPTED]
    assert not first.received
    assert [message.recipients for message in second.received] == [THREE]


@pytest.mark.parametrize("mode", MODES)
def test_the_outcome_is_that_of_the_message(mode: str, send: Send) -> None:
    faults: dict[str, Fault] = {"RCPT": refuse("b@example.com"), "MESSAGE": "554 5.6.0 spam"}
    with SMTPServer(MODES[mode], faults=faults) as server:
        delivery = send(server.configuration(), server.configuration(index=2), recipients=THREE)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.code, attempt.refused) == (Outcome.MESSAGE_REFUSED, 554, ("b@example.com",))


@pytest.mark.parametrize("mode", MODES)
def test_no_reply_to_a_message_for_several_is_unknown_and_the_end(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"MESSAGE": Drop()}) as server:
        delivery = send(server.configuration(), server.configuration(index=2), recipients=THREE)
    assert [attempt.outcome for attempt in delivery.attempts] == [Outcome.UNKNOWN]
    assert len(server.received) == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_address_that_cannot_be_written_is_left_out(mode: str, send: Send) -> None:
    recipients = ("a@example.com", "b@x.test>\r\nRCPT TO:<evil@x.test", "c@example.com")
    with SMTPServer(MODES[mode]) as server:
        delivery = send(server.configuration(), recipients=recipients)
        nobody = send(server.configuration(), recipients=recipients[1:2] * 2)
    assert (delivery.outcome, delivery.refused) == (Outcome.ACCEPTED, recipients[1:2])
    assert [message.recipients for message in server.received] == [("a@example.com", "c@example.com")]
    assert (nobody.outcome, nobody.refused) == (Outcome.RECIPIENT_REFUSED, recipients[1:2] * 2)


@pytest.mark.parametrize(("mode", "round_trips"), [("plain", 53), ("pipelining", 3), ("chunking", 2)])
def test_fifty_recipients_are_named_in_one_write(mode: str, round_trips: int, send: Send) -> None:
    recipients = tuple(f"reader{number}@example.com" for number in range(50))
    with SMTPServer(MODES[mode]) as server:
        assert send(server.configuration(), recipients=recipients).outcome is Outcome.ACCEPTED
    assert server.messages[0].recipients == recipients
    assert server.messages[0].round_trips == round_trips


def test_very_many_recipients_are_named_in_several_writes(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "COMMANDS_IN_ONE_WRITE", 4)
    recipients = tuple(f"reader{number}@example.com" for number in range(9))
    with SMTPServer(faults={"RCPT": refuse("reader7@example.com")}) as server:
        delivery = send(server.configuration(), recipients=recipients)
    assert delivery.refused == ("reader7@example.com",)
    assert server.messages[0].recipients == (*recipients[:7], recipients[8])
    # Ten commands in three writes, and the message.
    assert server.messages[0].round_trips == 4


def test_a_kept_session_that_died_is_replaced_also_with_several_recipients(send: Send) -> None:
    with SMTPServer(scripts=[{"RCPT": [None, None, None, "550 5.1.1 no such user", Drop()]}]) as server:
        assert send(server.configuration(), recipients=THREE).outcome is Outcome.ACCEPTED
        delivery = send(server.configuration(), recipients=THREE)
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.refused) == (Outcome.ACCEPTED, ())
    assert (server.connections, len(server.received)) == (2, 2)


def test_one_address_that_is_not_ascii_asks_for_smtputf8_and_is_refused_without_it(send: Send) -> None:
    recipients = ("a@example.com", "grüße@example.com")
    with SMTPServer(PLAIN) as first, SMTPServer(("8BITMIME",)) as second:
        assert send(first.configuration(), recipients=recipients).outcome is Outcome.ACCEPTED
        (attempt,) = send(second.configuration(), recipients=recipients).attempts
    assert "SMTPUTF8" in first.messages[0].mail_parameters
    assert (attempt.outcome, attempt.refused, attempt.deferred) == (Outcome.ACCEPTED, (recipients[1],), ())
    assert second.messages[0].recipients == ("a@example.com",)
    assert second.messages[0].mail_parameters == ""


def test_a_single_recipient_that_was_refused_is_named(send: Send) -> None:
    with SMTPServer(faults={"RCPT": refuse("owner@example.com")}) as server:
        delivery = send(server.configuration(), catch_all="spare@example.com")
    refused, accepted = delivery.attempts
    assert (refused.recipients, refused.refused) == (("owner@example.com",), ("owner@example.com",))
    assert (accepted.recipients, delivery.refused) == (("spare@example.com",), ())
