"""Every route against every permission. A route without a line in the table fails here, and the service closes it."""

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from app.connections import access
from app.emails.office import Office
from app.model.access import Permission
from app.web.authentication import access_rule
from tests.conftest import Service, assembling, valid_request

VIEW, MANAGE = Permission.CONNECTIONS_VIEW, Permission.CONNECTIONS_MANAGE
SEND, READ = Permission.EMAILS_SEND, Permission.EMAILS_VIEW
FORMS_MANAGE = Permission.FORMS_MANAGE
ANYBODY = None
"""Among the permissions of a route: who shows no token is let in, too."""

CONNECTIONS = "/apiops/projects/<projectName>/connections"
FORMS = "/apiops/projects/<projectName>/forms"

ROUTES: dict[tuple[str, str], tuple[Permission | None, ...]] = {
    ("GET", f"{CONNECTIONS}/"): (VIEW, MANAGE),
    ("GET", f"{CONNECTIONS}/<connectionName>/"): (VIEW, MANAGE),
    ("POST", f"{CONNECTIONS}/<connectionName>/"): (MANAGE,),
    ("PUT", f"{CONNECTIONS}/<connectionName>/"): (MANAGE,),
    ("DELETE", f"{CONNECTIONS}/<connectionName>/"): (MANAGE,),
    ("POST", f"{CONNECTIONS}/<connectionName>/test/"): (MANAGE,),
    ("GET", f"{FORMS}/"): (FORMS_MANAGE,),
    ("GET", f"{FORMS}/<formName>/"): (FORMS_MANAGE,),
    ("POST", f"{FORMS}/<formName>/"): (FORMS_MANAGE,),
    ("PUT", f"{FORMS}/<formName>/"): (FORMS_MANAGE,),
    ("DELETE", f"{FORMS}/<formName>/"): (FORMS_MANAGE,),
    ("POST", "/apiops/auth/token"): (ANYBODY, *Permission),
    ("GET", "/api/v1/emails"): (READ,),
    ("POST", "/api/v1/emails"): (ANYBODY, SEND),
    ("GET", "/api/v1/emails/<emailId>"): (ANYBODY, SEND, READ),
    ("GET", "/api/v1/smtp-configurations"): (ANYBODY, SEND, READ),
    ("GET", "/api/v1/smtp-configurations/<smtpId>"): (ANYBODY, SEND, READ),
    ("GET", "/api/v1/versiontest"): (ANYBODY, *Permission),
    ("GET", "/api/v2/versiontest"): (ANYBODY, *Permission),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("access")
    with assembling(directory) as make:
        yield make(secret_keys=("k" * 32,), guards={"cooldown_enabled": False})


def office(service: Service) -> Office:
    found: Office = service.app.extensions["letterbox"]
    return found


def token(
    service: Service, *permissions: Permission, project: str = "Mine", expires_in: timedelta | None = None
) -> str:
    return access.create_token(
        office(service).registry, project=project, permissions=permissions, expires_in=expires_in
    )


def ask(service: Service, method: str, rule: str, token: str | None, *, project: str = "Mine") -> TestResponse:
    path = (
        rule.replace("<projectName>", project)
        .replace("<connectionName>", "absent")
        .replace("<formName>", "absent")
        .replace("<emailId>", "00000000")
        .replace("<smtpId>", "1")
    )
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = valid_request() if method == "POST" and rule.endswith("emails") else None
    return service.client.open(path, method=method, headers=headers, json=body)


def is_let_in(response: TestResponse) -> bool:
    return response.status_code not in (401, 403) and b"Project '" not in response.data


def test_the_table_names_every_route_and_no_other(service: Service) -> None:
    found = {
        (method, rule.rule)
        for rule in service.app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/apiops/"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == set(ROUTES)


def test_every_view_of_the_apis_says_who_may_call_it(service: Service) -> None:
    for rule in service.app.url_map.iter_rules():
        if rule.rule.startswith(("/api/", "/apiops/")):
            assert access_rule(service.app.view_functions[rule.endpoint]) is not None, rule.rule


@pytest.mark.parametrize(("route", "permission"), list(product(ROUTES, Permission)))
def test_a_permission_opens_its_routes_and_no_others(
    service: Service, route: tuple[str, str], permission: Permission
) -> None:
    response = ask(service, *route, token(service, permission))
    assert is_let_in(response) is (permission in ROUTES[route]), response.data
    if not is_let_in(response):
        assert response.status_code == 403


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_token_only_open_routes_answer(service: Service, route: tuple[str, str]) -> None:
    response = ask(service, *route, None)
    if route[1].endswith("auth/token"):
        assert response.json is not None
        assert response.json["error"] != "unauthorized_client"
        return
    assert is_let_in(response) is (ANYBODY in ROUTES[route]), response.data
    if not is_let_in(response):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["unknown", "malformed", "expired", "revoked", "empty"])
def test_a_token_that_is_not_valid_is_never_nobody(service: Service, route: tuple[str, str], kind: str) -> None:
    registry = office(service).registry
    if kind == "expired":
        shown = token(service, *Permission, expires_in=timedelta(milliseconds=1))
        time.sleep(0.002)
    elif kind == "revoked":
        shown = token(service, *Permission)
        access.revoke_token(registry, access.list_tokens(registry)[-1].id)
    else:
        shown = {"unknown": "lbx_" + "A" * 43, "malformed": "lbx_\xe9 x", "empty": ""}[kind]
    response = ask(service, *route, shown)
    assert response.status_code == 401, response.data
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.content_type == (
        "application/json" if route[1].startswith("/apiops") else "application/problem+json"
    )


@pytest.mark.parametrize("route", [route for route in ROUTES if "<projectName>" in route[1]])
def test_a_project_of_somebody_else_reads_as_one_that_does_not_exist(service: Service, route: tuple[str, str]) -> None:
    token(service, *Permission, project="Theirs")
    mine = token(service, *Permission)
    theirs, absent = ask(service, *route, mine, project="Theirs"), ask(service, *route, mine, project="Absent")
    assert theirs.status_code == absent.status_code == 404
    assert theirs.json == {"error": "not_found", "error_description": "Project 'Theirs' not found"}
    assert absent.json == {"error": "not_found", "error_description": "Project 'Absent' not found"}


def test_the_scheme_is_matched_without_case(service: Service) -> None:
    headers = {"Authorization": f"bEARER {token(service, READ)}"}
    assert service.client.get("/api/v1/emails", headers=headers).status_code == 200


def test_a_token_without_its_scheme_is_refused(service: Service) -> None:
    headers = {"Authorization": token(service, SEND)}
    assert service.post(headers=headers).status_code == 401
