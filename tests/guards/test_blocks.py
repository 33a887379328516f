"""Blocks as operators see them: rows in the database, lifted in another process, and a database that is gone."""

import threading
import time
from collections.abc import Callable
from typing import NoReturn
from unittest.mock import Mock

import pytest

from app.errors import RecordUnavailable
from app.guards.admission import Verdict
from app.guards.gate import Gate, build_gate
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from app.storage import blocks
from app.storage.blocks import BlockRow
from app.storage.database import Database
from app.storage.tables import metadata
from tests.guards.conftest import MakeGate, StandingClock

CLIENT = "203.0.113.7"


def block(gate: Gate, client: str = CLIENT) -> None:
    for _ in range(20):
        gate.admit(client)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen within 5 seconds"
        time.sleep(0.01)


def test_a_block_is_listed_with_its_reason_and_its_times(make_gate: MakeGate, clock: StandingClock) -> None:
    gate = make_gate()
    block(gate)
    began = clock.now
    clock.advance(10)
    block(gate, "2001:db8:1:2::/64")
    gate.close()

    newest, oldest = gate.list_blocks()
    assert (newest.client, oldest.client) == ("2001:db8:1:2::/64", CLIENT)
    assert (oldest.reason, oldest.blocked_at) == ("burst", began)
    assert (oldest.blocked_until - began).total_seconds() == 3600
    clock.advance(3590)
    assert [standing.client for standing in gate.list_blocks()] == ["2001:db8:1:2::/64"]


def test_another_process_lifts_a_block_and_this_one_learns_of_it(
    make_gate: MakeGate, clock: StandingClock, storage_uri: str
) -> None:
    service, command_line = make_gate(storage_uri=storage_uri), make_gate(storage_uri=storage_uri)
    block(service)
    wait_until(lambda: len(command_line.list_blocks()) == 1)
    assert service.admit(CLIENT).verdict is Verdict.BLOCKED

    assert command_line.lift(CLIENT)
    assert command_line.list_blocks() == []
    clock.advance(1)

    assert service.admit(CLIENT).rate_limit == '"default";r=9;t=60', "its windows are fresh, too"
    block(service)
    assert service.admit(CLIENT).verdict is Verdict.BLOCKED, "an old lift does not lift a new block"
    wait_until(lambda: len(command_line.list_blocks()) == 1)
    clock.advance(1)
    assert service.admit(CLIENT).verdict is Verdict.BLOCKED


def test_the_database_is_asked_at_most_once_a_second(
    make_gate: MakeGate, clock: StandingClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate()
    block(gate)
    reads = Mock(wraps=database.read)
    monkeypatch.setattr(database, "read", reads)
    for _ in range(40):
        gate.admit(CLIENT)
        clock.advance(0.0999)
    gate.admit("203.0.113.8")

    assert reads.call_count == 4


def test_a_block_is_lifted_under_any_spelling_of_the_address(make_gate: MakeGate) -> None:
    gate = make_gate()
    block(gate, "2001:db8:1:2::/64")
    gate.close()

    assert gate.lift("2001:0db8:1:2:ffff::9")
    assert gate.admit("2001:db8:1:2::/64").verdict is Verdict.ADMITTED
    assert not gate.lift("2001:0db8:1:2:ffff::9")
    with pytest.raises(ValueError, match="is no IP address"):
        gate.lift("nonsense")


def test_a_block_that_ended_is_not_lifted(make_gate: MakeGate, clock: StandingClock) -> None:
    gate = make_gate()
    block(gate)
    gate.close()
    clock.advance(3600)

    assert not gate.lift(CLIENT)


class StuckDatabase(Database):
    """It keeps everybody waiting, and then it fails."""

    def __init__(self) -> None:
        super().__init__("postgresql+psycopg://127.0.0.1:1/none")
        self.gives_up = threading.Event()

    def write(self, work: object, *, outlives_power: bool = False, never_refuses: bool = False) -> NoReturn:
        self.gives_up.wait()
        raise RecordUnavailable("the database did not take the write")


def test_without_a_database_clients_are_blocked_all_the_same_and_nobody_waits(
    clock: StandingClock, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    unreachable = StuckDatabase()
    gate = build_gate(GuardSettings(), database=unreachable, metrics=metrics, clock=clock, now=clock.monotonic)
    start = time.monotonic()
    block(gate)
    assert [gate.admit(CLIENT).verdict for _ in range(20)] == [Verdict.BLOCKED] * 20
    assert time.monotonic() - start < 2, "only one of them waits, and only a quarter of a second"

    unreachable.gives_up.set()
    gate.close()
    assert "could not be written to the database" in caplog.text
    assert metrics.registry.get_sample_value("letterbox_record_errors_total")
    with pytest.raises(RecordUnavailable):
        gate.list_blocks()
    unreachable.close()


def test_rows_that_the_database_did_not_take_are_written_when_it_is_back(
    make_gate: MakeGate, clock: StandingClock, database: Database
) -> None:
    gate = make_gate()
    database.write(metadata.drop_all)
    block(gate)
    gate.admit(CLIENT)
    database.write(metadata.create_all)
    clock.advance(60)
    block(gate, "203.0.113.8")
    gate.close()

    assert {standing.client for standing in gate.list_blocks()} == {CLIENT, "203.0.113.8"}


def test_the_queries_speak_both_dialects(database_url: str) -> None:
    database = Database(database_url)
    database.write(metadata.create_all)
    rows = [
        BlockRow(client="a", reason="burst", blocked_at=1_000, blocked_until=9_000),
        BlockRow(client="b", reason="excess", blocked_at=2_000, blocked_until=9_000),
    ]
    database.write(lambda connection: blocks.add(connection, rows))

    assert database.read(lambda connection: blocks.standing(connection, now_ms=5_000)) == rows[::-1]
    assert database.write(lambda connection: blocks.lift(connection, client="a", now_ms=5_000)) == 1
    (lift,) = database.read(lambda connection: blocks.lifted_since(connection, since_ms=5_000, now_ms=6_000))
    assert (lift.client, lift.lifted_at) == ("a", 5_000)
    database.write(lambda connection: blocks.add(connection, rows[:1]))
    assert database.read(lambda connection: blocks.lifted_since(connection, since_ms=5_000, now_ms=6_000)) == []
    database.close()
