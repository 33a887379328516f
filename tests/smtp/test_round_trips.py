"""How often a caller waits for the server, counted at the server."""

import pytest

from app.model.message import Message
from app.model.outcome import Outcome
from app.smtp import transaction
from tests.smtp.conftest import MESSAGE, Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, SMTPServer, refuse

LARGE = Message("AB12CD34", MESSAGE.content * 2000)


@pytest.mark.parametrize(("extensions", "round_trips"), [(PLAIN, 4), (PIPELINING, 2), (CHUNKING, 1)])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_message_takes_as_few_round_trips_as_the_server_allows(
    extensions: tuple[str, ...], round_trips: int, is_encrypted: bool, send: Send
) -> None:
    with SMTPServer(extensions=extensions, tls=is_encrypted, credentials=("user", "secret")) as server:
        for _ in range(3):
            assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert [message.round_trips for message in server.messages] == [round_trips] * 3
    assert server.connections == 1


@pytest.mark.parametrize(("extensions", "round_trips"), [(PLAIN, 4), (PIPELINING, 2), (CHUNKING, 2)])
def test_a_large_message_is_not_sent_before_its_envelope_is_accepted(
    extensions: tuple[str, ...], round_trips: int, send: Send
) -> None:
    with SMTPServer(extensions=extensions) as server:
        assert send(server.configuration(), message=LARGE).outcome is Outcome.ACCEPTED
    assert server.messages[0].round_trips == round_trips
    assert server.messages[0].data == b"From: <sender@example.com>\r\n" + LARGE.content


def test_a_refusal_does_not_cost_the_transfer_of_a_large_message(send: Send) -> None:
    hand_overs: list[None] = []
    with SMTPServer(faults={"RCPT": refuse("owner@example.com")}) as server:
        delivery = send(server.configuration(), message=LARGE, on_hand_over=lambda: hand_overs.append(None))
    assert delivery.outcome is Outcome.RECIPIENT_REFUSED
    assert not hand_overs
    assert not any("BDAT" in line for line in server.transcripts[0])


def test_a_session_that_was_idle_for_a_while_is_proved_by_the_envelope(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "IDLE_LIMIT_S", -1.0)
    with SMTPServer() as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.messages[0].round_trips == 2


@pytest.mark.parametrize(("extensions", "round_trips"), [(PIPELINING, 3), (CHUNKING, 2)])
def test_the_reset_behind_a_refused_recipient_costs_no_round_trip(
    extensions: tuple[str, ...], round_trips: int, send: Send
) -> None:
    with SMTPServer(extensions=extensions, faults={"RCPT": refuse("owner@example.com")}) as server:
        assert send(server.configuration(), catch_all="spare@example.com").outcome is Outcome.ACCEPTED
    assert "C: RSET" in server.transcripts[0]
    assert server.messages[0].round_trips == round_trips
    assert server.connections == 1
