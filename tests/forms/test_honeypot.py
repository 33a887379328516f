"""Whoever fills in what nobody sees is a program."""

import pytest

from app.forms.honeypot import is_caught
from tests.forms.checking import submission


@pytest.mark.parametrize("name", ["_gotcha", "_honey", "_honeypot", "botcheck", "BotCheck"])
def test_a_field_that_no_visitor_sees_catches(name: str) -> None:
    assert is_caught(submission(email="a@example.com", **{name: "x"}))
    assert is_caught(submission(**{name: "on"}))
    assert not is_caught(submission(**{name: " "}))


def test_a_box_that_a_script_says_is_not_ticked_does_not_catch() -> None:
    assert not is_caught(submission(botcheck="false"))
    assert not is_caught(submission(botcheck="False"))
    assert is_caught(submission(_gotcha="false"))


def test_an_honest_form_is_not_caught() -> None:
    assert not is_caught(submission(email="a@example.com", message="honey, _gotcha"))
