"""Requests made up from the OpenAPI document, good and bad, are all answered as the document says."""

import os
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from app.connections.access import create_token
from app.connections.manage import create_connection
from app.connections.registry import Registry
from app.connections.types import TYPES
from app.errors import ConnectionExists
from app.model.access import Permission
from app.model.names import name_fault
from tests.conftest import MakeService

EXAMPLES = 40 if "CI" in os.environ else 10
PROJECT = "Shop"


@pytest.fixture(autouse=True)
def _no_host_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections with hosts that are made up are tried when they are deployed."""
    look_up = socket.getaddrinfo

    def only_here(host: str, *arguments: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "not looked up in tests")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


def test_no_request_gets_an_undocumented_answer(make_service: MakeService) -> None:
    # Importing it takes as long as everything else together, and each process of the tests collects every file.
    import schemathesis
    from schemathesis.core.result import Ok

    service = make_service(secret_keys=("a key that only these tests know, and long enough",))
    registry = service.app.extensions["letterbox"].registry
    token = create_token(registry, project=PROJECT, permissions=list(Permission))
    document = schemathesis.openapi.from_wsgi("/openapi.json", service.app)
    results = list(document.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results) == 19

    for operation in operations:
        if "connectionName" in operation.path:
            _keep_one_connection_per_type(registry, token)
        _try(operation, token)


def _keep_one_connection_per_type(registry: Registry, token: str) -> None:
    """So that a call can find one; each has its type's name."""
    for name, row in TYPES.items():
        with suppress(ConnectionExists):
            create_connection(registry, registry.live.caller(token), name, {**row.example, "name": name})


def _try(operation: Any, token: str) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    # A visitor makes the calls that are open to visitors, a backend the others.
    is_closed = operation.definition.raw.get("security") == [{"token": []}]
    headers = {"Authorization": f"Bearer {token}"} if is_closed else {}

    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def is_answered_as_documented(case: Any) -> None:
        _lead_somewhere(case)
        # JSON Schema cannot say which addresses and file names are good, so a refusal is no surprise.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    is_answered_as_documented()


def _lead_somewhere(case: Any) -> None:
    """Left to chance, no project and no connection would ever be found; some of the paths stay as they are."""
    path = case.path_parameters
    if len(str(path.get("projectName", ""))) % 4:
        path["projectName"] = PROJECT
    length = len(str(path.get("connectionName", "")))
    if length % 4:
        body = case.body if isinstance(case.body, dict) else {}
        named = body.get("name" if case.method == "POST" else "type")
        # Neither the test client nor a browser sends a question mark as a part of a path.
        is_usable = isinstance(named, str) and name_fault(named) is None and not {"?", "#"} & set(named)
        path["connectionName"] = named if is_usable else list(TYPES)[length % len(TYPES)]
