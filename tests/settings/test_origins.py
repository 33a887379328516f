"""CORS_{INDEX}_ORIGIN: numbered from 1, and kept in the form in which browsers send origins."""

import pytest

from tests.settings.environment import load, problems


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://WWW.Example.com:443/", "https://www.example.com"),
        ("http://example.com:080", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080"),
        ("http://192.0.2.1:3000", "http://192.0.2.1:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(written: str, sent: str) -> None:
    assert load(CORS_1_ORIGIN=written).cors_origins == (sent,)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "*",
        "www.example.com",
        "https://*.example.com",
        "https://",
        "https://example.com/form",
        "https://example.com?x",
        "https://example.com#x",
        "https://example.com:0",
        "https://example.com:65536",
        "https://exa mple.com",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://xn--a.example, https://b.example",
        "https://\u2024",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    (problem,) = problems(CORS_1_ORIGIN=text)

    assert problem.startswith("CORS_1_ORIGIN: found ")


def test_an_origin_with_a_path_is_told_without_it() -> None:
    (problem,) = problems(CORS_1_ORIGIN="https://example.com:8443/contact")

    assert problem.endswith("Write https://example.com:8443.")


def test_a_password_in_an_origin_is_not_shown() -> None:
    (problem,) = problems(CORS_1_ORIGIN="https://me:canary@example.com")

    assert "canary" not in problem


def test_origins_count_from_one_until_one_is_missing() -> None:
    settings = load(
        CORS_1_ORIGIN="https://a.example",
        CORS_2_ORIGIN="https://b.example",
        CORS_3_ORIGIN="https://A.example",
        CORS_5_ORIGIN="https://e.example",
    )

    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.warnings == (
        "CORS_5_ORIGIN is set but not used: the numbers count from 1 upward until one is missing.",
    )
