"""Fixtures of the tests of submissions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.emails.office import Office
from tests.forms.owning import opened
from tests.forms.submitting import Clock
from tests.smtp_server import SMTPServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def office(tmp_path: Path, database_url: str, clock: Clock, server: SMTPServer) -> Iterator[Office]:
    """On SQLite and on PostgreSQL, sending to the scripted server."""
    with opened(database_url, tmp_path, clock=clock, smtp_configurations=(server.configuration(),)) as office:
        yield office
