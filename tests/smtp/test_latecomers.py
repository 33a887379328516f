"""Whoever chose a configuration before it was given up is served, and leaves nothing open behind."""

import time
from collections.abc import Callable, Iterator

import pytest

from app.model.outcome import Outcome
from app.smtp import pools, warming
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send
from tests.smtp_server import SMTPServer


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "TICK_S", 0.02)
    monkeypatch.setattr(warming, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(pools, "SWEEP_S", 0.02)


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("is_known", [True, False], ids=["used before", "never used"])
def test_a_latecomer_is_served_and_nothing_stays_open_or_is_kept_warm(
    deliverer: Deliverer, send: Send, server: SMTPServer, is_known: bool
) -> None:
    deliverer.keep_warm([])
    if is_known:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    deliverer.forget([server.configuration()])
    for _ in range(2):
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    server.wait_until(lambda: not server.open_connections)
    time.sleep(0.2)
    assert not server.open_connections
    assert server.connections == 2 + is_known


def test_latecomers_keep_to_the_number_of_sessions(deliverer: Deliverer, server: SMTPServer) -> None:
    configuration = server.configuration(max_connections=1)
    deliverer.forget([configuration])
    routes = [deliverer._pools.route(configuration, configuration.account) for _ in range(2)]
    assert routes[0] is routes[1]


def test_one_that_is_used_again_keeps_its_sessions_after_a_while(
    deliverer: Deliverer, send: Send, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LATECOMERS_S", 0.1)
    configuration = server.configuration()
    send(configuration)
    deliverer.forget([configuration])
    send(configuration)
    wait_until(lambda: not deliverer._pools._forgotten)
    for _ in range(2):
        assert send(configuration).outcome is Outcome.ACCEPTED
    assert server.connections == 3
    assert len(server.open_connections) == 1


def test_what_was_forgotten_is_not_remembered_for_ever(
    deliverer: Deliverer, send: Send, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LATECOMERS_S", 0.0)
    send(server.configuration())
    deliverer.forget([server.configuration(index) for index in range(100)])
    wait_until(lambda: not deliverer._pools._forgotten and not deliverer._pools.routes())
