"""Sessions are opened ahead, kept alive, renewed in time, and never at the cost of a server that does not want them."""

import time
from collections.abc import Callable, Iterator

import pytest

from app.model.outcome import Outcome
from app.smtp import pool, pools, transaction, warming
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send, is_usable
from tests.smtp_server import CHUNKING, Drop, Fault, Hang, SMTPServer


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "TICK_S", 0.02)
    monkeypatch.setattr(pools, "SWEEP_S", 0.02)


@pytest.fixture
def deliverer() -> Iterator[Deliverer]:
    deliverer = Deliverer()
    yield deliverer
    began = time.monotonic()
    deliverer.close()
    assert time.monotonic() - began < 3


def is_signed_in(server: SMTPServer, connection: int = 0) -> Callable[[], bool]:
    return lambda: (
        len(server.transcripts) > connection and any("S: 235" in line for line in server.transcripts[connection])
    )


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_first_message_finds_a_session_that_is_signed_in(
    is_encrypted: bool, deliverer: Deliverer, send: Send
) -> None:
    with SMTPServer(tls=is_encrypted, credentials=("user", "secret")) as server:
        deliverer.keep_warm([server.configuration()])
        server.wait_until(is_signed_in(server))
        time.sleep(0.05)
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.connections == 1
    assert server.messages[0].round_trips == 1


def test_a_message_after_a_pause_opens_nothing_and_takes_one_round_trip(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "IDLE_LIMIT_S", 0.05)
    monkeypatch.setattr(warming, "NOOP_AFTER_S", 0.1)
    # Both sides' kernels heard of each other a moment ago; the server answered longer ago than this.
    monkeypatch.setattr(transaction, "IDLE_LIMIT_S", 0.01)
    monkeypatch.setattr("app.smtp.wire.Wire.unheard_s", lambda _: 0.0)
    with SMTPServer() as server:
        deliverer.keep_warm([])
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
        server.wait_until(lambda: server.transcripts[0].count("C: NOOP") >= 3)
        server.wait_until(lambda: server.transcripts[0][-1] == "S: 250 2.0.0 ok")
        time.sleep(0.05)
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.connections == 1
    before_mail = server.transcripts[0][: server.transcripts[0].index("C: NOOP")]
    assert sum("C: BDAT" in line for line in before_mail) <= 1
    assert [message.is_chunked for message in server.messages] == [True, True]


