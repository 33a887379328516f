"""The bodies that the contract's own examples send, as they are printed, to a server that stands in for theirs.

Where the print hides an address behind "[email protected]", another one stands here.
"""

import json
import socket
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from app.model.access import Permission
from tests.apiops.conftest import SECRET_KEYS, Backend, backend
from tests.conftest import MakeService
from tests.smtp_server import SMTPServer, authority

CREATE_EMAIL = """{
    "type": "email",
    "name": "my-email-connection",
    "description": "Email connection for sending notifications",
    "deployToWorker": true,
    "enabled": true,
    "host": "smtp.gmail.com",
    "port": 587,
    "enableStartTls": true,
    "auth": true,
    "username": "notifications@example.com",
    "password": "app-password",
    "defaultEncoding": "UTF-8",
    "from": "notifications@example.com"
  }"""
FULL_EMAIL = """{
  "type": "email",
  "name": "my-email-connection",
  "description": "Email connection for sending notifications",
  "deployToWorker": true,
  "enabled": true,
  "host": "smtp.gmail.com",
  "port": 587,
  "enableStartTls": true,
  "auth": true,
  "username": "notifications@example.com",
  "password": "app-password",
  "defaultEncoding": "UTF-8",
  "addressToTest": "test@example.com",
  "from": "notifications@example.com",
  "additionalProperties": []
}"""
UPDATE_EMAIL = """{
    "type": "email",
    "name": "my-email-connection",
    "description": "Updated email connection",
    "deployToWorker": true,
    "enabled": true,
    "host": "smtp.gmail.com",
    "port": 587,
    "enableStartTls": true,
    "auth": true,
    "username": "updated-user@example.com",
    "password": "new-app-password",
    "defaultEncoding": "UTF-8",
    "from": "noreply@example.com"
  }"""
RENAME = """{
    "type": "email",
    "name": "new-connection-name",
    "description": "Renamed connection",
    "deployToWorker": true,
    "enabled": true,
    "host": "smtp.gmail.com",
    "port": 587,
    "auth": true,
    "username": "user@example.com",
    "password": "password"
  }"""
CREATE_DATABASE = """{
    "type": "database",
    "name": "my-db-connection",
    "description": "PostgreSQL database connection",
    "deployToWorker": true,
    "enabled": true,
    "host": "localhost",
    "port": 5432,
    "databaseName": "mydb",
    "username": "dbuser",
    "password": "dbpassword",
    "driverClassName": "org.postgresql.Driver",
    "jdbcUrl": "jdbc:postgresql://localhost:5432/mydb"
  }"""
DISABLE_DATABASE = """{
    "type": "database",
    "name": "my-db-connection",
    "description": "Updated database connection - disabled",
    "deployToWorker": true,
    "enabled": false,
    "host": "localhost",
    "port": 5432,
    "databaseName": "mydb",
    "username": "dbuser",
    "password": "dbpassword"
  }"""
CREATE_KAFKA = """{
    "type": "kafka",
    "name": "my-kafka-connection",
    "description": "Kafka connection for event streaming",
    "deployToWorker": true,
    "enabled": true,
    "topicName": "events",
    "bootstrapServers": "localhost:9092",
    "keyStoreName": "my-keystore",
    "trustStoreName": "my-truststore"
  }"""
DEPLOYED = {
    "success": True,
    "deploymentResult": {
        "success": True,
        "deploymentResults": [
            {"environmentName": "production", "success": True, "message": "Deployment successful"},
        ],
    },
}


