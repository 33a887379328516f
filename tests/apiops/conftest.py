"""A service, a project of its own for every test, callers with tokens of every kind, and bodies of connections."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from app.connections.access import create_token
from app.connections.registry import Registry
from app.model.access import Permission
from tests.conftest import Service, assembling
from tests.smtp_server import SMTPServer

SECRET_KEYS = ("a key that only these tests know, and long enough",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A caller of `/apiops` who shows `token`; a path is the part behind `/apiops/projects/{project}/connections/`."""

    service: Service
    token: str
    project: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def showing(self, token: str) -> Self:
        """The same caller with another token."""
        return replace(self, token=token)

    def within(self, project: str) -> Self:
        """The same caller in another project."""
        return replace(self, project=project)

    def call(self, method: str, path: str = "", **options: Any) -> TestResponse:
        headers = self.headers | options.pop("headers", {})
        url = f"/apiops/projects/{self.project}/connections/{path}"
        return self.service.client.open(url, method=method, headers=headers, **options)

    def get(self, path: str = "", **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, body: object = None) -> TestResponse:
        return self.call("POST", path, json=body)

    def put(self, path: str, body: object) -> TestResponse:
        return self.call("PUT", path, json=body)

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)

    def only(self, name: str) -> dict[str, Any]:
        """The one connection of that name."""
        answer = self.get(f"{name}/")
        assert answer.status_code == 200, answer.text
        [found] = answer.get_json()["resultList"]
        return dict(found)


def registry_of(service: Service) -> Registry:
    registry: Registry = service.app.extensions["letterbox"].registry
    return registry


def backend(service: Service, *permissions: Permission, project: str = "MyProject", name: str = "") -> Backend:
    """A caller with a new token."""
    token = create_token(registry_of(service), project=project, permissions=permissions, name=name)
    return Backend(service=service, token=token, project=project)


@pytest.fixture
def smtp_server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture(scope="module")
def apiops_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Connections may lead to any port that a `smtp_server` can have, and to 587, where nobody listens."""
    with assembling(tmp_path_factory.mktemp("service")) as make:
        yield make(secret_keys=SECRET_KEYS, connection_ports=(587, *range(1024, 65536)))


@pytest.fixture
def project() -> str:
    """The name of a project that only this test knows."""
    return f"Project-{uuid4().hex[:8]}"


@pytest.fixture
def manager(apiops_service: Service, project: str) -> Backend:
    """May do everything with connections."""
    return backend(apiops_service, Permission.CONNECTIONS_MANAGE, project=project, name="deploy script")


@pytest.fixture
def viewer(apiops_service: Service, project: str) -> Backend:
    """May only look."""
    return backend(apiops_service, Permission.CONNECTIONS_VIEW, project=project)


def kafka(name: str = "my-kafka", **fields: Any) -> dict[str, Any]:
    """A connection that leads nowhere, so that nothing is tried when it is deployed."""
    return {"type": "kafka", "name": name, "topicName": "events", "bootstrapServers": "localhost:9092"} | fields


def email(server: SMTPServer, name: str = "my-email", **fields: Any) -> dict[str, Any]:
    """An email connection to `server`, in clear text and without a sign-in."""
    leads_to = {"host": server.host, "port": server.port, "from": "noreply@example.com"}
    return {"type": "email", "name": name} | leads_to | fields
