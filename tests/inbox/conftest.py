"""A store in a directory of its own, and a running server in front of it."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inbox import EmbeddedInbox, InboxStore


@pytest.fixture
def store(tmp_path: Path) -> InboxStore:
    return InboxStore(tmp_path / "inbox")


@pytest.fixture
def port(store: InboxStore) -> Iterator[int]:
    """The port of a running embedded inbox."""
    inbox = EmbeddedInbox(store)
    yield inbox.start()
    inbox.stop()


@pytest.fixture
def smtp(port: int) -> Iterator[smtplib.SMTP]:
    """A connected client."""
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        yield client
