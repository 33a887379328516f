"""Placeholders are filled in one pass, and nothing else in a client's template means anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.placeholders import html_values, substitute, substituted_size, text_values

from .composing import request
from .hostile import texts

ADA = text_values(request(username="Ada", custom_fields={"key": "value", "two words": "2", "Email": "never"}))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{Email} {Username} {Message}", "ada@example.com Ada Hello!"),
        ("{key}{key} {two words}", "valuevalue 2"),
        ("{unknown} {} { } {", "{unknown} {} { } {"),
        ("{email} {KEY} { Email }", "{email} {KEY} { Email }"),
        ("{7*7} {Email.__class__} {Email!r} {Email:>9} {0}", "{7*7} {Email.__class__} {Email!r} {Email:>9} {0}"),
        ("{{config}} {{7*7}} {%raw%} %(Email)s ${Email", "{{config}} {{7*7}} {%raw%} %(Email)s ${Email"),
        ("{{Email}}", "{ada@example.com}"),
        ("{a{Email}b}", "{aada@example.comb}"),
        ("\\1 \\g<0> {key}", "\\1 \\g<0> value"),
    ],
)
def test_a_placeholder_is_filled_or_stays_as_typed(template: str, expected: str) -> None:
    assert substitute(template, ADA) == expected


@pytest.mark.parametrize("value", ["{Email}", "{Message}", "\\g<0>", "\\1", "%s", "{0}", "{{Email}}"])
def test_a_value_is_not_expanded_again(value: str) -> None:
    assert substitute("<{Username}>", text_values(request(username=value))) == f"<{value}>"


def test_halves_of_a_placeholder_in_values_do_not_come_together() -> None:
    values = text_values(request(custom_fields={"a": "{Ema", "b": "il}"}))
    assert substitute("{a}{b}", values) == "{Email}"


def test_a_missing_username_is_an_empty_string() -> None:
    assert substitute("[{Username}]", text_values(request())) == "[]"


def test_built_in_names_win_over_custom_fields() -> None:
    values = text_values(request(username="Ada", custom_fields=dict.fromkeys(("Email", "Username", "Message"), "x")))
    assert substitute("{Email} {Username} {Message}", values) == "ada@example.com Ada Hello!"


def test_html_values_are_escaped_and_then_the_message_gets_its_line_breaks() -> None:
    values = html_values(request(username="<b>\"'&", message="<br>\r\na\rb\nc", custom_fields={"k": "x\ny"}))
    assert values["Username"] == "&lt;b&gt;&quot;&#x27;&amp;"
    assert values["Message"] == "&lt;br&gt;<br>a<br>b<br>c"
    assert values["k"] == "x\ny"


@given(template=texts, username=texts, message=texts, is_html=st.booleans())
def test_the_size_is_counted_without_building(template: str, username: str, message: str, is_html: bool) -> None:
    given_request = request(username=username, message=message, custom_fields={"key": username})
    values = html_values(given_request) if is_html else text_values(given_request)
    built = substitute(template, values)
    assert substituted_size(template, values) == len(built.encode("utf-8", "surrogatepass"))


def test_the_size_of_a_huge_body_is_known_at_once() -> None:
    values = text_values(request(message="ä" * 200_000))
    assert substituted_size("{Message}" * 20_000, values) == 20_000 * 400_000
