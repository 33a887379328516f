"""Nobody waits in the line for a server's sessions longer than for a dead server, where there is another one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.model.outcome import Outcome
from app.model.smtp import SMTPConfiguration
from app.smtp.circuit import FAILURES_LIMIT
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send, is_usable
from tests.smtp_server import PIPELINING, Drip, Drop, Fault, Hang, SMTPServer


def test_a_long_line_is_not_the_servers_fault(deliverer: Deliverer, send: Send) -> None:
    let_go = threading.Event()

    def wait() -> None:
        let_go.wait(10)

    with SMTPServer(PIPELINING) as busy, SMTPServer() as healthy, ThreadPoolExecutor(2 * FAILURES_LIMIT) as threads:
        group = busy.configuration(max_connections=1, timeout_s=0.1), healthy.configuration(index=2)
        under_way = threads.submit(send, *group, on_hand_over=wait)
        busy.wait_until(lambda: any("S: 354" in line for lines in busy.transcripts for line in lines))
        others = [threads.submit(send, *group) for _ in range(2 * FAILURES_LIMIT - 1)]
        assert {other.result().delivered_by for other in others} == {2}
        assert is_usable(deliverer, group[0])
        let_go.set()
        assert under_way.result().attempts


@pytest.mark.parametrize("fault", [Hang(), Drip(interval_s=0.05), Drip(b"x", interval_s=0.05)])
@pytest.mark.parametrize("step", ["GREETING", "MAIL"])
def test_nobody_waits_longer_than_the_timeout_behind_those_whom_a_server_holds(
    step: str, fault: Fault, send: Send
) -> None:
    """Whoever is held waits for one timeout, and whoever stands behind them for one, and one more when it is let in."""
    timeout_s, slack_s = 0.8, 0.6

    def measured(group: tuple[SMTPConfiguration, ...]) -> tuple[float, int]:
        began = time.monotonic()
        delivery = send(*group)
        assert delivery.delivered_by == 2
        return time.monotonic() - began, len(delivery.attempts)

    with (
        SMTPServer(PIPELINING, faults={step: fault}) as held,
        SMTPServer() as healthy,
        ThreadPoolExecutor(16) as threads,
    ):
        group = held.configuration(max_connections=FAILURES_LIMIT, timeout_s=timeout_s), healthy.configuration(index=2)
        waits = sorted(waited_s for waited_s, _ in threads.map(measured, [group] * 16))
        assert waits[-1] < 2 * timeout_s + slack_s
        # Five were held, and at most four let in behind them before that was known; the others left the line.
        assert waits[-FAILURES_LIMIT] < timeout_s + slack_s
        # By now it is known: nobody waits any more.
        later = list(threads.map(measured, [group] * 16))
    assert max(waited_s for waited_s, _ in later) < timeout_s
    assert {attempts for _, attempts in later} == {1}
    assert len(healthy.messages) == 32
    assert not held.received


def test_with_the_others_passed_over_a_line_is_waited_in(send: Send) -> None:
    let_go = threading.Event()

    def wait() -> None:
        let_go.wait(10)

    with (
        SMTPServer(PIPELINING) as busy,
        SMTPServer(faults={"GREETING": Drop()}) as down,
        ThreadPoolExecutor(2) as threads,
    ):
        group = busy.configuration(max_connections=1, timeout_s=0.1), down.configuration(index=2)
        for _ in range(FAILURES_LIMIT):
            assert send(group[1]).outcome is Outcome.SERVER_AT_FAULT
        under_way = threads.submit(send, *group, on_hand_over=wait)
        busy.wait_until(lambda: any("S: 354" in line for lines in busy.transcripts for line in lines))
        second = threads.submit(send, *group)
        time.sleep(0.2)
        assert not second.done()
        let_go.set()
        assert {under_way.result().delivered_by, second.result().delivered_by} == {1}


def test_a_server_known_to_be_down_is_not_tried_by_those_in_line(deliverer: Deliverer, send: Send) -> None:
    tried = threading.Semaphore(0)
    let_go = threading.Event()

    def hold(argument: str) -> Drop:
        tried.release()
        let_go.wait(10)
        return Drop()

    with (
        SMTPServer(faults={"GREETING": hold}) as server,
        SMTPServer() as healthy,
        ThreadPoolExecutor(4 * FAILURES_LIMIT) as threads,
    ):
        group = server.configuration(max_connections=FAILURES_LIMIT), healthy.configuration(index=2)
        deliveries = [threads.submit(send, *group) for _ in range(4 * FAILURES_LIMIT)]
        for _ in range(FAILURES_LIMIT):
            assert tried.acquire(timeout=5)
        time.sleep(0.1)
        let_go.set()
        assert {delivery.result().delivered_by for delivery in deliveries} == {2}
        pool = deliverer._pools.route(group[0], group[0].account).pool
        assert (pool._slots_taken, list(pool._waiting)) == (0, [])
    # Those whose turn came before the fifth failure was known may have tried.
    assert server.connections < 3 * FAILURES_LIMIT
