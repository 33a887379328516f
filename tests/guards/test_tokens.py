"""The throttle per access token on each storage: its own budget, exact figures, never a block."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.errors import SettingsInvalid
from app.guards import outage
from app.guards.admission import Verdict
from app.guards.gate import Gate
from app.guards.rules import Rules
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from tests.guards.conftest import MakeGate, RedisServer, StandingClock

ADMITTED, THROTTLED, BLOCKED = Verdict.ADMITTED, Verdict.THROTTLED, Verdict.BLOCKED


def verdicts(gate: Gate, requests: int, token_id: int = 1) -> list[Verdict]:
    return [gate.admit_token(token_id).verdict for _ in range(requests)]


def test_a_token_has_six_hundred_requests_a_minute_and_is_never_blocked(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri)

    assert Counter(verdicts(gate, 750)) == {ADMITTED: 600, THROTTLED: 150}
    assert verdicts(gate, 1, token_id=2) == [ADMITTED]
    gate.close()
    assert gate.list_blocks() == []


def test_every_answer_tells_the_exact_figures_of_the_token(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, token_rate_limit="3 per minute")
    admissions = [gate.admit_token(7) for _ in range(5)]

    assert {admission.rate_limit_policy for admission in admissions} == {'"default";q=3;w=60'}
    assert [admission.rate_limit for admission in admissions] == [f'"default";r={r};t=60' for r in (2, 1, 0, 0, 0)]
    assert [admission.wait_s for admission in admissions] == [0, 0, 0, 60, 60]


def test_several_limits_hold_together(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, token_rate_limit="2 per second; 3 per hour")
    gate.admit_token(1)

    admission = gate.admit_token(1)
    assert admission.rate_limit_policy == '"2-per-1-s";q=2;w=1, "3-per-3600-s";q=3;w=3600'
    assert admission.rate_limit == '"2-per-1-s";r=0;t=1, "3-per-3600-s";r=1;t=3600'
    refused = gate.admit_token(1)
    assert (refused.verdict, refused.wait_s) == (THROTTLED, 3600)


def test_a_token_and_an_address_share_no_budget(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, rate_limit="1 per minute", token_rate_limit="1 per minute")

    for client in ("7", "token/7", "TOKEN/7"):
        assert gate.admit(client).verdict is ADMITTED
    assert verdicts(gate, 2, token_id=7) == [ADMITTED, THROTTLED]


def test_the_window_ends_by_itself(make_gate: MakeGate, clock: StandingClock) -> None:
    gate = make_gate(token_rate_limit="2 per minute")
    assert verdicts(gate, 3) == [ADMITTED, ADMITTED, THROTTLED]
    clock.advance(59.9)
    assert gate.admit_token(1).wait_s == 1
    clock.advance(0.1)
    assert verdicts(gate, 1) == [ADMITTED]


def test_a_window_of_redis_ends_by_itself(make_gate: MakeGate, redis_server: RedisServer, redis_uri: str) -> None:
    gate = make_gate(storage_uri=redis_uri, token_rate_limit="2 per minute")
    gate.admit_token(1)
    gate.admit_token(1)

    (key,) = redis_server.client.keys("*TOKEN*")
    assert 59_000 < int(redis_server.client.pttl(key)) <= 60_000
    redis_server.client.pexpire(key, 1)
    time.sleep(0.01)
    assert verdicts(gate, 3) == [ADMITTED, ADMITTED, THROTTLED]


def test_processes_that_share_redis_share_a_tokens_budget(make_gate: MakeGate, redis_uri: str) -> None:
    numbers = {"storage_uri": redis_uri, "token_rate_limit": "10 per minute"}
    here, there = make_gate(**numbers), make_gate(**numbers)

    assert Counter(gate.admit_token(1).verdict for _ in range(10) for gate in (here, there)) == {
        ADMITTED: 10,
        THROTTLED: 10,
    }


def test_redis_is_asked_once_for_each_request(make_gate: MakeGate, redis_server: RedisServer, redis_uri: str) -> None:
    gate = make_gate(storage_uri=redis_uri, token_rate_limit="100 per minute; 1000 per hour")
    gate.admit_token(1)
    redis_server.client.config_resetstat()
    verdicts(gate, 10)
    statistics = redis_server.client.info("commandstats")

    assert statistics["cmdstat_evalsha"]["calls"] == 10
    assert statistics["cmdstat_incr"]["calls"] == 20, "they are all inside the script"
    assert set(statistics) <= {"cmdstat_evalsha", "cmdstat_incr", "cmdstat_pttl", "cmdstat_config|resetstat"}


def test_of_many_simultaneous_requests_exactly_the_limit_is_admitted(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, token_rate_limit="10 per minute")
    with ThreadPoolExecutor(16) as threads:
        admissions = list(threads.map(lambda _: gate.admit_token(1), range(200)))

    remaining = sorted(admission.figures[0][0] for admission in admissions if admission.verdict is ADMITTED)
    assert remaining == list(range(10)), "no two requests are told the same remainder"


def test_a_flood_of_addresses_does_not_free_a_token(make_gate: MakeGate) -> None:
    gate = make_gate(token_rate_limit="1 per hour")
    verdicts(gate, 1)
    for number in range(60_000):
        gate.admit(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64")

    assert verdicts(gate, 1) == [THROTTLED]


def test_turned_off_it_admits_everything_without_figures(make_gate: MakeGate, storage_uri: str) -> None:
    gate = make_gate(storage_uri=storage_uri, rate_limit_enabled=False, token_rate_limit="1 per hour")

    assert verdicts(gate, 5) == [ADMITTED] * 5
    assert gate.admit_token(1).rate_limit == gate.admit_token(1).rate_limit_policy == ""


def test_without_redis_this_process_limits_tokens_alone(
    make_gate: MakeGate,
    redis_server: RedisServer,
    redis_uri: str,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage, "PAUSE_S", 0.02)
    gate = make_gate(storage_uri=redis_uri, token_rate_limit="3 per minute")
    gate.admit_token(1)
    redis_server.stop()
    try:
        assert verdicts(gate, 5) == [ADMITTED] * 3 + [THROTTLED] * 2
        assert metrics.registry.get_sample_value("letterbox_limit_storage_errors_total") == 5
        assert [record.getMessage() for record in caplog.records if "is gone" in record.getMessage()] != []
    finally:
        redis_server.start()
    deadline = time.monotonic() + 5
    while not redis_server.client.keys("*TOKEN*"):
        assert time.monotonic() < deadline, "it went back to Redis within 5 seconds"
        gate.admit_token(1)
        time.sleep(0.01)


def test_refusals_are_metered_apart(make_gate: MakeGate, metrics: Metrics) -> None:
    verdicts(make_gate(token_rate_limit="1 per minute"), 4)
    exposition = metrics.exposition().decode()

    assert 'letterbox_refusals_total{guard="token"} 3.0' in exposition
    assert 'letterbox_refusals_total{guard="throttle"} 0.0' in exposition


def test_an_unreadable_limit_stops_the_start() -> None:
    with pytest.raises(SettingsInvalid, match=r"^TOKEN_RATE_LIMIT is 'ten per minute'"):
        Rules.of(GuardSettings(token_rate_limit="ten per minute"))
