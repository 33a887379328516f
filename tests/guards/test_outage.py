"""The limits' storage goes and comes back: requests stay limited, nobody waits, nobody sees an error."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.guards import outage
from app.guards.admission import Verdict
from app.guards.gate import Gate
from app.observability.metrics import Metrics
from tests.guards.conftest import MakeGate, RedisServer

ADMITTED, THROTTLED, BLOCKED = Verdict.ADMITTED, Verdict.THROTTLED, Verdict.BLOCKED
CLIENT = "203.0.113.7"


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PAUSE_S", 0.05)


@pytest.fixture
def stoppable_redis(redis_server: RedisServer, redis_uri: str) -> Iterator[RedisServer]:
    yield redis_server
    redis_server.stop()
    redis_server.start()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def errors_metered(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("letterbox_limit_storage_errors_total") or 0.0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen within 5 seconds"
        time.sleep(0.01)


def is_on_redis(gate: Gate, metrics: Metrics) -> bool:
    before = errors_metered(metrics)
    gate.admit("203.0.113.250")
    return errors_metered(metrics) == before


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "app.guards.outage"]


def test_without_redis_this_process_limits_alone(
    make_gate: MakeGate, stoppable_redis: RedisServer, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    gate = make_gate(storage_uri=stoppable_redis.uri)
    gate.admit(CLIENT)
    stoppable_redis.stop()

    verdicts = [gate.admit(CLIENT).verdict for _ in range(25)]

    assert verdicts == [ADMITTED] * 10 + [THROTTLED] * 9 + [BLOCKED] * 6
    assert errors_metered(metrics) == 20, "what followed the block was not counted anywhere"
    assert len(alarms(caplog)) == 1
    assert "is gone" in alarms(caplog)[0]


def test_it_starts_without_redis(make_gate: MakeGate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gate = make_gate(storage_uri=f"redis://127.0.0.1:{port}/0")

    assert [gate.admit(CLIENT).verdict for _ in range(11)] == [ADMITTED] * 10 + [THROTTLED]


def test_it_goes_back_to_redis_and_takes_its_blocks_along(
    make_gate: MakeGate,
    stoppable_redis: RedisServer,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    gate, other = make_gate(storage_uri=stoppable_redis.uri), make_gate(storage_uri=stoppable_redis.uri)
    stoppable_redis.stop()
    for _ in range(20):
        gate.admit(CLIENT)

    stoppable_redis.start()
    wait_until(lambda: is_on_redis(gate, metrics))

    assert [message for message in alarms(caplog) if "is back" in message] == ["The limits' storage is back"]
    assert gate.admit(CLIENT).verdict is BLOCKED
    assert other.admit(CLIENT).verdict is BLOCKED
    assert 3590 < other.admit(CLIENT).wait_s <= 3600


def test_a_block_lifted_during_the_outage_is_lifted_in_redis_afterwards(
    make_gate: MakeGate, stoppable_redis: RedisServer, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time to set the block before it is back for the gate, too.
    monkeypatch.setattr(outage, "PAUSE_S", 1.0)
    gate = make_gate(storage_uri=stoppable_redis.uri)
    stoppable_redis.stop()
    for _ in range(20):
        gate.admit(CLIENT)
    gate.close()

    operator = make_gate(storage_uri=stoppable_redis.uri)
    assert operator.lift(CLIENT)
    stoppable_redis.start()
    stoppable_redis.client.set(f"letterbox:BLOCK/{CLIENT}", 1, ex=3600)
    wait_until(lambda: is_on_redis(operator, metrics))

    assert operator.admit(CLIENT).verdict is ADMITTED


def test_a_redis_that_hangs_costs_each_waiting_request_a_moment_and_the_next_ones_nothing(
    make_gate: MakeGate, silent_port: int
) -> None:
    gate = make_gate(storage_uri=f"redis://127.0.0.1:{silent_port}/0", burst_limit=1000, excess_limit=1000)
    start = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        verdicts = Counter(threads.map(lambda _: gate.admit(CLIENT).verdict, range(160)))
    first_ones_s = time.monotonic() - start
    start = time.monotonic()
    for _ in range(50):
        gate.admit(CLIENT)
    next_ones_s = time.monotonic() - start

    assert verdicts == {ADMITTED: 10, THROTTLED: 150}
    assert first_ones_s < 2, "each of them waiting would take 2.5 s"
    assert next_ones_s < 1, "each of them waiting would take 12.5 s"


def test_a_redis_that_refuses_writes_is_as_good_as_gone(
    make_gate: MakeGate, stoppable_redis: RedisServer, caplog: pytest.LogCaptureFixture, metrics: Metrics
) -> None:
    gate = make_gate(storage_uri=stoppable_redis.uri)
    stoppable_redis.client.config_set("maxmemory", 1)

    assert [gate.admit(CLIENT).verdict for _ in range(11)] == [ADMITTED] * 10 + [THROTTLED]
    time.sleep(0.2)
    assert len(alarms(caplog)) == 1, "PING works all the time, which must not look like a recovery"
    stoppable_redis.client.config_set("maxmemory", 0)
    wait_until(lambda: is_on_redis(gate, metrics))