@pytest.mark.parametrize(("unheard_s", "round_trips"), [(0.0, 1), (6.0, 2), (float("inf"), 2)])
def test_only_a_way_that_is_known_to_be_open_gets_the_message_before_an_answer(
    unheard_s: float, round_trips: int, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SMTPServer() as server:
        send(server.configuration())
        monkeypatch.setattr("app.smtp.wire.Wire.unheard_s", lambda _: unheard_s)
        monkeypatch.setattr(transaction, "monotonic", lambda: time.monotonic() + 10)
        send(server.configuration(), deadline_s=60)
        monkeypatch.setattr(transaction, "monotonic", lambda: time.monotonic() + 100)
        send(server.configuration(), deadline_s=180)
    assert server.messages[1].round_trips == round_trips
    assert server.messages[2].round_trips == 2


def test_the_kernel_tells_how_long_nothing_was_heard() -> None:
    with SMTPServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.smtp.connect.KEEPALIVE_S", 1)
        deliverer = Deliverer()
        deliverer.keep_warm([server.configuration()])
        route = deliverer._pools.route(server.configuration(), server.configuration().account)
        server.wait_until(lambda: route.pool.next_idle is not None)
        session = route.pool.next_idle
        assert session is not None
        time.sleep(2.6)
        assert session.unheard_s() < 1.5
        deliverer.close()
        assert session.unheard_s() == float("inf")


def test_a_session_is_renewed_before_it_is_too_old(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(warming, "AGE_LIMIT_S", warming.RENEWED_BEFORE_S + 0.2)
    with SMTPServer(credentials=("user", "secret")) as server:
        deliverer.keep_warm([server.configuration()])
        for connection in range(3):
            server.wait_until(is_signed_in(server, connection))
        server.wait_until(lambda: "C: QUIT" in server.transcripts[0] and "C: QUIT" in server.transcripts[1])
        assert server.peak_connections == 2


def test_where_one_session_is_allowed_the_old_one_goes_first(
    deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(warming, "AGE_LIMIT_S", warming.RENEWED_BEFORE_S + 0.1)
    with SMTPServer(credentials=("user", "secret")) as server:
        deliverer.keep_warm([server.configuration(max_connections=1)])
        server.wait_until(is_signed_in(server, 2))
        server.wait_until(lambda: "C: QUIT" in server.transcripts[1])


def test_a_session_that_the_server_ended_is_opened_anew_in_the_background(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.05)
    with SMTPServer(credentials=("user", "secret")) as server:
        deliverer.keep_warm([server.configuration()])
        server.wait_until(is_signed_in(server))
        server.drop_connections()
        server.wait_until(is_signed_in(server, 1))
        time.sleep(0.05)
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert server.connections == 2


def test_where_mail_went_a_session_is_kept_only_for_a_while(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "IDLE_LIMIT_S", 0.05)
    monkeypatch.setattr(warming, "WARM_AFTER_USE_S", 0.5)
    with SMTPServer() as server:
        deliverer.keep_warm([])
        send(server.configuration())
        time.sleep(0.3)
        assert server.open_connections
        server.wait_until(lambda: "C: QUIT" in server.transcripts[0])
        time.sleep(0.2)
    assert server.connections == 1


def test_only_so_many_servers_are_kept_warm_the_last_used_first(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "IDLE_LIMIT_S", 0.2)
    monkeypatch.setattr(warming, "WARM_ROUTES_LIMIT", 1)
    with SMTPServer() as first, SMTPServer() as second:
        deliverer.keep_warm([])
        send(first.configuration())
        send(second.configuration())
        first.wait_until(lambda: "C: QUIT" in first.transcripts[0])
        assert second.open_connections


@pytest.mark.parametrize("fault", [Drop(), "421 4.3.2 closing", "554 5.7.1 go away"])
def test_a_server_that_is_down_is_left_alone_longer_and_longer(
    fault: Fault, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.1)
    with SMTPServer(faults={"GREETING": fault}) as server:
        deliverer.keep_warm([server.configuration()])
        time.sleep(1.0)
        # At 0, 0.1, 0.3 and 0.7 s.
        assert 2 <= server.connections <= 4


def test_a_server_that_ends_idle_sessions_is_left_alone_longer_and_longer(
    deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(warming, "NOOP_AFTER_S", 0.0)
    with SMTPServer(faults={"NOOP": Drop()}) as server:
        deliverer.keep_warm([server.configuration()])
        time.sleep(1.0)
        assert 2 <= server.connections <= 4


def test_an_open_circuit_keeps_the_warmer_out(deliverer: Deliverer, send: Send) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        for _ in range(5):
            send(server.configuration())
        deliverer.keep_warm([server.configuration()])
        time.sleep(0.3)
    assert server.connections == 5


def test_failed_openings_open_the_circuit_so_that_no_caller_pays_for_them(
    deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.01)
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        configuration = server.configuration()
        deliverer.keep_warm([configuration])
        server.wait_until(lambda: not is_usable(deliverer, configuration))
    assert server.connections == 5


def test_a_refused_sign_in_is_not_repeated_before_a_message_got_through(
    deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.0)
    refused: dict[str, Fault] = {"AUTH": "535 5.7.8 wrong credentials"}
    with SMTPServer(credentials=("user", "secret"), scripts=[refused]) as server:
        deliverer.keep_warm([server.configuration()])
        time.sleep(0.3)
        assert server.connections == 1
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
        server.drop_connections()
        server.wait_until(is_signed_in(server, 2))


@pytest.mark.parametrize("step", ["GREETING", "NOOP"])
def test_closing_waits_for_no_server(step: str, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "NOOP_AFTER_S", 0.0)
    with SMTPServer(faults={step: Hang()}) as server:
        deliverer.keep_warm([server.configuration()])
        server.wait_until(lambda: server.connections == 1)
        time.sleep(0.1)
        began = time.monotonic()
        deliverer.close()
        assert time.monotonic() - began < 2.5
        server.is_over.set()
        time.sleep(0.2)
    assert server.connections == 1


def test_a_session_too_many_is_still_swept(deliverer: Deliverer, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_LIMIT_S", 0.3)
    with SMTPServer(CHUNKING) as server:
        configuration = server.configuration()
        deliverer.keep_warm([configuration])
        server.wait_until(lambda: server.connections == 1)
        route = deliverer._pools.route(configuration, configuration.account)
        two = [route.pool.acquire(time.monotonic() + 5) for _ in range(2)]
        for session in two:
            route.pool.release(session)
        server.wait_until(lambda: len(server.open_connections) == 1)
        time.sleep(0.4)
        assert len(server.open_connections) == 1
    assert pool.IDLE_LIMIT_S == 30.0
