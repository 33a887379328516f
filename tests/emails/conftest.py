"""Services whose emails are listed."""

import pytest

from tests.conftest import MakeService, Service

from .mailroom import Mailroom


@pytest.fixture
def mailroom(make_service: MakeService) -> Mailroom:
    return Mailroom(make_service())


@pytest.fixture(scope="module")
def shared(module_service: Service) -> Mailroom:
    """For tests that record nothing."""
    return Mailroom(module_service)


@pytest.fixture
def mailroom_on_each_database(make_service: MakeService, database_url: str) -> Mailroom:
    return Mailroom(make_service(database_url=database_url))
