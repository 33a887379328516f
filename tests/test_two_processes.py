"""What one process changes the others use at once: connections and tokens, over one database."""

import time
from collections.abc import Iterator

import pytest

from app.connections import access
from app.emails.office import Office
from app.model.access import Permission
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import SMTPServer

PATH = "/apiops/projects/Shop/connections/main/"


@pytest.fixture
def servers() -> Iterator[tuple[SMTPServer, SMTPServer]]:
    with SMTPServer() as first, SMTPServer() as second:
        yield first, second


@pytest.fixture
def two(
    make_service: MakeService, database_url: str, servers: tuple[SMTPServer, SMTPServer]
) -> tuple[Service, Service]:
    """Two services that know nothing of each other but the database."""
    settings = {
        "database_url": database_url,
        "secret_keys": ("k" * 32,),
        "connection_ports": tuple(server.port for server in servers),
    }
    return make_service(**settings), make_service(**settings)


def bearer(service: Service, *permissions: Permission) -> dict[str, str]:
    office: Office = service.app.extensions["letterbox"]
    token = access.create_token(office.registry, project="Shop", permissions=permissions or tuple(Permission))
    return {"Authorization": f"Bearer {token}"}


def body(server: SMTPServer, **fields: object) -> dict[str, object]:
    needed = {"type": "email", "name": "main", "host": "127.0.0.1", "port": server.port, "from": "shop@example.com"}
    return needed | fields


def index_of(service: Service, headers: dict[str, str]) -> int:
    listed = service.client.get("/api/v1/smtp-configurations", headers=headers).json
    assert listed
    index: int = listed[-1]["index"]
    return index


def test_a_connection_that_one_creates_the_other_uses_from_its_next_request_on(
    two: tuple[Service, Service], servers: tuple[SMTPServer, SMTPServer]
) -> None:
    one, other = two
    headers = bearer(one)
    assert other.client.get("/api/v1/smtp-configurations", headers=headers).status_code == 200
    assert one.client.post(PATH, json=body(servers[0]), headers=headers).status_code == 200
    index = index_of(other, headers)
    answer = other.post(f"/api/v1/emails?smtpId={index}", json=valid_request(To=["a@example.com"]), headers=headers)
    assert answer.status_code == 201, answer.data
    assert len(servers[0].messages) == 1


def test_a_connection_that_one_changes_the_other_follows(
    two: tuple[Service, Service], servers: tuple[SMTPServer, SMTPServer]
) -> None:
    one, other = two
    headers = bearer(one)
    one.client.post(PATH, json=body(servers[0]), headers=headers)
    path = f"/api/v1/emails?smtpId={index_of(other, headers)}"
    assert other.post(path, headers=headers).status_code == 201
    assert one.client.put(PATH, json=body(servers[1], name="renamed"), headers=headers).status_code == 200
    assert other.post(path, headers=headers).status_code == 201
    assert (len(servers[0].messages), len(servers[1].messages)) == (1, 1)


def test_a_deleted_connection_is_unknown_to_the_other_and_its_sessions_end(
    two: tuple[Service, Service], servers: tuple[SMTPServer, SMTPServer]
) -> None:
    one, other = two
    headers = bearer(one)
    one.client.post(PATH, json=body(servers[0]), headers=headers)
    path = f"/api/v1/emails?smtpId={index_of(other, headers)}"
    assert other.post(path, headers=headers).status_code == 201
    assert servers[0].open_connections
    assert one.client.delete(PATH, headers=headers).status_code == 200
    refused = other.post(path, headers=headers)
    assert refused.status_code == 400
    assert refused.json is not None
    assert "configuration not found" in refused.json["detail"]
    patience = time.monotonic() + 10
    while servers[0].open_connections and time.monotonic() < patience:
        time.sleep(0.02)
    assert not servers[0].open_connections


def test_a_token_that_is_revoked_here_is_refused_there(two: tuple[Service, Service]) -> None:
    one, other = two
    headers = bearer(one, Permission.EMAILS_VIEW)
    assert other.client.get("/api/v1/emails", headers=headers).status_code == 200
    office: Office = one.app.extensions["letterbox"]
    access.revoke_token(office.registry, access.list_tokens(office.registry)[0].id)
    assert other.client.get("/api/v1/emails", headers=headers).status_code == 401


def test_the_connection_of_one_project_is_unknown_to_another_and_to_everybody(
    two: tuple[Service, Service], servers: tuple[SMTPServer, SMTPServer]
) -> None:
    one, _ = two
    headers = bearer(one)
    one.client.post(PATH, json=body(servers[0]), headers=headers)
    path = f"/api/v1/emails?smtpId={index_of(one, headers)}"
    office: Office = one.app.extensions["letterbox"]
    stranger = access.create_token(office.registry, project="Rival", permissions=tuple(Permission))
    for shown in ({}, {"Authorization": f"Bearer {stranger}"}):
        answer = one.post(path, headers=shown)
        assert answer.status_code == 400
        assert b"configuration not found" in answer.data
