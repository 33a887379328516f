"""`letterbox secrets rotate`, typed while the service runs."""

import pytest

from app.connections import access
from app.connections.manage import create_connection, get_connection
from app.connections.registry import Registry
from app.model.access import Permission
from tests.cli.conftest import run, running_service

OLD, NEW = "old-" + "o" * 40, "new-" + "n" * 40


def _create(registry: Registry, *names: str) -> None:
    token = access.create_token(registry, project="P", permissions=[Permission.CONNECTIONS_MANAGE])
    for name in names:
        create_connection(
            registry, registry.live.caller(token), name, {"type": "webhook", "name": name, "token": "t0k"}
        )


def _secret(registry: Registry, name: str) -> object:
    token = access.create_token(registry, project="P", permissions=[Permission.CONNECTIONS_VIEW])
    return get_connection(registry, registry.live.caller(token), name).fields["token"]


def test_after_a_rotation_the_old_key_is_needed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", OLD)
    with running_service() as registry:
        run("projects", "list")
        _create(registry, "one", "two")
    monkeypatch.setenv("SECRET_KEY", f"{NEW},{OLD}")
    with running_service() as registry:
        _create(registry, "three")

        result = run("secrets", "rotate")

        assert (result.exit_code, result.stdout) == (0, "resealed 2\nkept 1\n")
        assert _secret(registry, "one") == "t0k"
    monkeypatch.setenv("SECRET_KEY", NEW)
    with running_service() as registry:
        assert [_secret(registry, name) for name in ("one", "two", "three")] == ["t0k"] * 3
    assert run("secrets", "rotate").stdout == "resealed 0\nkept 3\n"
    assert OLD not in result.output
    assert NEW not in result.output


def test_what_no_key_opens_is_named_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", OLD)
    with running_service() as registry:
        run("projects", "list")
        _create(registry, "lost")
    monkeypatch.setenv("SECRET_KEY", NEW)
    with running_service() as registry:
        _create(registry, "kept")

        result = run("secrets", "rotate")

    assert (result.exit_code, result.stdout) == (1, "resealed 0\nkept 1\n")
    assert "No key of SECRET_KEY opens the connection P/lost" in result.stderr
