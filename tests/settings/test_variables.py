"""Each variable of the table: what it takes, and what it says about what it does not take."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.settings import PROJECT_ROOT, VARIABLES, Settings, load_settings
from tests.settings.environment import KEY, NO_FILE, load, problems


def test_nothing_set_gives_the_documented_defaults() -> None:
    expected = Settings(secret_keys=(KEY,), reception_email="inbox@letterbox.localhost")

    assert replace(load(), log_format="json") == expected


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HOST", "0.0.0.0", lambda s: s.host == "0.0.0.0"),
        ("HOST", "::1", lambda s: s.host == "::1"),
        ("HOST", "mail-host.example", lambda s: s.host == "mail-host.example"),
        ("PORT", " 8080 ", lambda s: s.port == 8080),
        ("PUBLIC_URL", "https://mail.example.com", lambda s: s.public_url == "https://mail.example.com"),
        ("PUBLIC_URL", "HTTPS://Mail.Example.com:443/Box/", lambda s: s.public_url == "https://mail.example.com/Box"),
        ("PUBLIC_URL", "http://bücher.example:80/", lambda s: s.public_url == "http://xn--bcher-kva.example"),
        ("PUBLIC_URL", "http://[2001:DB8::1]:8080/a/b", lambda s: s.public_url == "http://[2001:db8::1]:8080/a/b"),
        ("ENVIRONMENT", "staging 2", lambda s: s.environment == "staging 2"),
        ("SECRET_KEY", f"{'a' * 32}, {'b' * 40}", lambda s: s.secret_keys == ("a" * 32, "b" * 40)),
        ("LOG_FORMAT", "Console", lambda s: s.log_format == "console"),
        ("LOG_LEVEL", "DEBUG", lambda s: s.log_level == "debug"),
        ("VAR_DIR", "/srv/var", lambda s: s.database_url == "sqlite:////srv/var/letterbox.db"),
        ("VAR_DIR", "elsewhere", lambda s: s.var_dir == PROJECT_ROOT / "elsewhere"),
        ("VAR_DIR", "~/var", lambda s: s.var_dir == Path.home() / "var"),
        ("DATABASE_URL", "sqlite:///a.db", lambda s: s.database_url == f"sqlite:///{PROJECT_ROOT / 'a.db'}"),
        ("DATABASE_URL", "sqlite:////tmp/a.db", lambda s: s.database_url == "sqlite:////tmp/a.db"),
        ("DATABASE_URL", "postgresql+psycopg://u:p@h/d", lambda s: s.database_url == "postgresql+psycopg://u:p@h/d"),
        ("RATE_LIMIT_STORAGE_URI", "redis://:p@h:6379/1", lambda s: s.guards.storage_uri == "redis://:p@h:6379/1"),
        ("RATE_LIMIT", "5 per 10 seconds", lambda s: s.guards.rate_limit == "5 per 10 seconds"),
        ("RATE_LIMIT_ENABLED", "Off", lambda s: s.guards.rate_limit_enabled is False),
        ("COOLDOWN_ENABLED", "0", lambda s: s.guards.cooldown_enabled is False),
        ("MONTHLY_TEST_EMAIL", "YES", lambda s: s.monthly_test_email is True),
        ("REQUEST_DEADLINE_SECONDS", "2.5", lambda s: s.request_deadline_s == 2.5),
        (
            "TRUSTED_PROXIES",
            "127.0.0.1, 10.0.0.0/8,fd00::/8,",
            lambda s: s.guards.trusted_proxies == tuple(map(ip_network, ("127.0.0.1", "10.0.0.0/8", "fd00::/8"))),
        ),
        ("MAX_ATTACHMENTS", "0", lambda s: s.limits.attachments == 0),
        ("ATTACHMENT_DENIED_EXTENSIONS", ".EXE, iso", lambda s: s.limits.denied_extensions == {"exe", "iso"}),
        ("ATTACHMENT_DENIED_EXTENSIONS", "none", lambda s: s.limits.denied_extensions == frozenset()),
        ("SMTP_CATCHALL_EMAIL", "root@localhost", lambda s: s.catchall_email == "root@localhost"),
        ("SMTP_CATCHALL_EMAIL", "It@CORP.local", lambda s: s.catchall_email == "It@corp.local"),
        ("SMTP_RECEPTION_EMAIL", "Jürgen@Example.COM", lambda s: s.reception_email == "Jürgen@example.com"),
        ("BURST_LIMIT", "", lambda s: s.guards.burst_limit == 20),
    ],
)
def test_a_variable_reaches_its_setting(name: str, text: str, value: Callable[[Settings], bool]) -> None:
    assert value(load(**{name: text}))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("HOST", "http://example.com", "a host name or an IP address"),
        ("HOST", "example.com:80", "a host name or an IP address"),
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "٨٠", "a whole number from 1 to 65535"),
        ("PORT", "9" * 5000, "a whole number from 1 to 65535"),
        ("PUBLIC_URL", "mail.example.com", "an URL such as https://mail.example.com"),
        ("PUBLIC_URL", "ftp://mail.example.com", "an URL such as"),
        ("PUBLIC_URL", "https://mail.example.com?x=1", "without a query"),
        ("PUBLIC_URL", "https://mail.example.com/#top", "without a query"),
        ("PUBLIC_URL", "https://me:canary@mail.example.com", "without a query or a password"),
        ("PUBLIC_URL", "https://mail.example.com:0", "its host is none"),
        ("PUBLIC_URL", "https://*.example.com", "its host is none"),
        ("PUBLIC_URL", "https://mail.example.com//a", "its path has letters"),
        ("PUBLIC_URL", "https://mail.example.com/a/../b", "its path has letters"),
        ("PUBLIC_URL", "https://mail.example.com/$(x)", "its path has letters"),
        ("ENVIRONMENT", "a/b", "a name of at most 64"),
        ("SECRET_KEY", "short", "at least 32 characters"),
        ("SECRET_KEY", f"{KEY},short", "at least 32 characters"),
        ("SECRET_KEY", ",", "at least 32 characters"),
        ("LOG_FORMAT", "xml", "one of console, json"),
        ("LOG_LEVEL", "warn", "Write warning."),
        ("VAR_DIR", "a\tb", "a path without control characters"),
        ("VAR_DIR", "~nobody-of-that-name/var", "home directory of that user"),
        ("DATABASE_URL", "nonsense", "postgresql+psycopg://"),
        ("DATABASE_URL", "postgres://h/d", "Begin it with postgresql+psycopg://."),
        ("DATABASE_URL", "mysql://h/d", "postgresql+psycopg://"),
        ("DATABASE_URL", "postgresql+psycopg://h:99999/d", "postgresql+psycopg://"),
        ("DATABASE_URL", "sqlite://", "the path of a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "the path of a file"),
        ("RATE_LIMIT_STORAGE_URI", "memcached://h", "memory:// or redis://"),
        ("RATE_LIMIT_STORAGE_URI", "redis://", "memory:// or redis://"),
        ("RATE_LIMIT_STORAGE_URI", "redis://h:99999", "memory:// or redis://"),
        ("RATE_LIMIT", "ten a minute", "10 per minute"),
        ("RATE_LIMIT", "0 per minute", "10 per minute"),
        ("RATE_LIMIT", "1 per minute; 0 per hour", "limits such as"),
        ("RATE_LIMIT_ENABLED", "maybe", "true or false"),
        ("REQUEST_DEADLINE_SECONDS", "inf", "a number of seconds from 1 to 600"),
        ("TRUSTED_PROXIES", "10.1.2.3/8", "IP addresses and networks"),
        ("TRUSTED_PROXIES", "proxy.example", "IP addresses and networks"),
        ("MAX_ATTACHMENTS", "-1", "a whole number"),
        ("ATTACHMENT_DENIED_EXTENSIONS", "exe;js", "separated by commas"),
        ("SMTP_RECEPTION_EMAIL", "Info <info@example.com>", "an e-mail address"),
        ("SMTP_CATCHALL_EMAIL", "nobody", "an e-mail address"),
        ("SMTP_CATCHALL_EMAIL", "a b@localhost", "an e-mail address"),
        ("SMTP_CATCHALL_EMAIL", "a@-.local", "an e-mail address"),
        ("CORS_1_ORIGIN", "*", "an origin"),
        ("BURST_LIMIT", "\udcff", "UTF-8"),
        ("BURST_LIMIT", "2\0", "UTF-8"),
    ],
)
def test_a_bad_value_names_its_variable_and_what_is_expected(name: str, text: str, expected: str) -> None:
    (problem,) = problems(**{name: text})

    assert problem.startswith(f"{name}: found ")
    assert expected in problem
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("DATABASE_URL", "postgresql+psycopg://localhost/letterbox", "pip install 'letterbox[postgresql]'"),
        ("RATE_LIMIT_STORAGE_URI", "redis://localhost", "pip install 'letterbox[redis]'"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, remedy: str
) -> None:
    monkeypatch.setattr("app.settings.network.find_spec", lambda name: None)

    (problem,) = problems(**{name: text})

    assert remedy in problem


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        PORT="x", LOG_LEVEL="loud", SMTP_CONFIGURATIONS="[{]", CORS_1_ORIGIN="null", ENVIRONMENT="production"
    )

    names = [problem.split(":")[0] for problem in found]
    assert names == ["PORT", "LOG_LEVEL", "SMTP_CONFIGURATIONS", "CORS_1_ORIGIN", "SMTP_RECEPTION_EMAIL"]


def test_every_field_of_the_table_is_a_setting_and_every_default_is_its_default() -> None:
    written = {variable.name: variable.default for variable in VARIABLES if variable.default}

    assert replace(load(**written), log_format="json") == replace(load(), log_format="json")


def test_production_demands_servers_and_a_key() -> None:
    with pytest.raises(Exception, match="ENVIRONMENT is production") as caught:
        load_settings(NO_FILE | {"ENVIRONMENT": "Production"})

    assert [problem.split(":")[0] for problem in str(caught.value).splitlines()] == [
        "SMTP_CONFIGURATIONS",
        "SECRET_KEY",
    ]


@pytest.mark.parametrize(("is_terminal", "expected"), [(True, "console"), (False, "json")])
def test_log_format_follows_the_terminal(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, expected: str) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)

    assert load().log_format == expected
