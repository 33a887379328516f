"""The fields of a form's ready code, whatever its owner calls them."""

from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms import names
from app.intake.snippet_code import entities
from app.intake.snippet_fields import code_fields
from app.model.form import Form

FORM = Form(key="default", name="Contact", recipients=("office@example.com",))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("first_name", "First name"),
        ("first-name", "First name"),
        ("E-Mail", "E-Mail"),
        ("topics[]", "Topics"),
        ("Wünsche", "Wünsche"),
        ("_", "_"),
    ],
)
def test_a_label_is_the_name_as_people_write_it(name: str, label: str) -> None:
    [field] = [each for each in code_fields(replace(FORM, required_fields=(name,))) if each.name == name]
    assert field.label == label


def test_required_fields_in_a_container_are_what_their_last_part_says() -> None:
    fields = code_fields(replace(FORM, required_fields=("form[email]", "form[message]", "form[city]")))
    assert [(field.name, field.type) for field in fields] == [
        ("name", "text"),
        ("form[email]", "email"),
        ("form[city]", "text"),
        ("form[message]", "textarea"),
    ]


@given(st.text(min_size=1, max_size=50))
def test_any_text_stands_in_html_as_itself_and_means_nothing_in_jsx(text: str) -> None:
    written = str(entities(text))
    assert not set(written) & set("<>\"'{}")
    assert unescape(written) == unescape(text.replace("&", "&amp;"))


@given(st.lists(st.text(min_size=1, max_size=60), max_size=50))
def test_every_required_field_is_in_the_code_once_and_required(required: list[str]) -> None:
    fields = code_fields(replace(FORM, required_fields=tuple(required)))
    in_code = [names.plain_name(field.name) for field in fields if field.is_required]
    assert sorted(in_code) == sorted({names.plain_name(name) for name in required})
    assert all(field.label for field in fields)
    assert {"name", "email", "message"} <= {*in_code, *(field.name for field in fields if not field.is_required)} | {
        role
        for role, called in (
            ("name", (*names.FULL_NAME, *names.GIVEN_NAME, *names.FAMILY_NAME)),
            ("email", (*names.EMAIL, *names.REPLY_TO)),
            ("message", names.MESSAGE),
        )
        if set(called) & {names.last_name(field.name)[0] for field in fields if field.is_required}
    }
