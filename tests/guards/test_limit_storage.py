"""The bounded storage counts as the limits library's own does, and stays small, fast and right under threads."""

import importlib
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from app.guards.limit_storage import BoundedMemoryStorage

memory: Any = importlib.import_module("limits.storage.memory")

KEYS = st.sampled_from(["A/1", "A/2", "B/1"])
AMOUNTS = st.integers(1, 3)
FIXED_S, MOVING_S, MOVING_LIMIT = 10, 7, 4


class Seconds:
    """A clock in seconds since 1970, as the limits library uses them."""

    def __init__(self) -> None:
        self.now = 1_767_787_200.0

    def __call__(self) -> float:
        return self.now


class _NeverTimer:
    """MemoryStorage's timers only drop what has expired, which its answers must not depend on."""

    def __init__(self, *_: object) -> None: ...

    def start(self) -> None: ...

    def is_alive(self) -> bool:
        return True


class SameAnswersAsTheLibrary(RuleBasedStateMachine):
    """Any calls at any moments: both storages say the same."""

    @initialize()
    def build(self) -> None:
        self.seconds = Seconds()
        self._time, self._threading = memory.time, memory.threading
        memory.time = SimpleNamespace(time=self.seconds)
        memory.threading = SimpleNamespace(RLock=threading.RLock, Timer=_NeverTimer)
        self.theirs = MemoryStorage()
        self.ours = BoundedMemoryStorage(now=self.seconds)

    def teardown(self) -> None:
        memory.time, memory.threading = self._time, self._threading

    @rule(quarters=st.integers(1, 60))
    def time_passes(self, quarters: int) -> None:
        self.seconds.now += quarters / 4

    @rule(key=KEYS, amount=AMOUNTS)
    def count_in_a_fixed_window(self, key: str, amount: int) -> None:
        assert self.ours.incr(key, FIXED_S, amount) == self.theirs.incr(key, FIXED_S, amount)

    @rule(key=KEYS, amount=st.integers(1, MOVING_LIMIT + 1))
    def count_in_a_moving_window(self, key: str, amount: int) -> None:
        ours = self.ours.acquire_entry(key, MOVING_LIMIT, MOVING_S, amount)
        assert ours == self.theirs.acquire_entry(key, MOVING_LIMIT, MOVING_S, amount)

    @rule(key=KEYS)
    def clear(self, key: str) -> None:
        self.ours.clear(key)
        self.theirs.clear(key)

    @invariant()
    def the_figures_are_the_same(self) -> None:
        for key in ("A/1", "A/2", "B/1"):
            assert self.ours.get(key) == self.theirs.get(key)
            assert self.ours.get_expiry(key) == self.theirs.get_expiry(key)
            # A request exactly as old as the window still counts for their acquire_entry, and not for their figures.
            self.seconds.now -= 0.001
            ours = self.ours.get_moving_window(key, MOVING_LIMIT, MOVING_S)
            theirs = self.theirs.get_moving_window(key, MOVING_LIMIT, MOVING_S)
            self.seconds.now += 0.001
            assert ours[1] == theirs[1]
            assert not ours[1] or ours[0] == theirs[0]


SameAnswersAsTheLibrary.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_it_answers_as_the_librarys_own_memory_storage = SameAnswersAsTheLibrary.TestCase


def test_the_library_finds_it_by_its_scheme() -> None:
    assert isinstance(storage_from_string("bounded-memory://"), BoundedMemoryStorage)


def test_the_librarys_strategies_run_on_it() -> None:
    seconds = Seconds()
    storage = BoundedMemoryStorage(now=seconds)
    fixed, moving = FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)
    per_minute, per_second = RateLimitItemPerMinute(2), RateLimitItemPerSecond(2, 5)

    assert [fixed.hit(per_minute, "a") for _ in range(3)] == [True, True, False]
    assert [moving.hit(per_second, "a") for _ in range(3)] == [True, True, False]
    assert fixed.get_window_stats(per_minute, "a") == (seconds.now + 60, 0)
    assert moving.get_window_stats(per_second, "a") == (seconds.now + 5, 0)
    assert storage.check()
    assert storage.reset() == 2
    assert storage.get(per_minute.key_for("a")) == 0


def test_the_key_touched_longest_ago_goes_first() -> None:
    storage = BoundedMemoryStorage(capacity=2)
    storage.incr("A/old", 60)
    storage.incr("A/older", 60)
    storage.incr("A/old", 60)
    storage.incr("A/new", 60)

    assert [storage.get(f"A/{key}") for key in ("older", "old", "new")] == [0, 2, 1]


def test_a_flood_of_one_kind_of_key_leaves_the_others_alone() -> None:
    storage = BoundedMemoryStorage(capacity=100)
    storage.incr("BLOCK/attacker", 3600)
    for number in range(1_000):
        storage.incr(f"LIMITER/{number}", 60)
        storage.acquire_entry(f"BURST/{number}", 19, 5)

    assert storage.get("BLOCK/attacker") == 1
    assert storage.reset() == 1 + 100 + 100


def test_expired_keys_make_room_before_the_capacity_is_reached() -> None:
    seconds = Seconds()
    storage = BoundedMemoryStorage(capacity=1_000, now=seconds)
    for number in range(500):
        storage.incr(f"A/{number}", 60)
        storage.acquire_entry(f"B/{number}", 19, 5)
    seconds.now += 61
    for number in range(500, 900):
        storage.incr(f"A/{number}", 60)
        storage.acquire_entry(f"B/{number}", 19, 5)

    assert storage.reset() == 400 + 400


@pytest.fixture
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_a_million_addresses_take_no_more_memory_than_the_capacity(traced_memory: None) -> None:
    """Scaled down to a hundredth of the capacity and of a million, because tracing makes it slow."""
    storage = BoundedMemoryStorage(capacity=500)
    for number in range(10_000):
        client = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
        storage.incr(f"LIMITER/{client}/10/1/minute", 60)
        storage.acquire_entry(f"BURST/{client}/19/5/second", 19, 5)
        storage.acquire_entry(f"EXCESS/{client}/100/600/second", 100, 600)

    assert tracemalloc.get_traced_memory()[0] < 750_000


def test_new_addresses_cost_the_same_however_many_came_before() -> None:
    storage = BoundedMemoryStorage(capacity=20_000)

    def cost_of_10_000(first: int) -> float:
        start = time.process_time()
        for number in range(first, first + 10_000):
            storage.incr(f"LIMITER/{number}", 60)
        return time.process_time() - start

    costs = [cost_of_10_000(first) for first in range(0, 100_000, 10_000)]

    assert min(costs[-3:]) < 5 * max(costs[:2])


def test_no_hit_is_lost_among_threads() -> None:
    storage = BoundedMemoryStorage()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as threads:
            counts = list(threads.map(lambda _: storage.incr("A/1", 60), range(4_000)))
            taken = list(threads.map(lambda _: storage.acquire_entry("B/1", 100, 600), range(4_000)))
    finally:
        sys.setswitchinterval(usual)

    assert sorted(counts) == list(range(1, 4_001))
    assert taken.count(True) == 100


def test_it_starts_no_threads() -> None:
    before = threading.active_count()
    storage = BoundedMemoryStorage()
    storage.incr("A/1", 60)
    storage.acquire_entry("A/1", 10, 60)

    assert threading.active_count() == before
