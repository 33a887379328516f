"""The table of errors, row by row (spec: connections-api, section 5), and that none of them says a secret."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.connections.access import create_token, list_tokens, revoke_token
from app.connections.projects import delete_project
from app.model.access import Permission
from tests.apiops.conftest import SECRET_KEYS, Backend, backend, email, kafka, registry_of
from tests.conftest import MakeService
from tests.smtp_server import SMTPServer

SECRET = "hush-7f3a"
CALLS = [
    ("GET", ""),
    ("GET", "k/"),
    ("POST", "k/"),
    ("PUT", "k/"),
    ("DELETE", "k/"),
    ("POST", "k/test/"),
]


def refused(answer: TestResponse, status: int, error: str) -> str:
    """The description of a refusal that has the contract's form."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    assert list(body) == ["error", "error_description"]
    assert body["error"] == error
    assert SECRET not in answer.text
    return str(body["error_description"])


def test_a_name_that_is_taken(manager: Backend) -> None:
    manager.post("my-email-connection/", kafka("my-email-connection"))
    description = refused(manager.post("MY-email-connection/", kafka("MY-email-connection")), 400, "bad_request")
    assert description == "Connection (name: MY-email-connection) already exists!"


def test_a_rename_onto_a_name_that_is_taken(manager: Backend) -> None:
    manager.post("a/", kafka("a"))
    manager.post("b/", kafka("b"))
    description = refused(manager.put("a/", kafka("B")), 400, "bad_request")
    assert description == "Connection (name: B) already exists!"
    assert [each["name"] for each in manager.get().get_json()["resultList"]] == ["a", "b"]


def test_a_missing_connection(manager: Backend) -> None:
    expected = "Connection (name: X) was not found!"
    assert refused(manager.put("X/", kafka("X")), 400, "bad_request") == expected
    assert refused(manager.delete("X/"), 400, "bad_request") == expected
    assert refused(manager.get("X/"), 404, "not_found") == expected
    assert refused(manager.post("X/test/"), 404, "not_found") == expected


def test_an_unknown_type_in_the_query(manager: Backend) -> None:
    for query in ("?type=mail", "?type=", "?type=Email", "?type=email&type=kafka"):
        assert "type" in refused(manager.get(query), 400, "bad_request")
    assert manager.get("?type=email&type=email").status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (kafka("other"), ["name"]),
        (kafka(name=None), ["name"]),  # type: ignore[arg-type]
        (kafka(name=""), ["name"]),
        (kafka("k", type="mail"), ["type"]),
        ({"name": "k"}, ["type"]),
        (kafka("k", topicName=1, bootstrapServers=True), ["topicName", "bootstrapServers"]),
        (kafka("k", enabled="true", deployToWorker=1, description=[]), ["enabled", "deployToWorker", "description"]),
        ({"type": "email", "name": "k"}, ["host", "from"]),
        ({"type": "email", "name": "k", "host": "h.example", "auth": True}, ["username", "password", "from"]),
        ({"type": "email", "name": "k", "host": "h.example", "port": "587", "from": "x"}, ["port", "from"]),
        ({"type": "email", "name": "k", "host": "h.example", "port": 70000, "from": "a@b.example"}, ["port"]),
        (
            {"type": "email", "name": "k", "host": "h.example", "from": "a@b.example", "enableStartTLS": True},
            ["enableStartTLS"],
        ),
    ],
)
def test_every_field_that_is_wrong_is_named(manager: Backend, body: dict[str, Any], named: list[str]) -> None:
    description = refused(manager.post("k/", body), 400, "bad_request")
    for name in named:
        assert name in description
    assert manager.get().get_json()["resultCount"] == 0


