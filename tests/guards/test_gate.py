"""Throttle, burst, excess and blocks on each storage, on a clock that stands still where the storage allows it."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import SettingsInvalid
from app.guards.admission import Verdict
from app.guards.gate import Gate, build_gate
from app.guards.rules import Rules
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from app.storage.database import Database
from tests.guards.conftest import MakeGate, StandingClock

ADMITTED, THROTTLED, BLOCKED = Verdict.ADMITTED, Verdict.THROTTLED, Verdict.BLOCKED
CLIENT = "203.0.113.7"


def verdicts(gate: Gate, requests: int, client: str = CLIENT) -> list[Verdict]:
    return [gate.admit(client).verdict for _ in range(requests)]


def test_ten_requests_a_minute_are_admitted_and_the_eleventh_is_throttled(
    make_gate: MakeGate, storage_uri: str
) -> None:
    gate = make_gate(storage_uri=storage_uri)

    assert verdicts(gate, 11) == [ADMITTED] * 10 + [THROTTLED]
    assert verdicts(gate, 1, "203.0.113.8") == [ADMITTED]


def test_every_answer_tells_the_exact_figures(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, rate_limit="3 per minute")
    admissions = [gate.admit(CLIENT) for _ in range(5)]

    assert {admission.rate_limit_policy for admission in admissions} == {'"default";q=3;w=60'}
    assert [admission.rate_limit for admission in admissions] == [f'"default";r={r};t=60' for r in (2, 1, 0, 0, 0)]
    assert [admission.wait_s for admission in admissions] == [0, 0, 0, 60, 60]


def test_the_window_starts_at_the_first_request_and_refused_ones_do_not_move_it(
    make_gate: MakeGate, clock: StandingClock
) -> None:
    gate = make_gate(rate_limit="2 per minute")
    clock.advance(47)
    gate.admit(CLIENT)
    clock.advance(18.5)
    gate.admit(CLIENT)
    clock.advance(41.4)

    assert gate.admit(CLIENT).rate_limit == '"default";r=0;t=1'
    clock.advance(0.1)
    assert gate.admit(CLIENT).rate_limit == '"default";r=1;t=60'


def test_a_window_of_redis_ends_by_itself(make_gate: MakeGate, redis_uri: str) -> None:
    gate = make_gate(storage_uri=redis_uri, rate_limit="1 per second")

    assert verdicts(gate, 2) == [ADMITTED, THROTTLED]
    time.sleep(1.01)
    assert verdicts(gate, 1) == [ADMITTED]


def test_several_limits_hold_together(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, rate_limit="2 per second; 3 per hour")
    gate.admit(CLIENT)

    admission = gate.admit(CLIENT)
    assert admission.rate_limit_policy == '"2-per-1-s";q=2;w=1, "3-per-3600-s";q=3;w=3600'
    assert admission.rate_limit == '"2-per-1-s";r=0;t=1, "3-per-3600-s";r=1;t=3600'
    assert gate.admit(CLIENT).verdict is THROTTLED
    assert gate.admit(CLIENT).wait_s == 3600


def test_the_twentieth_request_within_five_seconds_is_already_blocked(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri)

    assert verdicts(gate, 21) == [ADMITTED] * 10 + [THROTTLED] * 9 + [BLOCKED] * 2
    assert gate.admit(CLIENT).rate_limit == '"default";r=0;t=3600'
    assert gate.admit(CLIENT).wait_s == 3600
    assert verdicts(gate, 1, "203.0.113.8") == [ADMITTED]


def test_the_burst_window_moves(make_gate: MakeGate, clock: StandingClock, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri)
    verdicts(gate, 1)
    clock.advance(4.9)
    verdicts(gate, 18)
    clock.advance(0.2)

    assert verdicts(gate, 1) == [THROTTLED], "the first request is 5.1 seconds ago"
    assert verdicts(gate, 1) == [BLOCKED], "this is the twentieth within 0.2 seconds"


def test_a_request_exactly_five_seconds_later_is_within_them(
    make_gate: MakeGate, clock: StandingClock, storage_uri: str
) -> None:
    gate = make_gate(storage_uri=storage_uri)
    verdicts(gate, 19)
    clock.advance(5)

    assert verdicts(gate, 1) == [BLOCKED]


def test_the_hundred_and_first_request_within_ten_minutes_is_blocked_for_six_hours(
    make_gate: MakeGate, clock: StandingClock, storage_uri: str
) -> None:
    gate = make_gate(storage_uri=storage_uri)
    seen = []
    for _ in range(100):
        seen += verdicts(gate, 1)
        clock.advance(5.9)

    assert BLOCKED not in seen
    assert gate.admit(CLIENT).rate_limit == '"default";r=0;t=21600'


def test_the_excess_window_moves(make_gate: MakeGate, clock: StandingClock) -> None:
    gate = make_gate()
    for _ in range(400):
        assert gate.admit(CLIENT).verdict is not BLOCKED
        clock.advance(6.001)


def test_breaking_both_rules_at_once_blocks_for_the_longer_time(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, burst_limit=3, excess_limit=2)

    assert verdicts(gate, 3) == [ADMITTED, ADMITTED, BLOCKED]
    assert gate.admit(CLIENT).wait_s == 21600
    gate.close()
    assert [block.reason for block in gate.list_blocks()] == ["excess"]


def test_further_requests_do_not_lengthen_a_block(make_gate: MakeGate, clock: StandingClock) -> None:
    gate = make_gate()
    verdicts(gate, 20)
    clock.advance(1800)
    verdicts(gate, 200)
    clock.advance(1799.5)

    assert gate.admit(CLIENT).rate_limit == '"default";r=0;t=1'
    clock.advance(0.5)
    assert gate.admit(CLIENT).rate_limit == '"default";r=9;t=60'


def test_a_block_in_redis_holds_in_every_process_and_ends_by_itself(make_gate: MakeGate, redis_uri: str) -> None:
    settings = {"storage_uri": redis_uri, "burst_limit": 3, "burst_window_s": 1, "burst_block_s": 1}
    here, there = make_gate(**settings), make_gate(**settings)

    assert verdicts(here, 3) == [ADMITTED, ADMITTED, BLOCKED]
    assert there.admit(CLIENT).verdict is BLOCKED
    assert there.admit(CLIENT).wait_s == 1
    time.sleep(1.01)
    later = make_gate(**settings)
    assert later.admit(CLIENT).verdict is not BLOCKED


def test_processes_that_share_redis_share_one_budget(make_gate: MakeGate, redis_uri: str) -> None:
    here, there = make_gate(storage_uri=redis_uri), make_gate(storage_uri=redis_uri)

    seen = Counter(gate.admit(CLIENT).verdict for _ in range(10) for gate in (here, there))
    assert seen == {ADMITTED: 10, THROTTLED: 9, BLOCKED: 1}


def test_of_many_simultaneous_requests_exactly_the_limit_is_admitted(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, burst_limit=150, excess_limit=1000)
    with ThreadPoolExecutor(16) as threads:
        admissions = list(threads.map(lambda _: gate.admit(CLIENT), range(400)))

    assert Counter(admission.verdict for admission in admissions) == {ADMITTED: 10, THROTTLED: 139, BLOCKED: 251}
    remaining = sorted(admission.figures[0][0] for admission in admissions if admission.verdict is ADMITTED)
    assert remaining == list(range(10)), "no two requests are told the same remainder"
    gate.close()
    assert len(gate.list_blocks()) == 1


def test_a_block_survives_a_flood_of_other_addresses(make_gate: MakeGate) -> None:
    gate = make_gate()
    verdicts(gate, 20)
    for number in range(60_000):
        gate.admit(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64")

    assert gate.admit(CLIENT).verdict is BLOCKED


def test_turned_off_it_admits_everything_without_figures(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, rate_limit_enabled=False)

    assert verdicts(gate, 200) == [ADMITTED] * 200
    assert gate.admit(CLIENT).rate_limit == gate.admit(CLIENT).rate_limit_policy == ""


def test_refusals_are_metered(make_gate: MakeGate, metrics: Metrics) -> None:
    verdicts(make_gate(), 22)
    exposition = metrics.exposition().decode()

    assert 'letterbox_refusals_total{guard="throttle"} 9.0' in exposition
    assert 'letterbox_refusals_total{guard="block"} 3.0' in exposition


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses=st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0, 1.1]), min_size=1, max_size=40))
def test_redis_and_memory_decide_alike(
    make_gate: MakeGate, clock: StandingClock, redis_uri: str, pauses: list[float]
) -> None:
    """Moving windows only: Redis ends fixed windows and blocks on its own clock, which does not stand still."""
    numbers = {"rate_limit": "1000 per hour", "burst_limit": 5, "burst_window_s": 1, "excess_limit": 20}
    client = f"client-{id(pauses)}-{clock.now.timestamp()}"
    on_redis, in_memory = make_gate(storage_uri=redis_uri, **numbers), make_gate(**numbers)
    for pause in pauses:
        clock.advance(pause)
        assert on_redis.admit(client).verdict == in_memory.admit(client).verdict


@pytest.mark.parametrize(
    "uri",
    ["memcached://127.0.0.1:11211", "nonsense://:secret@host", "redis://:secret@host:port", "async+memory://", ""],
)
def test_an_unusable_storage_stops_the_start_without_telling_a_password(uri: str, database: Database) -> None:
    with pytest.raises(SettingsInvalid, match="RATE_LIMIT_STORAGE_URI") as invalid:
        build_gate(GuardSettings(storage_uri=uri), database=database, metrics=Metrics())
    assert "secret" not in str(invalid.value)


@pytest.mark.parametrize("text", ["ten per minute", "10 per fortnight", ""])
def test_an_unreadable_limit_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="RATE_LIMIT"):
        Rules.of(GuardSettings(rate_limit=text))
