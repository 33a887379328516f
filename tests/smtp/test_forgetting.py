"""A configuration that is no longer in use leaves nothing open, and takes no message with it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from app.model.outcome import Outcome
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send
from tests.smtp_server import PIPELINING, Hang, SMTPServer


def test_idle_sessions_say_goodbye_without_anybody_waiting(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"QUIT": Hang()}) as silent, SMTPServer() as server:
        for each in (silent, server):
            assert send(each.configuration()).outcome is Outcome.ACCEPTED
        began = time.monotonic()
        deliverer.forget({silent.configuration(), server.configuration()})
        assert time.monotonic() - began < 0.1
        server.wait_until(lambda: not server.open_connections)
        silent.wait_until(lambda: "C: QUIT" in silent.transcripts[0])


def test_a_message_under_way_finishes_and_then_its_session_ends(deliverer: Deliverer, send: Send) -> None:
    forgotten = threading.Event()

    def wait() -> None:
        forgotten.wait(5)

    with SMTPServer(PIPELINING) as server, ThreadPoolExecutor(1) as threads:
        configuration = server.configuration()
        under_way = threads.submit(send, configuration, on_hand_over=wait)
        server.wait_until(lambda: any("S: 354" in line for lines in server.transcripts for line in lines))
        deliverer.forget([configuration])
        forgotten.set()
        assert under_way.result().outcome is Outcome.ACCEPTED
        server.wait_until(lambda: not server.open_connections)
    assert server.transcripts[0][-1] == "S: 221 2.0.0 bye"
    assert len(server.messages) == 1


def test_whoever_waits_in_line_is_still_served(deliverer: Deliverer, send: Send) -> None:
    forgotten = threading.Event()

    def wait() -> None:
        forgotten.wait(5)

    with SMTPServer(PIPELINING) as server, ThreadPoolExecutor(2) as threads:
        configuration = server.configuration(max_connections=1)
        first = threads.submit(send, configuration, on_hand_over=wait)
        server.wait_until(lambda: any("S: 354" in line for lines in server.transcripts for line in lines))
        second = threads.submit(send, configuration)
        pool = deliverer._pools.route(configuration, configuration.account).pool
        server.wait_until(lambda: bool(pool._waiting))
        deliverer.forget([configuration])
        forgotten.set()
        assert {first.result().outcome, second.result().outcome} == {Outcome.ACCEPTED}
        server.wait_until(lambda: not server.open_connections)


def test_an_equal_configuration_begins_anew_and_others_stay(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer() as server, SMTPServer() as other:
        for _ in range(2):
            assert send(server.configuration()).outcome is Outcome.ACCEPTED
            assert send(other.configuration()).outcome is Outcome.ACCEPTED
            deliverer.forget(iter([server.configuration(), server.configuration(index=9)]))
        assert (server.connections, other.connections) == (2, 1)
        server.wait_until(lambda: not server.open_connections)
        assert len(other.open_connections) == 1
    # All that is left is the other server's, which closing ends.
    deliverer.close()


def test_forgetting_what_was_never_used_does_nothing(deliverer: Deliverer) -> None:
    with SMTPServer() as server:
        deliverer.forget([server.configuration()])
        deliverer.forget([])
    assert not server.connections
