"""What all tests share: databases of both kinds, and the service with a scripted SMTP server behind it."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from werkzeug.test import TestResponse

from app import create_app
from app.emails import office as office_module
from app.emails.office import Office
from app.inbox import InboxStore
from app.messages import self_test
from app.messages.compose import Composer
from app.messages.templates import Templates
from app.model.clock import Clock, utc_now
from app.observability.logs import configure_logging
from app.settings import GuardSettings, Settings
from app.storage.database import Database
from app.storage.schema import migrate
from app.storage.tables import metadata
from app.storage.times import to_ms

TAKES_LONG = pytest.mark.skipif("CI" not in os.environ, reason="takes long: runs in CI, and elsewhere with CI=1")
"""For rigs that start whole services and wait for leases to end."""

settings.register_profile("CI", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=30)
settings.load_profile("CI" if "CI" in os.environ else "quick")

# What a developer has configured is not what is tested, in this process or in those that tests start.
os.environ["LETTERBOX_ENV_FILE"] = os.devnull

POSTGRESQL = "postgresql://127.0.0.1:5432/postgres"


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: much of what is tested is waiting."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging(format="json", level="info")


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once() -> None:
    """And the self-test run once: neither ever changes, and both take half of the time of assembling a service."""
    office_module.Templates = cache(Templates)  # type: ignore[attr-defined, assignment]
    passed: list[Composer] = []

    def run_once(composer: Composer) -> None:
        if not passed:
            self_test.run(composer)
            passed.append(composer)

    office_module.self_test = SimpleNamespace(run=run_once)  # type: ignore[attr-defined, assignment]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a row, once of each kind; whoever uses it migrates it, if that is not done yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'letterbox.db'}"
        return
    url: str = request.getfixturevalue("own_postgresql")
    yield url
    _empty(url.rpartition("/")[2])


@pytest.fixture
def unmigrated_url(database_url: str) -> str:
    """The same without a table."""
    if database_url.startswith("postgresql"):
        _empty(database_url.rpartition("/")[2], keeps_tables=False)
    return database_url


@pytest.fixture(scope="session")
def own_postgresql() -> Iterator[str]:
    """A database that the tests of one process use one after the other: making one and dropping it takes a second."""
    yield from _postgresql()


def _empty(name: str, *, keeps_tables: bool = True) -> None:
    """Throw out whoever a test has left behind, and everything that is in the database."""
    with psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=2) as server:
        server.execute(f'ALTER DATABASE "{name}" RESET ALL')  # type: ignore[arg-type, call-overload, unused-ignore]
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        server.execute(others, (name,))
    with psycopg.connect(POSTGRESQL, dbname=name, autocommit=True) as database:
        found = {table for (table,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        if keeps_tables and found == {*metadata.tables, "alembic_version"}:
            # Migrating takes a hundred times as long, and TRUNCATE, which makes new files, fifty times.
            deletions = "".join(f'DELETE FROM "{table.name}";' for table in reversed(metadata.sorted_tables))
            database.execute(deletions)  # type: ignore[arg-type, call-overload, unused-ignore]
            database.execute("SELECT setval(format('%I', sequencename), 1, false) FROM pg_sequences")
        else:
            database.execute("DROP SCHEMA public CASCADE")
            database.execute("CREATE SCHEMA public")


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


@dataclass(frozen=True, slots=True)
class Service:
    """The assembled service with its embedded inbox: HTTP goes in through `client`, real SMTP comes out in `inbox`."""

    app: Flask
    client: FlaskClient
    inbox: InboxStore

    def post(self, path: str = "/api/v1/emails", **request: Any) -> TestResponse:
        """POST an email; without a body a valid one from a sender of its own."""
        if not request.keys() & {"json", "data"}:
            request["json"] = valid_request()
        return self.client.post(path, **request)

    def newest(self) -> EmailMessage:
        """The newest message of the inbox, read by the standard library's parser."""
        return message_from_bytes(self.newest_source(), policy=policy.default)

    def newest_source(self) -> bytes:
        """The newest message of the inbox as it came over the wire."""
        source = self.inbox.source(self.inbox.list()[0].id)
        assert source is not None
        return source


def valid_request(**properties: Any) -> dict[str, Any]:
    """A valid request body from a sender who has not sent before."""
    return {"Email": f"visitor-{uuid.uuid4().hex}@example.com", "Message": "Hello!"} | properties


@cache
def _empty_sqlite() -> bytes:
    """The file of a database that was just migrated: most tests need one, and none of these tests the migrations."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "letterbox.db"
        database = Database(f"sqlite:///{file}")
        migrate(database)
        database.close()
        return file.read_bytes()


def share_clock(office: Office) -> None:
    """Let the database server have the process's clock, too, which a test sets."""
    office.database.now_ms = lambda connection: to_ms(office.clock())  # type: ignore[method-assign]


MakeService = Callable[..., Service]


@contextmanager
def assembling(directory: Path) -> Iterator[MakeService]:
    """Gives a function that assembles services on one directory; keywords change the settings."""
    offices: list[Office] = []

    def make(*, clock: Clock = utc_now, guards: dict[str, Any] | None = None, **changes: Any) -> Service:
        if "database_url" not in changes and not (directory / "letterbox.db").exists():
            (directory / "letterbox.db").write_bytes(_empty_sqlite())
        settings = Settings(
            var_dir=directory,
            database_url=changes.pop("database_url", f"sqlite:///{directory / 'letterbox.db'}"),
            guards=GuardSettings(**({"rate_limit_enabled": False} | (guards or {}))),
            **changes,
        )
        app = create_app(settings, clock=clock)
        offices.append(app.extensions["letterbox"])
        if clock is not utc_now:
            share_clock(offices[-1])
        return Service(app, app.test_client(), InboxStore(directory / "inbox"))

    yield make
    for office in offices:
        office.close()


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Assembles services of this test's own."""
    with assembling(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def module_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with assembling(tmp_path_factory.mktemp("service")) as make:
        yield make()


@pytest.fixture
def service(module_service: Service) -> Service:
    """The service as it starts on a fresh machine, with an empty inbox and without limits per client.

    Assembled once per module, so a test that sends uses senders of its own.
    """
    module_service.inbox.clear()
    return module_service