@pytest.fixture
def gmail(monkeypatch: pytest.MonkeyPatch) -> Iterator[SMTPServer]:
    """A server on loopback to which the name smtp.gmail.com leads, with a certificate for that name."""
    context = authority().server_context("smtp.gmail.com")
    with SMTPServer(
        starttls=True, context=context, credentials=("notifications@example.com", "app-password")
    ) as server:
        look_up = socket.getaddrinfo

        def leads_here(host: str, port: int, *arguments: Any, **options: Any) -> Any:
            if host == "smtp.gmail.com" and not options.get("flags"):
                host, port = server.host, server.port
            return look_up(host, port, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", leads_here)
        monkeypatch.setenv("SSL_CERT_FILE", authority().ca_file)
        yield server


@pytest.fixture
def project(make_service: MakeService, gmail: SMTPServer) -> Backend:
    """The backend of the project MyProject in a service that runs in production."""
    service = make_service(
        environment="production",
        secret_keys=SECRET_KEYS,
        smtp_configurations=(gmail.configuration(),),
        reception_email="owner@example.com",
        connection_allowed_networks=(ip_network("127.0.0.0/8"),),
    )
    return backend(service, Permission.CONNECTIONS_MANAGE)


def send(project: Backend, method: str, path: str, body: str) -> dict[str, Any]:
    answer = project.call(method, path, data=body, content_type="application/json")
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


@pytest.mark.parametrize("body", [CREATE_EMAIL, FULL_EMAIL])
def test_an_email_connection_is_created_deployed_and_read(project: Backend, gmail: SMTPServer, body: str) -> None:
    assert send(project, "POST", "my-email-connection/", body) == DEPLOYED
    assert any("AUTH" in line for line in gmail.transcripts[0])
    found = project.only("my-email-connection")
    assert found | json.loads(body) == found
    assert found["password"] == "app-password"
    [listed] = project.get("?type=email").get_json()["resultList"]
    assert listed == found | {"password": None}


def test_an_email_connection_is_updated(project: Backend, gmail: SMTPServer) -> None:
    send(project, "POST", "my-email-connection/", CREATE_EMAIL)
    gmail.credentials = ("updated-user@example.com", "new-app-password")
    assert send(project, "PUT", "my-email-connection/", UPDATE_EMAIL) == DEPLOYED
    found = project.only("my-email-connection")
    assert found | json.loads(UPDATE_EMAIL) == found


def test_an_email_connection_is_renamed(project: Backend) -> None:
    send(project, "POST", "old-connection-name/", CREATE_EMAIL.replace("my-email-connection", "old-connection-name"))
    assert send(project, "PUT", "old-connection-name/", RENAME)["success"] is True
    [found] = project.get().get_json()["resultList"]
    assert found["name"] == "new-connection-name"
    assert found["from"] is None


def test_a_database_connection_is_created_updated_and_disabled(project: Backend) -> None:
    created = send(project, "POST", "my-db-connection/", CREATE_DATABASE)
    assert created["deploymentResult"]["success"] is True
    assert created["deploymentResult"]["deploymentResults"][0]["environmentName"] == "production"
    assert project.only("my-db-connection") == json.loads(CREATE_DATABASE)
    assert send(project, "PUT", "my-db-connection/", DISABLE_DATABASE)["deploymentResult"]["success"] is True
    found = project.only("my-db-connection")
    assert found["enabled"] is False
    assert found["jdbcUrl"] is None


def test_a_kafka_connection_is_created(project: Backend) -> None:
    assert send(project, "POST", "my-kafka-connection/", CREATE_KAFKA)["deploymentResult"]["success"] is True
    assert project.only("my-kafka-connection") == json.loads(CREATE_KAFKA)


def test_a_connection_is_deleted(project: Backend) -> None:
    send(project, "POST", "my-email-connection/", CREATE_EMAIL)
    deleted = project.delete("my-email-connection/").get_json()
    assert deleted["success"] is True
    assert deleted["deploymentResult"]["deploymentResults"][0]["success"] is True
    answer = project.get("my-email-connection/")
    assert answer.status_code == 404
    assert answer.get_json() == {
        "error": "not_found",
        "error_description": "Connection (name: my-email-connection) was not found!",
    }


def test_the_printed_refusals_are_given_word_for_word(project: Backend) -> None:
    send(project, "POST", "my-email-connection/", CREATE_EMAIL)
    again = project.call("POST", "my-email-connection/", data=CREATE_EMAIL, content_type="application/json")
    assert (again.status_code, again.get_json()) == (
        400,
        {"error": "bad_request", "error_description": "Connection (name: my-email-connection) already exists!"},
    )
    nobody = project.showing("YOUR_TOKEN").get()
    assert (nobody.status_code, nobody.get_json()) == (
        401,
        {"error": "unauthorized_client", "error_description": "Invalid token"},
    )
    elsewhere = project.within("YourProject").get()
    assert (elsewhere.status_code, elsewhere.get_json()) == (
        404,
        {"error": "not_found", "error_description": "Project 'YourProject' not found"},
    )
