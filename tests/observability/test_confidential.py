"""What is taken out of every event."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.outcome import Outcome
from app.observability.confidential import shorten_address, shorten_addresses, without_secrets

CANARY = "canary-3f9a1c"


@pytest.mark.parametrize(
    ("address", "short"),
    [
        ("anna@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ('"a@b"@example.com', '"***@example.com'),
        ("@example.com", "***@example.com"),
        ("anna", "a***"),
        ("", "***"),
    ],
)
def test_an_address_is_shortened(address: str, short: str) -> None:
    assert shorten_address(address) == short


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("from <anna@example.com> to bob@example.org.", "from <a***@example.com> to b***@example.org."),
        ("to=anna+tag@bücher.example", "to=a***@bücher.example"),
        ("postgresql://me:pass@word@host/db", "postgresql://***@host/db"),
        ("redis://:password@host:6379", "redis://***@host:6379"),
        ("meet @ noon", "meet @ noon"),
        ("no address", "no address"),
    ],
)
def test_every_address_in_a_text_is_shortened(text: str, short: str) -> None:
    assert shorten_addresses(text) == short


def test_a_long_text_of_address_characters_takes_no_time() -> None:
    began = time.perf_counter()

    shorten_addresses("a" * 100_000 + " @ " + "a" * 100_000)

    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "key",
    [
        *("password", "SMTP_1_PASSWORD_TEST", "passwd", "Authorization", "authorisation", "proxyAuthorization"),
        *("token", "accessToken", "secret", "SECRET_KEY", "api_key", "X-Api-Key", "apiKey", "Set-Cookie", "privateKey"),
        *("body", "html", "message", "Message", "base64Content", "custom_fields", "EmailTemplate"),
    ],
)
def test_a_key_that_says_secret_or_body_hides_its_value_at_any_depth(key: str) -> None:
    event = {key: CANARY, "request": {"headers": [{key: {"nested": CANARY}}]}}

    assert CANARY not in repr(without_secrets(event))


def test_a_key_about_a_secret_keeps_its_value() -> None:
    event: dict[str, object] = {"token_id": 7, "secret_count": 2, "template": "Modern", "email_id": "A3F2B1C9"}

    assert without_secrets(event) == event


def test_plain_values_are_kept_and_everything_else_is_shown_by_its_kind() -> None:
    @dataclass
    class Request:
        message: str = CANARY

    event: dict[str, object] = {
        "when": datetime(2026, 1, 7, tzinfo=UTC),
        "where": Path("/srv"),
        "outcome": Outcome.ACCEPTED,
        "error": ValueError("from anna@example.com"),
        "request": Request(),
        "raw_bytes": CANARY.encode(),
        "ids": (1, 2.5, None, True),
    }

    assert without_secrets(event) == {
        "when": "2026-01-07 00:00:00+00:00",
        "where": "/srv",
        "outcome": "accepted",
        "error": "ValueError: from a***@example.com",
        "request": "<Request>",
        "raw_bytes": "<bytes>",
        "ids": [1, 2.5, None, True],
    }


def test_an_endless_value_ends() -> None:
    circle: list[object] = []
    circle.append(circle)

    assert len(repr(without_secrets({"circle": circle, "long": "x" * 10_000}))) < 2500


@given(local=st.text(st.characters(categories=["L", "N"]), min_size=2, max_size=20), around=st.text(" <>,;:()\n\"'"))
def test_no_whole_address_survives(local: str, around: str) -> None:
    assert f"{local}@" not in shorten_addresses(f"{around}{local}@example.com{around}")