def test_the_type_cannot_be_changed(manager: Backend) -> None:
    manager.post("k/", kafka("k"))
    assert "kafka" in refused(manager.put("k/", {"type": "webhook", "name": "k"}), 400, "bad_request")
    assert "type" in refused(manager.put("k/", {"name": "k"}), 400, "bad_request")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        f'{{"password": "{SECRET}"'.encode(),
        f'{{"password": "{SECRET}", "password": "{SECRET}"}}'.encode(),
        f'["{SECRET}"]'.encode(),
        f'"{SECRET}"'.encode(),
        f'{{"password": "{SECRET}\xff"}}'.encode("latin-1"),
        b'{"port": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 5000,
    ],
)
def test_a_body_that_is_no_json_object_is_refused_and_never_repeated(
    manager: Backend, method: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    manager.post("k/", kafka("k"))
    refused(manager.call(method, "k/", data=body, content_type="application/json"), 400, "bad_request")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_a_bad_request(manager: Backend, content_type: str | None) -> None:
    answer = manager.call("POST", "k/", data=b"{}", content_type=content_type)
    assert "application/json" in refused(answer, 400, "bad_request")


def test_no_refusal_repeats_a_secret(
    manager: Backend, smtp_server: SMTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = {"username": "user", "password": SECRET, "auth": True}
    for fields in ({"port": "x"}, {"apiKey": SECRET}, {"password": [SECRET]}, {"password": f"{SECRET}\n"}):
        refused(manager.post("k/", email(smtp_server, "k") | secrets | fields), 400, "bad_request")
    smtp_server.faults = {"EHLO": f"554 {SECRET}"}
    assert SECRET not in manager.post("k/", email(smtp_server, "k") | secrets).text
    refused(manager.post("k/", email(smtp_server, "k") | secrets), 400, "bad_request")
    assert SECRET not in manager.post("k/test/").text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer unknown",
        f"Bearer lbx_{'A' * 43}",
        "lbx_x",
        "Basic dXNlcjpwYXNz",
        "Token {token}",
    ],
)
def test_nobody_gets_in_without_a_valid_token(
    manager: Backend, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.format(token=manager.token)}
    answer = manager.showing("").call(method, path, headers=headers, json=kafka("k"))
    assert refused(answer, 401, "unauthorized_client") == "Invalid token"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert manager.get().get_json()["resultCount"] == 0


def test_the_word_bearer_is_matched_without_case(manager: Backend) -> None:
    nobody = manager.showing("")
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert nobody.get(headers={"Authorization": f"{scheme} {manager.token}"}).status_code == 200


def test_who_shows_no_token_is_not_told_that_it_was_a_bad_one(manager: Backend) -> None:
    nobody = manager.showing("")
    assert nobody.get().headers["WWW-Authenticate"] == 'Bearer realm="Letterbox"'
    stranger = manager.showing("unknown")
    assert stranger.get().headers["WWW-Authenticate"] == 'Bearer realm="Letterbox", error="invalid_token"'


def test_an_expired_token_is_no_token(make_service: MakeService) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    service = make_service(clock=lambda: now, secret_keys=SECRET_KEYS)
    token = create_token(
        registry_of(service),
        project="MyProject",
        permissions=[Permission.CONNECTIONS_VIEW],
        expires_in=timedelta(minutes=1),
    )
    caller = Backend(service=service, token=token, project="MyProject")
    assert caller.get().status_code == 200
    now += timedelta(minutes=1)
    refused(caller.get(), 401, "unauthorized_client")


def test_a_revoked_token_is_no_token_from_the_next_call_on(manager: Backend) -> None:
    assert manager.get().status_code == 200
    [token] = list_tokens(registry_of(manager.service), manager.project)
    revoke_token(registry_of(manager.service), token.id)
    refused(manager.get(), 401, "unauthorized_client")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_token_needs_the_permission(manager: Backend, viewer: Backend, method: str, path: str) -> None:
    manager.post("k/", kafka("k"))
    sender = backend(manager.service, Permission.EMAILS_SEND, Permission.EMAILS_VIEW, project=manager.project)
    description = refused(sender.call(method, path, json=kafka("k")), 403, "forbidden")
    assert "CONNECTIONS:" in description
    looked = viewer.call(method, path, json=kafka("k"))
    if method == "GET":
        assert looked.status_code == 200
    else:
        assert "CONNECTIONS:MANAGE" in refused(looked, 403, "forbidden")
    assert manager.only("k")["topicName"] == "events"


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_projects_that_a_token_knows_nothing_of_do_not_exist(manager: Backend, method: str, path: str) -> None:
    backend(manager.service, Permission.CONNECTIONS_MANAGE, project="Other").post("k/", kafka("k"))
    for project in ("Other", "missing"):
        answer = manager.within(project).call(method, path, json=kafka("k"))
        assert refused(answer, 404, "not_found") == f"Project '{project}' not found"


def test_a_deleted_project_takes_its_tokens_with_it(manager: Backend) -> None:
    manager.post("k/", kafka("k"))
    delete_project(registry_of(manager.service), manager.project)
    refused(manager.get(), 401, "unauthorized_client")
