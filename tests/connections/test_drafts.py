"""Bodies of every type: what is accepted as it is, and what is refused by name."""

import json
from typing import Any

import pytest

from app.connections.drafts import LARGEST
from app.connections.types import public_fields
from tests.connections.conftest import email_body
from tests.connections.drafting import DATABASE, KAFKA, PUBLIC, draft, faults


def test_null_counts_as_not_given() -> None:
    body = email_body() | dict.fromkeys(("port", "enabled", "deployToWorker", "defaultEncoding", "addressToTest"))
    assert public_fields(draft(body)) == public_fields(draft(email_body()))


def test_an_empty_text_counts_as_none_where_a_field_is_optional() -> None:
    body = email_body(addressToTest="", **{"from": ""}, defaultEncoding="")
    assert public_fields(draft(body)) == public_fields(draft(email_body()))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("type", None, "The type field is required."),
        ("type", "", "The type field is required."),
        ("type", "Email", "The type field must be one of email, kafka,"),
        ("type", 5, "The type field must be a string."),
        ("name", 5, "The name field must be a string."),
        ("name", "my/email", "A name must not have slashes or control characters."),
        ("description", ["x"], "The description field must be a string."),
        ("description", "a\x00b", "The description field must not have control characters."),
        ("deployToWorker", "true", "The deployToWorker field must be true or false."),
        ("enabled", 1, "The enabled field must be true or false."),
        ("host", None, "The host field is required."),
        ("host", "", "The host field is required."),
        ("host", 5, "The host field must be a string."),
        ("host", "https://smtp.example.com", "The host field must be a host name or an IP address"),
        ("host", "smtp.example.com:587", "The host field must be a host name or an IP address"),
        ("host", "[::1]", "The host field must be a host name or an IP address"),
        ("host", "smtp.example.com\r\n", "The host field must not have control characters."),
        ("host", "2130706433", "The host field must be a host name or an IP address"),
        ("host", "127.1", "The host field must be a host name or an IP address"),
        ("host", "0x7f000001", "The host field must be a host name or an IP address"),
        ("port", "587", "The port field must be an integer from 1 to 65535."),
        ("port", True, "The port field must be an integer from 1 to 65535."),
        ("port", 587.0, "The port field must be an integer from 1 to 65535."),
        ("port", 0, "The port field must be an integer from 1 to 65535."),
        ("port", 65536, "The port field must be an integer from 1 to 65535."),
        ("port", 22, "The port field must be one of 25, 465, 587, 2525 on this service."),
        ("enableStartTls", "true", "The enableStartTls field must be true or false."),
        ("enableStartTls", 1, "The enableStartTls field must be true or false."),
        ("auth", "yes", "The auth field must be true or false."),
        ("username", None, "The username field is required when auth is true."),
        ("username", "", "The username field is required when auth is true."),
        ("username", "me\r\nMAIL FROM:<a@b>", "The username field must not have control characters."),
        ("password", None, "The password field is required when auth is true."),
        ("password", "  ", "The password field is required when auth is true."),
        ("password", 12345, "The password field must be a string."),
        ("password", "a\x00b", "The password field must not have control characters."),
        ("defaultEncoding", "utf-16", "The defaultEncoding field must be a charset"),
        ("defaultEncoding", 8, "The defaultEncoding field must be a string."),
        ("addressToTest", "nobody", "The addressToTest field must be an e-mail address"),
        ("addressToTest", "Anna <anna@example.com>", "The addressToTest field must be an e-mail address"),
        ("addressToTest", "=?utf-8?q?a?=@example.com", "The addressToTest field must be an e-mail address"),
        ("from", "a@b@example.com", "The from field must be an e-mail address"),
        ("from", "[email protected]", "The from field must be an e-mail address"),
        ("additionalProperties", {}, "The additionalProperties field must be an array."),
        ("additionalProperties", "x", "The additionalProperties field must be an array."),
    ],
)
def test_a_wrong_field_is_named_and_nothing_else_is(field: str, value: object, sentence: str) -> None:
    body = email_body(**{"from": "noreply@example.com"}) | {field: value}
    errors = faults(body)
    assert list(errors) == [field]
    assert len(errors[field]) == 1
    assert errors[field][0].startswith(sentence)


