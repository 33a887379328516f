"""Deploying: a real sign-in at a real server, and a message for the owner that says what is wrong."""

import time
from typing import Any

import pytest

from app.connections import manage
from app.connections.deployment import deploy, withdraw
from app.connections.registry import Registry
from app.model.connection import Connection
from tests.connections.conftest import OpenRegistry, email_body, make_caller, properties
from tests.smtp_server import Hang, SMTPServer, authority

CREDENTIALS = ("notifications@example.com", "app-password")


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """Nothing here depends on the database."""
    return f"sqlite:///{tmp_path / 'letterbox.db'}"


def created(open_registry: OpenRegistry, body: dict[str, Any], **settings: Any) -> tuple[Registry, Connection]:
    registry = open_registry(**settings)
    caller = make_caller(registry, "MyProject")
    return registry, manage.create_connection(registry, caller, body["name"], body)


def at(server: SMTPServer, *entries: dict[str, object], **fields: Any) -> dict[str, Any]:
    """A body that leads to a test server with TLS."""
    trust = properties(mail__smtp__ssl__trust=authority().ca_file)
    return email_body(host="localhost", port=server.port, additionalProperties=[*trust, *entries], **fields)


def test_a_connection_that_signs_in_is_deployed(open_registry: OpenRegistry) -> None:
    with SMTPServer(starttls=True, credentials=CREDENTIALS) as server:
        registry, connection = created(
            open_registry, at(server), connection_ports=(server.port,), environment="staging"
        )
        deployment = deploy(registry, connection)
        assert (deployment.environment, deployment.success) == ("staging", True)
        assert deployment.message == "Deployment successful"
        assert any(line.startswith("C: AUTH") for line in server.transcripts[0])
        assert server.received == []


def test_properties_that_do_not_act_are_named(open_registry: OpenRegistry) -> None:
    with SMTPServer(starttls=True, credentials=CREDENTIALS) as server:
        body = at(server, *properties(mail__debug=True, mail__smtp__quitwait=False))
        registry, connection = created(open_registry, body, connection_ports=(server.port,))
        message = deploy(registry, connection).message
        assert message == "Deployment successful. Not used: mail.debug, mail.smtp.quitwait."


def test_a_wrong_password_is_told_and_the_connection_is_kept(open_registry: OpenRegistry) -> None:
    with SMTPServer(starttls=True, credentials=("notifications@example.com", "another")) as server:
        body = at(server, *properties(mail__debug=True))
        registry, connection = created(open_registry, body, connection_ports=(server.port,))
        deployment = deploy(registry, connection)
    assert not deployment.success
    assert deployment.message.startswith("The connection is saved. ")
    assert "password" in deployment.message
    assert deployment.message.endswith(". Not used: mail.debug.")
    assert "app-password" not in deployment.message
    assert len(registry.live.smtp_configurations(connection.project_id)) == 1


def test_a_server_without_starttls_is_told_where_it_is_required(open_registry: OpenRegistry) -> None:
    with SMTPServer(credentials=CREDENTIALS) as server:
        registry, connection = created(open_registry, at(server), connection_ports=(server.port,))
        deployment = deploy(registry, connection)
        assert not deployment.success
        assert "STARTTLS" in deployment.message
        assert not any("AUTH" in line for line in server.transcripts[0] if line.startswith("C:"))


def test_a_host_that_no_connection_may_lead_to_is_told_in_production(open_registry: OpenRegistry) -> None:
    with SMTPServer(starttls=True, credentials=CREDENTIALS) as server:
        settings: dict[str, Any] = {"connection_ports": (server.port,), "environment": "production"}
        registry, connection = created(open_registry, at(server), **settings)
        deployment = deploy(registry, connection)
        assert (deployment.environment, deployment.success) == ("production", False)
        assert server.connections == 0


def test_a_server_that_is_silent_is_given_up_in_time(
    open_registry: OpenRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.connections.deployment.SIGN_IN_LIMIT_S", 0.15)
    with SMTPServer(faults={"GREETING": Hang()}) as server:
        registry, connection = created(open_registry, at(server), connection_ports=(server.port,))
        began = time.monotonic()
        assert not deploy(registry, connection).success
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (email_body(enabled=False), "disabled"),
        ({"type": "kafka", "name": "events"}, "kafka"),
        ({"type": "kafka", "name": "events", "enabled": False}, "disabled"),
    ],
)
def test_what_is_not_sent_through_is_kept_without_a_sign_in(
    open_registry: OpenRegistry, body: dict[str, Any], word: str
) -> None:
    registry, connection = created(open_registry, body)
    deployment = deploy(registry, connection)
    assert deployment.success
    assert word in deployment.message


def test_a_deleted_connection_is_withdrawn(open_registry: OpenRegistry) -> None:
    registry, connection = created(open_registry, email_body(), environment="staging")
    deployment = withdraw(registry, connection)
    assert (deployment.environment, deployment.success) == ("staging", True)
    assert "no longer" in deployment.message
