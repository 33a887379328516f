"""Form tokens: which are ours, which form they are good for, and how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsInvalid
from app.forms import tokens
from app.model.form import CheckFailure
from tests.forms.checking import KEYS, desk, form, refused

CHARACTERS = st.characters(max_codepoint=0x2FFF)


def test_a_token_says_when_the_form_was_loaded() -> None:
    ours = desk()
    loaded_at = ours.now
    token = tokens.issue(ours.office, form())
    ours.pass_time(hours=1)
    known = tokens.read(ours.office, form(), token)
    assert known.issued_at == loaded_at
    assert known.expires_at == loaded_at + tokens.LIFETIME
    assert len(known.digest) == 64


def test_every_token_is_another_one() -> None:
    ours = desk()
    issued = [tokens.issue(ours.office, form()) for _ in range(20)]
    assert len({tokens.read(ours.office, form(), token).digest for token in issued}) == 20


def test_another_forms_token_is_worth_nothing() -> None:
    ours = desk()
    token = tokens.issue(ours.office, form(key="anotherformofours2"))
    with refused(CheckFailure.TOKEN_INVALID):
        tokens.read(ours.office, form(), token)


def test_another_services_token_is_worth_nothing() -> None:
    token = tokens.issue(desk(KEYS[1]).office, form())
    with refused(CheckFailure.TOKEN_INVALID):
        tokens.read(desk(KEYS[0]).office, form(), token)


def test_while_keys_are_changed_the_old_ones_tokens_are_good() -> None:
    token = tokens.issue(desk(KEYS[0]).office, form())
    assert tokens.read(desk(KEYS[1], KEYS[0]).office, form(), token)
    newer = tokens.issue(desk(KEYS[1], KEYS[0]).office, form())
    assert tokens.read(desk(KEYS[1]).office, form(), newer)


def test_it_lasts_a_day() -> None:
    ours = desk()
    token = tokens.issue(ours.office, form())
    ours.pass_time(hours=24, milliseconds=-1)
    tokens.read(ours.office, form(), token)
    ours.pass_time(milliseconds=1)
    with refused(CheckFailure.TOKEN_EXPIRED):
        tokens.read(ours.office, form(), token)


def test_a_clock_that_is_a_little_ahead_is_forgiven_and_one_from_the_future_is_not() -> None:
    ours = desk()
    token = tokens.issue(ours.office, form())
    ours.pass_time(minutes=-1)
    tokens.read(ours.office, form(), token)
    ours.pass_time(milliseconds=-1)
    with refused(CheckFailure.TOKEN_INVALID):
        tokens.read(ours.office, form(), token)


def test_who_is_faster_than_a_human_is_too_fast() -> None:
    ours = desk()
    token = tokens.issue(ours.office, form(min_age_s=3))
    ours.pass_time(seconds=3, milliseconds=-1)
    with refused(CheckFailure.TOO_FAST):
        tokens.judge(ours.office, form(min_age_s=3), token)
    ours.pass_time(milliseconds=1)
    assert tokens.judge(ours.office, form(min_age_s=3), token)


def test_a_form_that_needs_a_token_refuses_to_go_without() -> None:
    with refused(CheckFailure.TOKEN_MISSING):
        tokens.judge(desk().office, form(needs_token=True), "")
    assert tokens.judge(desk().office, form(), "") is None


def test_a_token_is_judged_also_where_none_is_needed() -> None:
    with refused(CheckFailure.TOKEN_INVALID):
        tokens.judge(desk().office, form(), "made up")


def test_without_a_secret_key_no_token_is_issued() -> None:
    ours = desk()
    ours.settings = type(ours.settings)()
    with pytest.raises(SettingsInvalid):
        tokens.issue(ours.office, form())


@given(position=st.integers(0, 200), character=CHARACTERS)
def test_a_token_with_one_other_character_is_not_ours(position: int, character: str) -> None:
    ours = desk()
    token = tokens.issue(ours.office, form())
    position %= len(token)
    altered = token[:position] + character + token[position + 1 :]
    if altered != token:
        with refused(CheckFailure.TOKEN_INVALID):
            tokens.read(ours.office, form(), altered)


@given(st.one_of(st.text(CHARACTERS), st.from_regex(r"[0-9]{1,16}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{43}")))
def test_whatever_else_is_sent_is_not_ours(text: str) -> None:
    with refused(CheckFailure.TOKEN_INVALID):
        tokens.read(desk().office, form(), text)
