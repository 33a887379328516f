"""A server that says one reply too many: nothing is sent twice, and nothing that was taken is called failed."""

from itertools import product

import pytest

from app.model.outcome import Outcome
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Fault, SMTPServer

MODES = {
    "command by command": PLAIN,
    "BDAT without PIPELINING": ("CHUNKING", *PLAIN),
    "PIPELINING": PIPELINING,
    "one write": CHUNKING,
}
HEALTHY = {
    "GREETING": "220 ready",
    "EHLO": "250 only this",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    "MESSAGE": "250 2.0.0 queued",
    "RSET": "250 2.0.0 ok",
}
SURPLUS = ("451 4.3.0 later", "550 5.7.1 no", "250 2.1.5 ok", "250 ok", "354 go ahead")


def told(outcome: Outcome) -> str:
    return {Outcome.ACCEPTED: "sent", Outcome.UNKNOWN: "uncertain"}.get(outcome, "failed")


def is_true(word: str, times: int) -> bool:
    """Whether this may be said of a message that servers took so many times."""
    return {"sent": times == 1, "failed": times == 0, "uncertain": times <= 1}[word]


@pytest.mark.parametrize(
    ("mode", "step", "surplus"),
    [
        (mode, step, surplus)
        for mode, step, surplus in product(MODES, ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE"), SURPLUS)
        if not (step == "DATA" and "CHUNKING" in MODES[mode])
    ],
)
def test_two_servers_never_take_the_same_message_and_the_outcome_is_true(
    mode: str, step: str, surplus: str, send: Send
) -> None:
    faults: dict[str, Fault] = {step: f"{HEALTHY[step]}\r\n{surplus}"}
    if step == "EHLO":
        # The surplus stands behind the whole announcement, where the lines of one reply would be.
        names = "\r\n".join(f"250-{name}" for name in MODES[mode])
        faults = {step: f"250-tests\r\n{names}\r\n250 HELP\r\n{surplus}"}
    with SMTPServer(MODES[mode], faults=faults) as odd, SMTPServer(CHUNKING) as healthy:
        delivery = send(odd.configuration(1), healthy.configuration(2))
        copies = len(odd.messages) + len(healthy.messages)
        assert is_true(told(delivery.outcome), copies), (delivery.attempts, copies)
        assert delivery.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
        # The next message finds a session in step, or another server.
        before = copies
        following = send(odd.configuration(1), healthy.configuration(2))
        copies = len(odd.messages) + len(healthy.messages) - before
        assert is_true(told(following.outcome), copies), (following.attempts, copies)


@pytest.mark.parametrize("mode", MODES)
def test_one_server_that_took_the_message_is_not_called_a_failure(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"RCPT": "250 2.1.5 ok\r\n451 4.3.0 later"}) as server:
        delivery = send(server.configuration())
    assert is_true(told(delivery.outcome), len(server.messages)), delivery.attempts


def test_where_all_left_in_one_write_the_outcome_is_uncertain_and_the_record_says_why(send: Send) -> None:
    with SMTPServer(faults={"RCPT": "250 2.1.5 ok\r\n451 4.3.0 later"}) as server:
        (attempt,) = send(server.configuration()).attempts
    assert (attempt.outcome, len(server.messages)) == (Outcome.UNKNOWN, 1)
    assert attempt.detail.startswith("the server sent more replies than it was asked for")
    assert "451 4.3.0 later; 250 2.0.0 queued" in attempt.detail


@pytest.mark.parametrize("refusal", ["451 4.3.0 later", "550 5.7.1 no", "421 4.3.2 closing"])
@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_behind_an_acceptance_does_not_undo_it_for_the_next_message(
    mode: str, refusal: str, send: Send
) -> None:
    """A reply that comes by itself between two messages is not taken for an answer to the second."""
    with SMTPServer(MODES[mode], scripts=[{"MESSAGE": [None, f"250 2.0.0 queued\r\n{refusal}"]}]) as server:
        outcomes = [send(server.configuration()).outcome for _ in range(3)]
    assert outcomes[0] is outcomes[2] is Outcome.ACCEPTED
    assert is_true(told(outcomes[1]), 1)
    assert len(server.messages) == 3


@pytest.mark.parametrize("mode", MODES)
def test_a_late_line_is_seen_before_the_message_is_handed_over(mode: str, send: Send) -> None:
    hand_overs: list[int] = []
    with SMTPServer(MODES[mode], faults={"MAIL": "250 2.1.0 ok\r\n250 2.1.0 ok"}) as server:
        (attempt,) = send(server.configuration(), on_hand_over=lambda: hand_overs.append(1)).attempts
        assert is_true(told(attempt.outcome), len(server.messages)), attempt
    if mode != "one write":
        assert attempt.outcome is Outcome.SERVER_AT_FAULT
        assert not server.received
