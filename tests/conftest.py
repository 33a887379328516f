"""What all tests share: databases of both kinds, and the service with a scripted SMTP server behind it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

POSTGRESQL = "postgresql://127.0.0.1:5432/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'letterbox.db'}"
        return
    yield from _postgresql()


def _postgresql() -> Iterator[str]:
    name = f"letterbox_test_{uuid.uuid4().hex}"
    try:
        server = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        pytest.skip(f"PostgreSQL does not answer on 127.0.0.1:5432: {error}")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type, call-overload, unused-ignore]
        try:
            yield f"postgresql+psycopg://127.0.0.1:5432/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type, call-overload, unused-ignore]
