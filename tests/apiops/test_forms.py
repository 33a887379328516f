"""`/apiops/projects/{projectName}/forms/` over HTTP: the contract, its refusals, and its document."""

from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from werkzeug.test import TestResponse

from app.connections.projects import list_audit
from app.forms.fields import FIELDS
from app.model.access import Permission
from tests.apiops.conftest import SECRET_KEYS, Backend, backend, email, registry_of
from tests.apiops.test_openapi import _without_nulls
from tests.apiops.test_refusals import refused
from tests.conftest import MakeService, Service
from tests.smtp_server import SMTPServer

BODY = {"recipients": ["office@example.com"], "allowedOrigins": ["https://www.example.com"]}
SHOWN = ["key", "name", *(field.name for field in FIELDS), "createdAt", "updatedAt", "action"]
CALLS = [("GET", ""), ("GET", "f/"), ("POST", "f/"), ("PUT", "f/"), ("DELETE", "f/")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormBackend(Backend):
    """A path is the part behind `/apiops/projects/{project}/forms/`."""

    def call(self, method: str, path: str = "", **options: Any) -> TestResponse:
        headers = self.headers | options.pop("headers", {})
        url = f"/apiops/projects/{self.project}/forms/{path}"
        return self.service.client.open(url, method=method, headers=headers, **options)


def form_backend(service: Service, *permissions: Permission, project: str) -> FormBackend:
    known = backend(service, *permissions, project=project, name="web team")
    return FormBackend(service=service, token=known.token, project=project)


@pytest.fixture
def owner(apiops_service: Service, project: str) -> FormBackend:
    return form_backend(apiops_service, Permission.FORMS_MANAGE, project=project)


def test_a_form_is_created_with_a_key_and_shown_under_the_names_of_the_contract(owner: FormBackend) -> None:
    answer = owner.post("contact/", BODY)
    assert answer.status_code == 200
    created = answer.get_json()
    assert list(created) == ["success", "resultList", "resultCount"]
    assert (created["success"], created["resultCount"]) == (True, 1)
    [form] = created["resultList"]
    assert list(form) == SHOWN
    assert form.items() >= (BODY | {"name": "contact", "action": f"/forms/{form['key']}", "enabled": True}).items()
    assert form["createdAt"] == form["updatedAt"]
    assert form["createdAt"].endswith("Z")
    assert owner.only("CONTACT") == form
    assert owner.get().get_json() == created


def test_forms_are_listed_by_name(owner: FormBackend) -> None:
    assert owner.get().get_json() == {"success": True, "resultList": [], "resultCount": 0}
    for name in ("beta", "Alpha"):
        owner.post(f"{name}/", BODY)
    assert [form["name"] for form in owner.get().get_json()["resultList"]] == ["Alpha", "beta"]


def test_what_was_read_is_written_back_with_a_change(owner: FormBackend) -> None:
    owner.post("contact/", BODY | {"submissionsPerHour": 5})
    form = owner.only("contact")
    answer = owner.put("contact/", form | {"name": "Kontakt", "check": "altcha"})
    assert answer.status_code == 200, answer.text
    [changed] = answer.get_json()["resultList"]
    assert changed == owner.only("kontakt")
    assert {name for name in form if form[name] != changed[name]} == {"name", "check", "updatedAt"}
    refused(owner.get("contact/"), 404, "not_found")


def test_an_update_replaces_everything(owner: FormBackend) -> None:
    owner.post("contact/", BODY | {"subject": "Hello", "enabled": False})
    owner.put("contact/", BODY)
    form = owner.only("contact")
    assert (form["subject"], form["enabled"]) == (None, True)


def test_a_deleted_form_is_gone(owner: FormBackend) -> None:
    owner.post("contact/", BODY)
    assert owner.delete("contact/").get_json() == {"success": True}
    assert refused(owner.delete("contact/"), 404, "not_found") == "Form 'contact' not found"


def test_what_is_not_there_is_not_found(owner: FormBackend) -> None:
    for answer in (owner.get("f/"), owner.put("f/", BODY), owner.delete("f/")):
        assert refused(answer, 404, "not_found") == "Form 'f' not found"


def test_a_name_that_is_taken_is_refused(owner: FormBackend) -> None:
    owner.post("one/", BODY)
    owner.post("two/", BODY)
    assert refused(owner.post("ONE/", BODY), 400, "bad_request") == "Form 'ONE' already exists"
    assert refused(owner.put("one/", BODY | {"name": "Two"}), 400, "bad_request") == "Form 'Two' already exists"


def test_every_field_that_is_wrong_is_named(owner: FormBackend) -> None:
    body = {"recipients": ["x"], "allowedOrigins": ["null"], "minAgeSeconds": 9999, "smtpId": 77, "replyTo": "x"}
    description = refused(owner.post("f/", body), 400, "bad_request")
    for name in body:
        assert name in description
    assert owner.get().get_json()["resultCount"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": "a", "name": "b"}', b'{"a": "\\ud800"}', b"[" * 5000])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_no_json_object_is_a_bad_request(owner: FormBackend, method: str, body: bytes) -> None:
    owner.post("f/", BODY)
    refused(owner.call(method, "f/", data=body, content_type="application/json"), 400, "bad_request")
    refused(owner.call(method, "f/", data=b"{}", content_type="text/plain"), 400, "bad_request")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_only_a_token_with_the_permission_gets_in(owner: FormBackend, method: str, path: str) -> None:
    owner.post("f/", BODY)
    others = [permission for permission in Permission if permission is not Permission.FORMS_MANAGE]
    stranger = form_backend(owner.service, *others, project=owner.project)
    assert "FORMS:MANAGE" in refused(stranger.call(method, path, json=BODY), 403, "forbidden")
    refused(owner.showing("").call(method, path, json=BODY), 401, "unauthorized_client")
    assert owner.only("f")["recipients"] == BODY["recipients"]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_projects_that_a_token_knows_nothing_of_do_not_exist(owner: FormBackend, method: str, path: str) -> None:
    other = form_backend(owner.service, Permission.FORMS_MANAGE, project=f"{owner.project}-2")
    other.post("f/", BODY)
    for project in (other.project, "missing"):
        answer = owner.within(project).call(method, path, json=BODY)
        assert refused(answer, 404, "not_found") == f"Project '{project}' not found"
    assert other.get().get_json()["resultCount"] == 1


def test_a_form_chooses_among_what_its_project_can_send_through(owner: FormBackend) -> None:
    with SMTPServer() as server:
        manager = backend(owner.service, Permission.CONNECTIONS_MANAGE, Permission.EMAILS_SEND, project=owner.project)
        manager.post("mail/", email(server, "mail", deployToWorker=True))
        configurations = owner.service.client.get("/api/v1/smtp-configurations", headers=manager.headers).get_json()
        own = configurations[-1]["index"]
        assert own >= 1000
        assert owner.post("f/", BODY | {"smtpId": own}).status_code == 200
        stranger = form_backend(owner.service, Permission.FORMS_MANAGE, project=f"{owner.project}-2")
        description = refused(stranger.post("f/", BODY | {"smtpId": own}), 400, "bad_request")
        assert description == "The smtpId field must be one that the project can choose: 1."


def test_every_change_is_on_record(owner: FormBackend) -> None:
    owner.post("f/", BODY)
    owner.put("f/", BODY | {"subject": "Hello"})
    owner.delete("f/")
    entries = [entry for entry in list_audit(registry_of(owner.service), owner.project) if entry.actor == "web team"]
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("create-form", "f"),
        ("update-form", "f"),
        ("delete-form", "f"),
    ]
    assert entries[1].fields == ("subject",)


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_works_with_and_without_the_trailing_slash(owner: FormBackend, slash: str) -> None:
    client, headers = owner.service.client, owner.headers
    base = f"/apiops/projects/{owner.project}/forms"
    assert client.get(base + slash, headers=headers).status_code == 200
    for method in ("POST", "GET", "PUT", "DELETE"):
        body = BODY if method in ("POST", "PUT") else None
        assert client.open(f"{base}/f{slash}", method=method, headers=headers, json=body).status_code == 200


def test_a_body_that_is_too_large_is_refused(make_service: MakeService) -> None:
    service = make_service(secret_keys=SECRET_KEYS)
    service.app.config["MAX_CONTENT_LENGTH"] = 100
    own = form_backend(service, Permission.FORMS_MANAGE, project="P")
    refused(own.post("f/", BODY | {"subject": "x" * 200}), 413, "request_entity_too_large")


def test_what_is_documented_is_what_is_taken_and_shown(owner: FormBackend) -> None:
    document = owner.service.client.get("/openapi.json").get_json()
    components = {"components": _without_nulls(document["components"])}
    operation = document["paths"]["/apiops/projects/{projectName}/forms/{formName}/"]
    content = operation["post"]["requestBody"]["content"]["application/json"]
    taken = jsonschema_rs.Draft4Validator(components | _without_nulls(content["schema"]))
    assert content["examples"]
    for name, example in content["examples"].items():
        taken.validate(example["value"])
        answer = owner.post(f"{example['value'].get('name', name)}/", example["value"])
        assert answer.status_code == 200, answer.text
    assert not taken.is_valid(BODY | {"allowedOrigins": []})
    assert not taken.is_valid(BODY | {"allowedOrigin": ["https://a.example"]})
    shown = owner.get().get_json()
    assert shown["resultCount"] == len(content["examples"])
    listed = document["components"]["schemas"]["FormList"]
    jsonschema_rs.Draft4Validator(components | _without_nulls(listed)).validate(shown)
    properties = document["components"]["schemas"]["Form"]["properties"]
    assert set(properties) == set(SHOWN)
    for each in FIELDS:
        assert properties[each.name]["description"] == each.description
