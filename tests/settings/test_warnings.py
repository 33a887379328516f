"""What is allowed and seldom meant."""

import pytest

from tests.settings.environment import ENTRY, load, smtp


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("SMTP_RECEPTION_MAIL", "Did you mean SMTP_RECEPTION_EMAIL?"),
        ("RATE_LIMT", "Did you mean RATE_LIMIT?"),
        ("RATE_LIMIT_STORAGE_URL", "Did you mean RATE_LIMIT_STORAGE_URI?"),
        ("SMTP_3_PASWORD", "Did you mean SMTP_3_PASSWORD?"),
        ("SMTP_3_PASSWORD", "SMTP_CONFIGURATIONS has no such Index."),
        ("SMTP_HOST", "there is no such variable."),
        ("database_url", "the name is written DATABASE_URL."),
    ],
)
def test_a_variable_that_looks_like_ours_is_warned_of(name: str, warning: str) -> None:
    (found,) = load(**{name: "canary"}).warnings

    assert found.startswith(f"{name} is set but not used")
    assert found.endswith(warning)
    assert "canary" not in found


@pytest.mark.parametrize("name", ["HOSTNAME", "PATH", "LC_ALL", "USER", "PYTHONPATH", "HOSTS", "PORTS"])
def test_other_programs_variables_are_left_alone(name: str) -> None:
    assert load(**{name: "x"}).warnings == ()


def test_several_processes_that_count_in_their_own_memory_are_warned_of() -> None:
    assert any("WEB_PROCESSES" in warning for warning in load(WEB_PROCESSES="2").warnings)
    assert load(WEB_PROCESSES="2", RATE_LIMIT_STORAGE_URI="redis://localhost").warnings == ()


def test_a_proxy_that_is_everybody_is_warned_of() -> None:
    assert "TRUSTED_PROXIES" in load(TRUSTED_PROXIES="0.0.0.0/0").warnings[0]


def test_production_without_a_public_url_says_what_to_set() -> None:
    production = smtp(ENTRY, ENVIRONMENT="production")

    assert any("PUBLIC_URL=https://mail.example.com" in warning for warning in load(**production).warnings)
    assert load(**production, PUBLIC_URL="https://mail.example.com").warnings == ()
    assert load(**smtp(ENTRY)).warnings == ()


def test_an_environment_that_may_mean_production_is_warned_of() -> None:
    assert "Did you mean production?" in load(ENVIRONMENT="prod").warnings[0]


def test_a_password_that_is_not_used_is_warned_of() -> None:
    no_auth = load(**smtp({**ENTRY, "Auth": "none"}))
    no_test_email = load(**smtp(ENTRY, SMTP_1_PASSWORD_TEST="canary"))

    assert no_auth.warnings[0].startswith("SMTP_1_PASSWORD is not used")
    assert no_test_email.warnings[0].startswith("SMTP_1_PASSWORD_TEST is not used")


@pytest.mark.parametrize("password", ['"canary"', " canary", "canary\n"])
def test_a_password_with_quotes_or_space_around_it_is_kept_and_warned_of(password: str) -> None:
    settings = load(**smtp(ENTRY, SMTP_1_PASSWORD=password))

    assert settings.smtp_configurations[0].account.password == password
    assert "part of the password" in settings.warnings[0]
    assert "canary" not in settings.warnings[0]
