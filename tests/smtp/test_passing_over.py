"""A configuration that keeps failing is passed over for a while, so that callers do not wait for it again and again."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from app.model.message import Message
from app.model.outcome import Outcome, Stage
from app.model.smtp import Account, SMTPConfiguration
from app.smtp import circuit
from app.smtp.circuit import FAILURES_LIMIT
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import MESSAGE, Send, is_usable
from tests.smtp_server import CHUNKING, PIPELINING, Deed, Drop, Fault, Hang, SMTPServer

PAUSE_S = 0.1
"""Short enough to be waited for by the tests whose subject is what comes behind it."""


@pytest.fixture
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", PAUSE_S)


def fail_often(send: Send, *group: SMTPConfiguration, times: int = FAILURES_LIMIT) -> None:
    for _ in range(times):
        assert send(*group).attempts[0].outcome is not Outcome.ACCEPTED


def wait_until_usable(deliverer: Deliverer, configuration: SMTPConfiguration) -> None:
    deadline = time.monotonic() + 5
    while not is_usable(deliverer, configuration):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("step", "fault", "stage"),
    [
        ("CONNECT", Drop(), Stage.GREETING),
        ("GREETING", "554 5.3.2 no service", Stage.GREETING),
        ("EHLO", Drop(), Stage.EHLO),
        ("AUTH", "535 5.7.8 wrong password", Stage.AUTH),
        ("MAIL", "421 4.3.2 closing", Stage.MAIL),
        ("RCPT", Drop(), Stage.RCPT),
        ("MESSAGE", "421 4.3.2 closing", Stage.MESSAGE),
    ],
)
def test_after_five_failures_in_a_row_it_is_passed_over(
    step: str, fault: Fault, stage: Stage, deliverer: Deliverer, send: Send
) -> None:
    credentials = ("sender@example.com", "secret")
    with SMTPServer(PIPELINING, credentials=credentials, faults={step: fault}) as down, SMTPServer() as healthy:
        group = down.configuration(), healthy.configuration(index=2)
        for _ in range(FAILURES_LIMIT):
            assert is_usable(deliverer, group[0])
            assert [attempt.stage for attempt in send(*group).attempts] == [stage, Stage.MESSAGE]
        assert not is_usable(deliverer, group[0])
        assert is_usable(deliverer, group[1])
        seen = down.connections
        for _ in range(5):
            assert [(attempt.smtp_id, attempt.outcome) for attempt in send(*group).attempts] == [(2, Outcome.ACCEPTED)]
        assert down.connections == seen
    assert len(healthy.messages) == FAILURES_LIMIT + 5


def test_a_server_that_takes_messages_and_drops_the_line_is_passed_over_too(send: Send) -> None:
    with SMTPServer(faults={"MESSAGE": Drop()}) as down, SMTPServer() as healthy:
        group = down.configuration(), healthy.configuration(index=2)
        fail_often(send, *group)
        assert send(*group).delivered_by == 2


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("MAIL", "451 4.3.0 later"),
        ("MAIL", "550 5.7.1 sender refused"),
        ("RCPT", "450 4.2.0 greylisted"),
        ("RCPT", "550 5.7.1 relay denied"),
        ("RCPT", "550 5.1.1 no such user"),
        ("DATA", "451 4.3.0 later"),
        ("DATA", "554 5.6.0 no"),
        ("MESSAGE", "452 4.3.1 disk full"),
        ("MESSAGE", "554 5.7.1 looks like spam"),
    ],
)
def test_refusals_of_messages_are_no_reason(step: str, fault: Fault, deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(PIPELINING, faults={step: fault}) as server:
        fail_often(send, server.configuration(), times=2 * FAILURES_LIMIT)
        assert is_usable(deliverer, server.configuration())
    assert server.connections <= 2 * FAILURES_LIMIT


@pytest.mark.parametrize("extensions", [("SIZE 10", "8BITMIME"), ("PIPELINING", "8BITMIME")], ids=["size", "smtputf8"])
def test_what_the_announced_extensions_rule_out_is_no_reason(
    extensions: tuple[str, ...], deliverer: Deliverer, send: Send
) -> None:
    with SMTPServer(extensions) as server, SMTPServer() as healthy:
        group = server.configuration(), healthy.configuration(index=2)
        for _ in range(2 * FAILURES_LIMIT):
            delivery = send(*group, recipient="empfänger@example.com")
            assert [attempt.stage for attempt in delivery.attempts] == [Stage.MAIL, Stage.MESSAGE]
        assert is_usable(deliverer, group[0])
    assert server.connections == 1


@pytest.mark.usefixtures("short_pause")
def test_behind_the_pause_one_caller_finds_out_that_it_works_again(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server, SMTPServer() as healthy:
        group = server.configuration(), healthy.configuration(index=2)
        with capture_logs() as logs:
            fail_often(send, *group)
            send(*group)
            wait_until_usable(deliverer, group[0])
            assert send(*group).attempts[0].stage is Stage.GREETING
            assert not is_usable(deliverer, group[0])
            server.faults = {}
            wait_until_usable(deliverer, group[0])
            for _ in range(3):
                assert [attempt.smtp_id for attempt in send(*group).attempts] == [1]
    said = [(entry["log_level"], entry["smtp_id"]) for entry in logs]
    assert said == [("warning", 1), ("info", 1)]
    assert logs[0]["cause"].startswith("greeting: ")


@pytest.mark.usefixtures("short_pause")
def test_while_one_caller_finds_out_the_others_pass_by(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server, SMTPServer() as healthy, ThreadPoolExecutor(1) as threads:
        group = server.configuration(), healthy.configuration(index=2)
        fail_often(send, *group)
        wait_until_usable(deliverer, group[0])
        server.faults = {"GREETING": Hang()}
        seen = server.connections
        probing = threads.submit(send, *group)
        server.wait_until(lambda: server.connections == seen + 1)
        began = time.monotonic()
        for _ in range(10):
            assert [attempt.smtp_id for attempt in send(*group).attempts] == [2]
        assert time.monotonic() - began < 0.5
        assert server.connections == seen + 1
        server.drop_connections()
        assert [attempt.smtp_id for attempt in probing.result().attempts] == [1, 2]


@pytest.mark.usefixtures("short_pause")
def test_a_server_in_doubt_gets_the_envelope_first(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(CHUNKING, faults={"GREETING": Drop()}) as server, SMTPServer() as healthy:
        group = server.configuration(), healthy.configuration(index=2)
        fail_often(send, *group)
        wait_until_usable(deliverer, group[0])
        server.faults = {"MAIL": Drop()}
        # With the message in the first write this would be an uncertain end.
        assert [attempt.stage for attempt in send(*group).attempts] == [Stage.MAIL, Stage.MESSAGE]
        # And when it is tried for want of another one.
        assert send(group[0]).attempts[0].stage is Stage.MAIL
    assert (len(server.received), len(healthy.messages)) == (0, FAILURES_LIMIT + 1)


def test_with_every_configuration_passed_over_the_first_is_still_tried(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as first, SMTPServer(faults={"GREETING": Drop()}) as second:
        group = first.configuration(), second.configuration(index=2)
        fail_often(send, *group)
        assert not any(is_usable(deliverer, each) for each in group)
        seen = second.connections
        delivery = send(*group)
        assert [(attempt.smtp_id, attempt.stage) for attempt in delivery.attempts] == [(1, Stage.GREETING)]
        first.faults = {}
        assert send(*group).delivered_by == 1
        assert is_usable(deliverer, group[0])
    assert second.connections == seen


def test_the_only_configuration_is_tried_every_time(send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        fail_often(send, server.configuration(), times=2 * FAILURES_LIMIT)
    assert server.connections == 2 * FAILURES_LIMIT


def test_each_account_is_known_for_itself(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(PIPELINING, credentials=("good", "secret")) as server:
        good, bad = (Account("sender@example.com", name, "secret") for name in ("good", "bad"))
        configuration = server.configuration(account=good, test_account=bad)
        for _ in range(FAILURES_LIMIT):
            assert send(configuration, is_test=True).attempts[0].stage is Stage.AUTH
        assert is_usable(deliverer, configuration)
        assert not is_usable(deliverer, configuration, is_test=True)
        assert not is_usable(deliverer, replace(configuration, test_account=None), is_test=True)
        assert send(configuration).outcome is Outcome.ACCEPTED


def test_a_forgotten_configuration_begins_anew(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server, SMTPServer() as healthy:
        group = server.configuration(), healthy.configuration(index=2)
        fail_often(send, *group)
        deliverer.forget([group[0]])
        assert is_usable(deliverer, group[0])
        assert [attempt.smtp_id for attempt in send(*group).attempts] == [1, 2]


def test_what_the_others_left_no_time_for_is_not_the_servers_fault(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Hang()}) as silent, SMTPServer(delay_s=0.5) as slow:
        group = silent.configuration(timeout_s=0.1), slow.configuration(index=2)
        for _ in range(FAILURES_LIMIT - 1):
            delivery = send(*group, deadline_s=0.3)
            assert [attempt.stage for attempt in delivery.attempts] == [Stage.GREETING, Stage.GREETING]
        # One of its own failures would be the fifth.
        slow.stop_listening()
        assert len(send(group[1]).attempts) == 1
        assert is_usable(deliverer, group[1])


@pytest.mark.usefixtures("short_pause")
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_probe_that_breaks_off_makes_room_for_another(
    error: type[BaseException], deliverer: Deliverer, send: Send
) -> None:
    def break_off() -> None:
        raise error

    with SMTPServer(faults={"GREETING": Drop()}) as server, SMTPServer() as healthy:
        group = server.configuration(), healthy.configuration(index=2)
        fail_often(send, *group)
        server.faults = {}
        wait_until_usable(deliverer, group[0])
        with pytest.raises(error):
            send(*group, on_hand_over=break_off)
        assert send(*group).delivered_by == 1


def test_a_message_is_delivered_once_whatever_is_passed_over(send: Send) -> None:
    """Thirty threads, and a first server that comes and goes."""

    def comes_and_goes(argument: str) -> Deed:
        return Drop() if int(time.monotonic() * 20) % 2 else None

    faults = {"GREETING": comes_and_goes, "RCPT": comes_and_goes}
    with SMTPServer(PIPELINING, faults=faults) as first, SMTPServer() as second, ThreadPoolExecutor(30) as threads:
        group = first.configuration(timeout_s=10.0), second.configuration(index=2, timeout_s=10.0)

        def deliver(number: int) -> Outcome:
            message = Message(f"{number:08X}", b"Subject: %d\r\n%b" % (number, MESSAGE.content))
            return send(*group, message=message).outcome

        assert set(threads.map(deliver, range(300))) == {Outcome.ACCEPTED}
    subjects = sorted(int(str(message.parsed["Subject"])) for message in (*first.messages, *second.messages))
    assert subjects == list(range(300))