def test_every_wrong_field_is_named_at_once() -> None:
    body = email_body(
        port="587", enableStartTls="no", password=None, addressToTest="x", enabled="yes", defaultEncoding="rot13"
    )
    assert set(faults(body)) == {"port", "enableStartTls", "password", "addressToTest", "enabled", "defaultEncoding"}


def test_a_missing_type_does_not_hide_what_is_wrong_with_the_common_fields() -> None:
    assert set(faults({"enabled": 1})) == {"type", "name", "enabled"}


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("enableStartTLS", "enableStartTls"), ("enableStarttls", "enableStartTls"), ("user", None), ("Host", "host")],
)
def test_an_unknown_field_of_an_email_connection_is_refused_with_what_was_meant(typo: str, meant: str | None) -> None:
    sentence = faults(email_body(**{typo: True}))[typo][0]
    assert sentence.startswith(f"The {typo} field is not known for a connection of type email.")
    assert sentence.endswith(f" Did you mean {meant}?") == (meant is not None)


def test_thousands_of_unknown_fields_are_refused_quickly_and_shortly() -> None:
    errors = faults(email_body(**{f"enableStartTls{number}": 1 for number in range(2500)}))
    assert 50 <= len(errors) <= 100


def test_the_name_of_an_unknown_field_is_shown_harmlessly() -> None:
    (name,) = faults(email_body(**{"\x1b[2Jx" * 100: 1}))
    assert name.isprintable()
    assert len(name) < 500


def test_the_name_on_create_is_that_of_the_path_without_case_and_keeps_its_case() -> None:
    assert draft(email_body(name="Straße"), path_name="STRASSE").name == "Straße"
    assert faults(email_body(name="other"), path_name="my-email-connection") == {
        "name": ["The name field must be the name in the path."]
    }
    for missing in (None, ""):
        assert faults(email_body() | {"name": missing}, path_name="x") == {"name": ["The name field is required."]}


@pytest.mark.parametrize("name", [None, "", "stored"])
def test_an_update_without_another_name_keeps_the_stored_one(name: str | None) -> None:
    assert draft(email_body() | {"name": name}, path_name="stored", existing_type="email").name == "stored"


def test_an_update_with_another_name_renames() -> None:
    assert draft(email_body(name="new"), path_name="stored", existing_type="email").name == "new"
    assert "slashes" in faults(email_body(name="a/b"), path_name="stored", existing_type="email")["name"][0]


def test_an_update_cannot_change_the_type() -> None:
    assert faults(KAFKA, path_name="x", existing_type="email") == {
        "type": ["The type field must be email: the type of a connection cannot be changed."]
    }


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [(DATABASE, "port", "5432"), (DATABASE, "port", 0), (DATABASE, "host", 5), (KAFKA, "bootstrapServers", ["a:1"])],
)
def test_declared_fields_of_other_types_are_checked(body: dict[str, Any], field: str, value: object) -> None:
    assert list(faults(body | {field: value})) == [field]


def test_the_ports_of_other_types_are_theirs() -> None:
    assert draft(DATABASE | {"port": 22}, limits=PUBLIC)


def test_a_body_of_more_than_64_kb_is_refused() -> None:
    room = LARGEST - len(json.dumps({"type": "webhook", "name": "x", "script": ""}, separators=(",", ":")))
    assert draft({"type": "webhook", "name": "x", "script": "x" * room})
    assert faults({"type": "webhook", "name": "x", "script": "x" * (room + 1)}) == {
        "body": ["A connection has at most 64 KB of JSON."]
    }


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "\ud800"])
def test_what_could_not_be_shown_again_is_refused(value: object) -> None:
    assert list(faults({"type": "webhook", "name": "x", "deep": [value]})) == ["body"]


def test_no_error_repeats_a_value() -> None:
    secret = "s3cret-value"
    wrong = email_body(
        **dict.fromkeys(("host", "addressToTest", "from", "defaultEncoding", "port", "auth", "enabled"), secret),
        password=[secret],
        username=secret + "\0",
        additionalProperties=[{"name": "mail.smtp.timeout", "value": secret}, {"name": "x", "value": [secret]}, secret],
    )
    assert secret not in str(faults(wrong | {"host": secret + ":1"}))
