"""Who waits for an SMTP configuration is counted from the door on, once, and only until the answer is known."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emails.turnstile import SPARE_THREADS, Turn, Turnstile
from app.errors import Overloaded

LIMIT = 3


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile(LIMIT)


def room(turnstile: Turnstile, smtp_id: int) -> int:
    """How many more may wait for this configuration."""
    taken: list[Turn] = []
    while True:
        try:
            taken.append(turnstile.admit(smtp_id))
        except Overloaded:
            break
    for turn in taken:
        turnstile.end(turn)
    return len(taken)


def test_a_turn_is_counted_from_the_door_to_its_end(turnstile: Turnstile) -> None:
    turn = turnstile.admit(1)
    assert room(turnstile, 1) == LIMIT - 1
    with turnstile.passing(1, turn):
        assert room(turnstile, 1) == LIMIT - 1
    assert room(turnstile, 1) == LIMIT
    turnstile.end(turn)
    assert room(turnstile, 1) == LIMIT


def test_without_a_turn_the_wait_is_counted(turnstile: Turnstile) -> None:
    with turnstile.passing(1):
        assert room(turnstile, 1) == LIMIT - 1
    assert room(turnstile, 1) == LIMIT


def test_a_turn_is_counted_for_the_configuration_that_it_came_to(turnstile: Turnstile) -> None:
    with turnstile.passing(2, turnstile.admit(1)):
        assert (room(turnstile, 1), room(turnstile, 2)) == (LIMIT, LIMIT - 1)
    assert room(turnstile, 2) == LIMIT


def test_whoever_finds_the_other_line_full_is_refused_and_counted_nowhere(turnstile: Turnstile) -> None:
    with ExitStack() as waiting:
        for _ in range(LIMIT):
            waiting.enter_context(turnstile.passing(2))
        turn = turnstile.admit(1)
        with pytest.raises(Overloaded), turnstile.passing(2, turn):
            pytest.fail("there was no room")
        turnstile.end(turn)
        assert room(turnstile, 1) == LIMIT
    assert room(turnstile, 2) == LIMIT


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_whatever_is_named_there_is_a_bound_and_nothing_is_kept(smtp_ids: list[int]) -> None:
    turnstile = Turnstile(LIMIT)
    turns: list[Turn] = []
    for smtp_id in smtp_ids:
        try:
            turns.append(turnstile.admit(smtp_id))
        except Overloaded:
            continue
    assert len(turns) <= LIMIT + SPARE_THREADS // 2
    for turn in turns:
        turnstile.end(turn)
    assert not turnstile._inside
