"""A wall clock that is set while the service runs: nobody is kept out for it, nobody is freed."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.guards.admission import Verdict
from app.guards.gate import Gate, build_gate
from app.model.clock import monotonic_s, utc_now
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from app.storage.database import Database
from tests.guards.conftest import MakeGate, RedisServer, StandingClock

ADMITTED, THROTTLED, BLOCKED = Verdict.ADMITTED, Verdict.THROTTLED, Verdict.BLOCKED
CLIENT = "203.0.113.7"
A_DAY = timedelta(days=1)
EITHER_WAY = pytest.mark.parametrize("change", [-A_DAY, A_DAY], ids=["back", "forward"])


@EITHER_WAY
def test_a_window_ends_when_its_time_has_passed(make_gate: MakeGate, clock: StandingClock, change: timedelta) -> None:
    gate = make_gate(rate_limit="2 per minute", page_rate_limit="2 per minute", token_rate_limit="2 per minute")
    for _ in range(3):
        gate.admit(CLIENT)
        gate.admit_page(CLIENT)
        gate.admit_token(1)
    clock.now += change
    clock.advance(10)
    for admission in (gate.admit(CLIENT), gate.admit_page(CLIENT), gate.admit_token(1)):
        assert (admission.verdict, admission.wait_s) == (THROTTLED, 50)
        assert admission.rate_limit.endswith(";r=0;t=50")
    clock.advance(50)
    for admission in (gate.admit(CLIENT), gate.admit_page(CLIENT), gate.admit_token(1)):
        assert (admission.verdict, admission.figures) == (ADMITTED, ((1, 60.0),))


@EITHER_WAY
def test_a_block_ends_when_its_time_has_passed(make_gate: MakeGate, clock: StandingClock, change: timedelta) -> None:
    gate = make_gate()
    for _ in range(20):
        gate.admit(CLIENT)
    clock.now += change
    clock.advance(3599)
    assert (gate.admit(CLIENT).verdict, gate.admit(CLIENT).wait_s) == (BLOCKED, 1)
    clock.advance(1)
    assert gate.admit(CLIENT).verdict is ADMITTED


def test_a_block_that_is_read_from_the_database_stands_no_longer_than_it_was_set_for(
    make_gate: MakeGate, clock: StandingClock
) -> None:
    before = make_gate()
    for _ in range(20):
        before.admit(CLIENT)
    before.close()
    clock.now -= A_DAY
    restarted = make_gate()
    restarted.remember_blocks()
    assert (restarted.admit(CLIENT).verdict, restarted.admit(CLIENT).wait_s) == (BLOCKED, 3600)
    clock.advance(3600)
    assert restarted.admit(CLIENT).verdict is ADMITTED


def test_a_block_is_lifted_after_the_clock_was_set_back(make_gate: MakeGate, clock: StandingClock) -> None:
    service, command_line = make_gate(), make_gate()
    for client in (CLIENT, "203.0.113.8"):
        for _ in range(20):
            service.admit(client)
    service.close()
    # The service has seen a lift of this moment.
    assert command_line.lift(CLIENT)
    clock.advance(1)
    reopened = make_gate()
    reopened.remember_blocks()
    clock.advance(1)
    reopened.admit("203.0.113.8")
    clock.now -= A_DAY
    assert command_line.lift("203.0.113.8")
    clock.advance(1)
    assert reopened.admit("203.0.113.8").verdict is ADMITTED


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    assert monotonic_s() == pytest.approx(time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)))


# On Redis, whose own clock counts.


@pytest.fixture
def skewed(database: Database, redis_uri: str) -> Iterator[list[Gate]]:
    """Two processes on one Redis, as they are in production; the clock of one machine is a day behind."""
    settings = GuardSettings(storage_uri=redis_uri, burst_limit=4, burst_window_s=60)
    gates = [
        build_gate(settings, database=database, metrics=Metrics(), clock=clock)
        for clock in (utc_now, lambda: utc_now() - A_DAY)
    ]
    yield gates
    for gate in gates:
        gate.close()


def test_machines_whose_clocks_differ_count_together(skewed: list[Gate]) -> None:
    ahead, behind = skewed
    verdicts = [gate.admit(CLIENT).verdict for gate in (ahead, behind, ahead, behind)]
    assert verdicts == [ADMITTED, ADMITTED, ADMITTED, BLOCKED]
    for gate in skewed:
        assert 3590 < gate.admit(CLIENT).wait_s <= 3600


def test_what_was_counted_before_the_clock_of_redis_was_set_back_ends_in_time(
    skewed: list[Gate], redis_server: RedisServer
) -> None:
    gate, _ = skewed
    redis = redis_server.client
    for client in (CLIENT, "203.0.113.8"):
        for _ in range(3):
            gate.admit(client)
            gate.admit_page(client)
    # As Redis sees it afterwards: everything lies a day ahead.
    for key in redis.keys("*/203.0.113.*"):
        redis.pexpire(key, 86_400_000)
        if redis.type(key) == b"list":
            newest = [float(moment) + 86_400 for moment in redis.lrange(key, 0, -1)]
            redis.delete(key)
            redis.rpush(key, *newest)
    redis.set("letterbox:BLOCK/203.0.113.8", 1, ex=90_000)

    admission = gate.admit(CLIENT)
    assert (admission.verdict, admission.rate_limit) == (ADMITTED, '"default";r=9;t=60')
    assert gate.admit_page(CLIENT).rate_limit == '"page-default";r=59;t=60'
    assert gate.admit("203.0.113.8").wait_s == 21_600, "no block is longer"
