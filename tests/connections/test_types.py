"""The table of the types, and what is shown of a connection: defaults, order, and no secret where none belongs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connections.types import TYPES, masked, public_fields
from tests.connections.conftest import email_body, properties
from tests.connections.drafting import DATABASE, KAFKA, draft


def test_the_fifteen_types_are_there() -> None:
    types = "email kafka elasticsearch database ldap ftp rabbitMq activeMq snmp linux-script ops-genie graylog syslog"
    assert " ".join(TYPES) == f"{types} webhook logback"


@pytest.mark.parametrize("type", TYPES)
def test_the_example_of_a_type_is_valid_and_is_shown_as_it_was_given(type: str) -> None:
    example = dict(TYPES[type].example)
    shown = public_fields(draft(example))
    assert {name: shown[name] for name in example} == example
    if TYPES[type].fields:
        assert {field.name for field in TYPES[type].fields} <= set(example)


def test_the_defaults_are_those_of_the_documentation_in_its_order() -> None:
    body = {"type": "email", "name": "a", "host": "smtp.example.com", "from": "a@example.com"}
    shown = public_fields(draft(body))
    assert json.dumps(shown) == json.dumps(
        {
            "type": "email",
            "name": "a",
            "description": None,
            "deployToWorker": True,
            "enabled": True,
            "host": "smtp.example.com",
            "port": 587,
            "username": None,
            "password": None,
            "enableStartTls": False,
            "auth": False,
            "defaultEncoding": "UTF-8",
            "addressToTest": None,
            "from": "a@example.com",
            "additionalProperties": [],
        }
    )


def test_what_is_shown_can_be_sent_back() -> None:
    first = draft(email_body(additionalProperties=properties(mail__smtp__timeout=5000)))
    again = draft(public_fields(first), path_name=first.name, existing_type="email")
    assert public_fields(again) == public_fields(first)


@pytest.mark.parametrize("body", [DATABASE, KAFKA])
def test_the_bodies_of_the_documentation_come_out_as_they_went_in(body: dict[str, Any]) -> None:
    assert json.dumps(public_fields(draft(body))) == json.dumps(body)


def test_other_types_keep_every_further_field_as_it_is_given() -> None:
    further = {"nested": {"list": [1, None, {"a": True}], "text": "line\nline"}, "nothing": None, "Port": "x"}
    for body in ({"type": "webhook", "name": "x"}, DATABASE, KAFKA):
        shown = public_fields(draft(body | further))
        assert {name: shown[name] for name in further} == further


@pytest.mark.parametrize("name", ["password", "trustStorePassword", "PASSPHRASE", "api_key", "apiKey", "x-api-key"])
def test_a_field_whose_name_says_secret_is_null_when_masked(name: str) -> None:
    assert masked({name: "s3cret", "other": 1}) == {name: None, "other": 1}


@given(
    st.recursive(
        st.just("s3cret-value"),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.fixed_dictionaries({}, optional={"config": inner, "accessToken": inner, "value": inner}),
        ),
    )
)
def test_no_secret_shows_at_any_depth(document: object) -> None:
    shown = json.dumps(
        masked({"list": [{"clientSecret": document}], "a": {"name": "sasl.password", "value": document}})
    )
    assert "s3cret-value" not in shown


def test_masking_takes_nothing_else() -> None:
    document = {"name": "tokenless", "host": "h", "list": [{"name": "timeout", "value": "1"}, 5], "value": None}
    assert masked(document) == document | {"value": None}
    assert masked([document | {"name": "plain"}]) == [document | {"name": "plain"}]


def test_the_masked_email_connection_hides_the_password_and_secret_properties() -> None:
    body = email_body(additionalProperties=[{"name": "mail.smtp.sasl.password", "value": "app-password"}])
    shown = masked(public_fields(draft(body)))
    assert shown["password"] is None
    assert shown["additionalProperties"] == [{"name": "mail.smtp.sasl.password", "value": None}]
    assert shown["username"] == "notifications@example.com"
    assert "app-password" not in json.dumps(shown)


def test_a_connection_shows_no_fields_in_its_repr() -> None:
    assert "app-password" not in repr(draft(email_body()))
