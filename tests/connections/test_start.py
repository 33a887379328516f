"""What a start says about the key of stored connections."""

import pytest

from app.connections import access
from app.emails.office import Office
from app.errors import SettingsInvalid
from app.model.access import Permission
from tests.conftest import MakeService

OLD, NEW = "o" * 32, "n" * 32
PATH = "/apiops/projects/Shop/connections/main/"
BODY = {"type": "email", "name": "main", "host": "127.0.0.1", "port": 25, "from": "a@example.com", "enabled": False}


@pytest.fixture
def kept(make_service: MakeService) -> MakeService:
    """Services on a database that holds a connection, encrypted with the old key."""
    service = make_service(secret_keys=(OLD,))
    office: Office = service.app.extensions["letterbox"]
    token = access.create_token(office.registry, project="Shop", permissions=tuple(Permission))
    created = service.client.post(PATH, json=BODY, headers={"Authorization": f"Bearer {token}"})
    assert created.status_code == 200, created.data
    return make_service


def test_another_key_stops_the_start_and_names_what_it_cannot_read(kept: MakeService) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        kept(secret_keys=(NEW,))
    (problem,) = raised.value.problems
    assert problem.startswith("SECRET_KEY: found another key")
    assert "Shop/main" in problem
    assert OLD not in problem
    assert NEW not in problem


def test_no_key_at_all_stops_the_start(kept: MakeService) -> None:
    with pytest.raises(SettingsInvalid, match="SECRET_KEY: found no key"):
        kept(secret_keys=())


def test_the_old_key_behind_the_new_one_starts(kept: MakeService) -> None:
    assert kept(secret_keys=(NEW, OLD)).client.get("/test").status_code == 200
