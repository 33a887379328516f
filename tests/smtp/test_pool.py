"""Sessions are kept, bounded, proved before use, and replaced without anybody noticing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Account
from app.smtp import pool, pools, transaction
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Drop, Fault, Hang, Raw, Reset, SMTPServer, refuse

MODES = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING}


def accepted_once(send: Send, server: SMTPServer, **changes: Any) -> None:
    delivery = send(server.configuration(**changes))
    assert [attempt.outcome for attempt in delivery.attempts] == [Outcome.ACCEPTED]


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_a_session_that_the_server_closed_is_replaced_without_an_attempt(
    mode: str, is_encrypted: bool, send: Send
) -> None:
    with SMTPServer(MODES[mode], tls=is_encrypted) as server:
        accepted_once(send, server)
        server.drop_connections()
        server.wait_until(lambda: not server.open_connections)
        accepted_once(send, server)
    assert (server.connections, len(server.received)) == (2, 2)


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("last_words", [b"421 4.4.2 idle for too long\r\n", b""])
def test_a_session_with_parting_words_is_replaced_without_an_attempt(
    last_words: bytes, is_encrypted: bool, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TRUSTED_S", -1.0)
    script: dict[str, Fault] = {"MESSAGE": Raw(b"250 2.0.0 queued\r\n" + last_words), "HELP": Drop()}
    with SMTPServer(tls=is_encrypted, scripts=[script]) as server:
        accepted_once(send, server)
        accepted_once(send, server)
    assert server.connections == (2 if last_words else 1)


@pytest.mark.parametrize("fault", [Drop(), Reset(), "421 4.3.2 closing"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("mode", ["plain", "pipelining"])
def test_a_session_that_fails_before_the_data_is_replaced_without_an_attempt(
    mode: str, step: str, fault: Fault, send: Send
) -> None:
    with SMTPServer(MODES[mode], scripts=[{step: [None, fault]}]) as server:  # type: ignore[list-item]
        accepted_once(send, server)
        accepted_once(send, server)
        assert (server.connections, len(server.received)) == (2, 2)


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
def test_a_421_to_a_message_in_one_write_is_no_acceptance_and_the_session_is_replaced(step: str, send: Send) -> None:
    with SMTPServer(scripts=[{step: [None, Drop(b"421 4.3.2 closing\r\n")]}]) as server:
        accepted_once(send, server)
        accepted_once(send, server)
    assert (server.connections, len(server.received)) == (2, 2)


@pytest.mark.parametrize("mode", MODES)
def test_a_421_to_the_whole_message_is_an_attempt(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"MESSAGE": [None, "421 4.3.2 closing"]}) as server:
        accepted_once(send, server)
        delivery = send(server.configuration(), server.configuration(index=2))
    assert [attempt.code for attempt in delivery.attempts] == [421, 250]
    assert len(server.messages) == 2


def test_a_drop_behind_a_message_in_one_write_is_unknown_also_on_a_kept_session(send: Send) -> None:
    with SMTPServer(scripts=[{"MAIL": [None, Drop()]}]) as server:
        accepted_once(send, server)
        assert send(server.configuration()).outcome is Outcome.UNKNOWN
    assert len(server.received) == 1


def test_a_forgotten_connection_is_replaced_when_the_session_was_idle(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "IDLE_LIMIT_S", -1.0)
    with SMTPServer(scripts=[{"MAIL": [None, Hang()]}]) as server:
        accepted_once(send, server, timeout_s=1.0)
        accepted_once(send, server, timeout_s=1.0)
        assert server.connections == 2


def test_a_replacement_that_fails_is_the_attempt(send: Send) -> None:
    scripts: list[dict[str, Fault]] = [{"MAIL": [None, Drop()]}, {"MAIL": "451 4.3.0 later"}]
    with SMTPServer(PIPELINING, scripts=scripts) as server:
        accepted_once(send, server)
        delivery = send(server.configuration())
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage, attempt.code) == (Outcome.SERVER_AT_FAULT, Stage.MAIL, 451)
    assert server.connections == 2


def test_a_fresh_session_that_fails_is_not_tried_again(send: Send) -> None:
    with SMTPServer(PIPELINING, scripts=[{"MAIL": Drop()}]) as server:
        delivery = send(server.configuration())
    assert (delivery.outcome, server.connections) == (Outcome.SERVER_AT_FAULT, 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_recipient_leaves_a_session_in_order(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], faults={"RCPT": refuse("gone@example.com")}) as server:
        for _ in range(2):
            assert send(server.configuration(), recipient="gone@example.com").outcome is Outcome.RECIPIENT_REFUSED
            accepted_once(send, server)
    assert server.connections == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_message_ends_its_session_with_quit_and_the_next_one_is_in_order(mode: str, send: Send) -> None:
    with SMTPServer(MODES[mode], scripts=[{"MESSAGE": "550 5.7.1 spam"}]) as server:
        assert send(server.configuration()).outcome is Outcome.MESSAGE_REFUSED
        accepted_once(send, server)
    assert server.transcripts[0][-2:] == ["C: QUIT", "S: 221 2.0.0 bye"]
    assert server.connections == 2


class RecordGone(Exception):
    pass


@pytest.mark.parametrize("mode", MODES)
def test_when_the_hand_over_cannot_be_recorded_nothing_is_sent(mode: str, send: Send) -> None:
    def refuse_hand_over() -> None:
        raise RecordGone

    with SMTPServer(MODES[mode]) as server:
        for _ in range(2):
            with pytest.raises(RecordGone):
                send(server.configuration(), on_hand_over=refuse_hand_over)
        assert not server.received
        accepted_once(send, server)
        server.wait_until(lambda: len(server.open_connections) == 1)
    assert len(server.received) == 1
    assert server.connections == (1 if mode == "chunking" else 3)


def test_no_more_sessions_are_open_than_allowed(send: Send) -> None:
    with SMTPServer(delay_s=0.005) as server, ThreadPoolExecutor(12) as threads:
        configuration = server.configuration(max_connections=3)
        outcomes = list(threads.map(lambda _: send(configuration).outcome, range(60)))
    assert outcomes == [Outcome.ACCEPTED] * 60
    assert server.peak_connections <= 3
    assert len(server.messages) == 60


def test_whoever_waits_in_line_waits_no_longer_than_the_deadline(send: Send) -> None:
    with SMTPServer(scripts=[{"MAIL": Hang()}]) as server, ThreadPoolExecutor(1) as threads:
        configuration = server.configuration(max_connections=1)
        first = threads.submit(send, configuration, deadline_s=1.5)
        server.wait_until(
            lambda: any("C: MAIL" in line for line in server.transcripts[0]) if server.connections else False
        )
        delivery = send(configuration, deadline_s=0.2)
        (attempt,) = delivery.attempts
        assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.CONNECT)
        assert attempt.detail == "all 1 sessions were in use"
        server.is_over.set()
        first.result()


def test_with_another_configuration_the_line_is_left_after_the_timeout(send: Send) -> None:
    with SMTPServer(PIPELINING, scripts=[{"MAIL": Hang()}]) as server, ThreadPoolExecutor(1) as threads:
        first = threads.submit(send, server.configuration(max_connections=1, timeout_s=0.5))
        server.wait_until(
            lambda: any("C: MAIL" in line for line in server.transcripts[0]) if server.connections else False
        )
        busy = server.configuration(max_connections=1, timeout_s=0.5)
        with SMTPServer() as other:
            delivery = send(busy, other.configuration(index=2))
        assert delivery.outcome is Outcome.ACCEPTED
        first.result()


def test_a_failed_opening_leaves_its_place_to_the_next(send: Send) -> None:
    with SMTPServer(scripts=[{"GREETING": "421 4.3.2 not yet"}] * 3) as server:
        configuration = server.configuration(max_connections=1)
        outcomes = [send(configuration).outcome for _ in range(4)]
    assert outcomes == [Outcome.SERVER_AT_FAULT] * 3 + [Outcome.ACCEPTED]


@pytest.mark.parametrize(("limit", "value"), [("MESSAGES_LIMIT", 2), ("AGE_LIMIT_S", 0.0)])
def test_a_session_is_not_kept_for_ever(limit: str, value: float, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, limit, value)
    with SMTPServer() as server:
        for _ in range(4):
            accepted_once(send, server)
        assert server.connections == (2 if limit == "MESSAGES_LIMIT" else 4)
        server.wait_until(
            lambda: sum("C: QUIT" in transcript for transcript in server.transcripts) >= server.connections
        )


def test_an_idle_session_says_goodbye(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "SWEEP_S", 0.02)
    monkeypatch.setattr(pools, "IDLE_LIMIT_S", 0.05)
    with SMTPServer() as server:
        accepted_once(send, server)
        server.wait_until(lambda: "S: 221 2.0.0 bye" in server.transcripts[0])
        accepted_once(send, server)
    assert server.connections == 2


@pytest.mark.parametrize("fault", [None, Hang(), Drop(), Reset()])
def test_closing_says_goodbye_and_waits_for_nobody(fault: Fault, deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"QUIT": fault}) as server:
        accepted_once(send, server)
        began = time.monotonic()
        deliverer.close()
        assert time.monotonic() - began < 3
        server.wait_until(lambda: "C: QUIT" in server.transcripts[0])


def test_a_deliverer_can_be_used_again_after_closing(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer() as server:
        accepted_once(send, server)
        deliverer.close()
        accepted_once(send, server)


def test_accounts_do_not_share_sessions(send: Send) -> None:
    with SMTPServer() as server:
        configuration = server.configuration(test_account=Account("test@example.com", "test", None))
        assert send(configuration).outcome is Outcome.ACCEPTED
        assert send(configuration, is_test=True).outcome is Outcome.ACCEPTED
    assert [message.sender for message in server.messages] == ["sender@example.com", "test@example.com"]
    assert server.connections == 2


def test_no_thread_is_left_behind(send: Send, deliverer: Deliverer) -> None:
    before: Callable[[], set[str]] = lambda: {thread.name for thread in threading.enumerate()}  # noqa: E731
    with SMTPServer() as server:
        accepted_once(send, server)
        deliverer.close()
    assert "smtp caretaker" not in before()


def test_a_fresh_session_is_never_one_that_was_used_before(send: Send, deliverer: Deliverer) -> None:
    with SMTPServer() as server, ThreadPoolExecutor(1) as threads:
        configuration = server.configuration(max_connections=1)
        sessions = deliverer._pools.route(configuration, configuration.account).pool
        deadline = time.monotonic() + 10
        used = sessions.acquire(deadline)
        waiting = threads.submit(sessions.acquire, deadline, fresh=True)
        server.wait_until(lambda: bool(sessions._waiting))
        # In order, and given to who waits: but who asks for a fresh one has just met a dead one beside it.
        sessions.release(used)
        fresh = waiting.result()
        assert fresh is not used
        assert not fresh.is_reused
        sessions.release(fresh)
        accepted_once(send, server, max_connections=1)
    assert server.connections == 2
