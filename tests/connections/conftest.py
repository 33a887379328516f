"""A registry on an empty database with one project, and bodies as the documentation prints them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connections import manage
from app.connections.registry import Registry
from app.model.access import Caller, Permission
from app.model.clock import utc_now
from app.model.smtp import SMTPConfiguration
from app.settings import Settings
from app.storage import audit, projects
from app.storage.database import Database
from app.storage.schema import migrate

SECRET_KEYS = ("the first key of these tests, long enough",)

OpenRegistry = Callable[..., Registry]


def email_body(**fields: Any) -> dict[str, Any]:
    """A valid body of type email; keywords add and replace fields, None leaves one out."""
    body = {
        "type": "email",
        "name": "my-email-connection",
        "description": "Email connection for sending notifications",
        "host": "smtp.example.com",
        "port": 587,
        "enableStartTls": True,
        "auth": True,
        "username": "notifications@example.com",
        "password": "app-password",
    }
    return {name: value for name, value in (body | fields).items() if value is not None}


def properties(**values: object) -> list[dict[str, object]]:
    """additionalProperties; `__` in a keyword stands for a dot."""
    return [{"name": name.replace("__", "."), "value": value} for name, value in values.items()]


@pytest.fixture
def retired() -> list[SMTPConfiguration]:
    """The SMTP configurations that went out of use."""
    return []


@pytest.fixture
def open_registry(database_url: str, tmp_path: Path, retired: list[SMTPConfiguration]) -> Iterator[OpenRegistry]:
    """Opens a registry as one more process would; keywords change the settings."""
    databases: list[Database] = []

    def open_one(**changes: Any) -> Registry:
        settings = Settings(var_dir=tmp_path, **({"secret_keys": SECRET_KEYS} | changes))
        databases.append(Database(database_url))
        migrate(databases[-1])
        return Registry.open(settings, database=databases[-1], clock=utc_now, retire=retired.extend)

    yield open_one
    for database in databases:
        database.close()


@pytest.fixture
def registry(open_registry: OpenRegistry) -> Registry:
    return open_registry()


@pytest.fixture
def caller(registry: Registry) -> Caller:
    """Who may do everything in the project MyProject."""
    return make_caller(registry, "MyProject")


def make_caller(registry: Registry, project: str, *, token_name: str = "deploy-bot") -> Caller:
    project_id = registry.database.write(lambda connection: projects.add(connection, name=project, now_ms=0))
    assert project_id is not None
    return Caller(
        token_id=1, token_name=token_name, project_id=project_id, project=project, permissions=frozenset(Permission)
    )


def create(registry: Registry, caller: Caller, name: str, **fields: Any) -> None:
    manage.create_connection(registry, caller, name, email_body(name=name, **fields))


def names(registry: Registry, caller: Caller, **query: str) -> list[str]:
    return [connection.name for connection in manage.list_connections(registry, caller, **query)]


def acts(registry: Registry) -> list[tuple[str, str, str, tuple[str, ...]]]:
    entries = registry.database.read(audit.every)
    return [(entry.actor, entry.action, entry.subject, entry.fields) for entry in entries]
