"""The pages in an application of their own, over a store that tests fill by hand."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import pages
from app.inbox import InboxStore
from app.model.smtp import Account, SMTPConfiguration
from app.settings import Settings
from app.web import own_url


def make_client(*, inbox: InboxStore | None, settings: Settings | None = None) -> FlaskClient:
    """A client of an application that has the pages and nothing else."""
    app = Flask(__name__, static_folder=None)
    settings = settings or Settings()
    pages.register(app, settings=settings, inbox=inbox)
    own_url.register(app, settings)
    return app.test_client()


@pytest.fixture
def store(tmp_path: Path) -> InboxStore:
    return InboxStore(tmp_path / "inbox")


@pytest.fixture
def client(store: InboxStore) -> FlaskClient:
    """A service that runs the embedded inbox."""
    return make_client(inbox=store)


@pytest.fixture
def sending_client() -> FlaskClient:
    """A service with two SMTP configurations and no embedded inbox."""
    configurations = tuple(
        SMTPConfiguration(
            index=index, host="smtp.example.com", port=465, account=Account("secret-account@example.com", "", "secret")
        )
        for index in (1, 2)
    )
    return make_client(inbox=None, settings=Settings(smtp_configurations=configurations))
