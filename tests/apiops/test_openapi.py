"""The OpenAPI document of both surfaces: whole, true, and built from the table of the connection types."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from app.connections.drafts import draft_of
from app.connections.fields import Limits, says_secret
from app.connections.types import TYPES, public_fields
from app.model.smtp import Reach
from app.web.authentication import access_rule
from tests.apiops.conftest import Backend, email
from tests.conftest import Service
from tests.smtp_server import SMTPServer

LIMITS = Limits(ports=(587,), reach=Reach())
ONE = "/apiops/projects/{projectName}/connections/{connectionName}/"


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    document: dict[str, Any] = service.client.get("/openapi.json").get_json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield method.upper(), path, operation


def test_the_document_is_valid(service: Service) -> None:
    schemathesis.openapi.from_wsgi("/openapi.json", service.app).validate()


def test_every_route_of_both_surfaces_is_documented(service: Service, document: dict[str, Any]) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in service.app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/apiops/"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes
    assert len(routes) == 19


def test_every_operation_says_who_may_call_it(service: Service, document: dict[str, Any]) -> None:
    urls = service.app.url_map.bind("localhost")
    for method, path, operation in operations(document):
        endpoint, _ = urls.match(path.replace("{", "").replace("}", ""), method)
        rule = access_rule(service.app.view_functions[endpoint])
        assert rule is not None
        for permission in rule.permissions:
            assert permission in operation["description"]
        security = operation.get("security", [{}])
        assert ({} in security) is rule.is_open
        assert ({"token": []} in security) is bool(rule.permissions)
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_operation_of_this_surface_documents_its_refusals(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        if not path.startswith("/apiops/"):
            continue
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "403", "406", "429", "500", "503"} <= refusals.keys()
        assert ("404" in refusals) is ("{projectName}" in path)
        assert ("413" in refusals) is ("requestBody" in operation)
        for answer in refusals.values():
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


def test_a_body_is_one_of_the_types_told_apart_by_type(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    connection = schemas["Connection"]
    assert connection["discriminator"]["propertyName"] == "type"
    mapping = connection["discriminator"]["mapping"]
    assert list(mapping) == list(TYPES)
    assert [each["$ref"] for each in connection["oneOf"]] == list(mapping.values())
    for name, reference in mapping.items():
        schema = schemas[reference.rpartition("/")[2]]
        assert schema["properties"]["type"]["enum"] == [name]
        assert schema["additionalProperties"] is (name != "email")
        for field in TYPES[name].fields:
            assert schema["properties"][field.name]["description"] == field.description


@pytest.mark.parametrize("method", ["post", "put"])
def test_the_examples_of_every_type_with_fields_are_good(document: dict[str, Any], method: str) -> None:
    content = document["paths"][ONE][method]["requestBody"]["content"]["application/json"]
    assert content["examples"].keys() == {"email", "database", "kafka"}
    validator = jsonschema_rs.Draft4Validator(
        {"components": _without_nulls(document["components"])} | _without_nulls(content["schema"])
    )
    for name, example in content["examples"].items():
        body = example["value"]
        assert body["type"] == name
        draft = draft_of(body, project_id=1, path_name=body["name"], limits=LIMITS)
        assert public_fields(draft) == public_fields(draft) | body
        validator.validate(body)
        assert not validator.is_valid(body | {"port": "587", "topicName": 1})
    assert not validator.is_valid({"type": "carrier-pigeon", "name": "x"})


def test_what_is_shown_of_a_connection_is_as_documented(
    manager: Backend, viewer: Backend, smtp_server: SMTPServer, document: dict[str, Any]
) -> None:
    manager.post(
        "my-email/", email(smtp_server, deployToWorker=False, additionalProperties=[{"name": "a", "value": 1}])
    )
    for name, row in TYPES.items():
        manager.post(f"{name}/", dict(row.example) | {"name": name, "deployToWorker": False})
    schema = document["components"]["schemas"]["ConnectionList"]
    validator = jsonschema_rs.Draft4Validator({"components": _without_nulls(document["components"])} | schema)
    shown = manager.get().get_json()
    assert shown["resultCount"] == len(TYPES) + 1
    validator.validate(shown)
    validator.validate(viewer.get("my-email/").get_json())


def test_what_cannot_be_read_is_documented_with_the_status_that_it_gets(document: dict[str, Any]) -> None:
    emails = document["paths"]["/api/v1/emails"]
    assert "422" not in emails["get"]["responses"]
    assert "Idempotency-Key" in emails["post"]["responses"]["422"]["description"]


def test_the_document_holds_no_secret_but_placeholders(document: dict[str, Any]) -> None:
    found = list(_secrets(document))
    assert found
    assert set(found) <= {"YOUR_PASSWORD", "YOUR_CLIENT_SECRET"}


def _secrets(document: Any, name: str = "") -> Iterator[str]:
    """Every text that stands for a secret: as its value, or as its example or default."""
    if isinstance(document, dict):
        for key, value in document.items():
            if says_secret(key) and isinstance(value, str):
                yield value
            if says_secret(name) and key in ("example", "default"):
                yield str(value)
            yield from _secrets(value, key)
    elif isinstance(document, list):
        for each in document:
            yield from _secrets(each, name)


def _without_nulls(schema: Any) -> Any:
    """The same schema for JSON Schema, which has the type null where OpenAPI 3.0 says nullable."""
    if isinstance(schema, list):
        return [_without_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {name: _without_nulls(value) for name, value in schema.items()}
    if translated.pop("nullable", None) is True:
        if isinstance(translated.get("type"), str):
            translated["type"] = [translated["type"], "null"]
        else:
            translated = {"anyOf": [translated, {"type": "null"}]}
    return translated
