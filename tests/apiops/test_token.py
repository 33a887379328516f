"""POST /apiops/auth/token: the client credentials grant (RFC 6749, sections 2.3.1, 4.4 and 5)."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.connections.access import ClientCredential, create_client, revoke_client
from app.model.access import Permission
from tests.apiops.conftest import Backend, registry_of
from tests.apiops.test_refusals import refused
from tests.conftest import MakeService, Service

PROJECT = "MyProject"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def client(apiops_service: Service) -> ClientCredential:
    return create_client(
        registry_of(apiops_service), project=PROJECT, permissions=[Permission.CONNECTIONS_VIEW], name="pipeline"
    )


def ask(service: Service, form: Any = None, **options: Any) -> TestResponse:
    return service.client.post("/apiops/auth/token", data=form, **options)


def in_form(client: ClientCredential) -> dict[str, str]:
    return GRANT | {"client_id": client.client_id, "client_secret": client.client_secret}


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def is_accepted(service: Service, answer: TestResponse) -> None:
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert list(body) == ["access_token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    caller = Backend(service=service, token=body["access_token"], project=PROJECT)
    assert caller.get().status_code == 200
    assert caller.delete("k/").status_code == 403


def test_credentials_in_the_form_are_exchanged(apiops_service: Service, client: ClientCredential) -> None:
    is_accepted(apiops_service, ask(apiops_service, in_form(client)))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_credentials_in_http_basic_are_exchanged(
    apiops_service: Service, client: ClientCredential, scheme: str
) -> None:
    headers = basic(client.client_id, client.client_secret)
    headers["Authorization"] = headers["Authorization"].replace("Basic", scheme)
    is_accepted(apiops_service, ask(apiops_service, GRANT, headers=headers))


def test_http_basic_is_read_as_form_encoded(apiops_service: Service, client: ClientCredential) -> None:
    encoded = "".join(f"%{ord(letter):02x}" for letter in client.client_secret)
    is_accepted(apiops_service, ask(apiops_service, GRANT, headers=basic(client.client_id, encoded)))


def test_the_token_ends_after_an_hour(make_service: MakeService) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    service = make_service(clock=lambda: now)
    client = create_client(registry_of(service), project=PROJECT, permissions=[Permission.CONNECTIONS_VIEW])
    caller = Backend(service=service, token=ask(service, in_form(client)).get_json()["access_token"], project=PROJECT)
    assert caller.get().status_code == 200
    now += timedelta(hours=1)
    assert caller.get().status_code == 401


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "CLIENT_CREDENTIALS"])
def test_other_grants_are_not_supported(apiops_service: Service, client: ClientCredential, grant: str) -> None:
    answer = ask(apiops_service, in_form(client) | {"grant_type": grant})
    assert "client_credentials" in refused(answer, 400, "unsupported_grant_type")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
def test_a_parameter_that_is_missing_empty_or_given_twice_is_named(
    apiops_service: Service, client: ClientCredential, name: str
) -> None:
    form: dict[str, Any] = in_form(client)
    for wrong in (
        form | {name: ""},
        {key: value for key, value in form.items() if key != name},
        form | {name: ["a", "b"]},
    ):
        answer = ask(apiops_service, wrong)
        assert name in refused(answer, 400, "invalid_request")
        assert client.client_secret not in answer.text


def test_credentials_in_both_places_are_refused(apiops_service: Service, client: ClientCredential) -> None:
    headers = basic(client.client_id, client.client_secret)
    assert "not in both" in refused(ask(apiops_service, in_form(client), headers=headers), 400, "invalid_request")


@pytest.mark.parametrize("body", [{"json": GRANT}, {"form": "x", "content_type": "text/plain"}, {}])
def test_what_is_not_a_form_is_refused(apiops_service: Service, body: dict[str, Any]) -> None:
    refused(ask(apiops_service, **body), 400, "invalid_request")


def test_parameters_in_the_query_are_not_read(apiops_service: Service, client: ClientCredential) -> None:
    answer = apiops_service.client.post("/apiops/auth/token", query_string=in_form(client), data={"x": "y"})
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !", "Basic YWJj", "Basic /w==", "Basic " + "A" * 5000, "Digest x", "Negotiate"],
)
def test_credentials_that_cannot_be_read_are_bad_credentials(
    apiops_service: Service, client: ClientCredential, authorization: str
) -> None:
    answer = ask(apiops_service, GRANT, headers={"Authorization": authorization})
    assert refused(answer, 401, "unauthorized_client") == "Bad credentials"


def test_wrong_credentials_are_told_alike_whatever_is_wrong(apiops_service: Service, client: ClientCredential) -> None:
    right = in_form(client)
    unknown, wrong = right | {"client_id": "nobody"}, right | {"client_secret": "wrong"}
    answers = [ask(apiops_service, unknown), ask(apiops_service, wrong)]
    answers.append(ask(apiops_service, GRANT, headers=basic(client.client_id, "wrong")))
    answers.append(ask(apiops_service, GRANT, headers=basic("x\x00\x00y", "\x00")))
    revoke_client(registry_of(apiops_service), client.client_id)
    answers.append(ask(apiops_service, right))
    for answer in answers:
        assert refused(answer, 401, "unauthorized_client") == "Bad credentials"
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Letterbox"'


def test_a_bearer_token_is_no_client(apiops_service: Service, client: ClientCredential) -> None:
    answer = ask(apiops_service, in_form(client), headers={"Authorization": "Bearer unknown"})
    assert refused(answer, 401, "unauthorized_client") == "Invalid token"


def test_a_form_that_is_too_large_is_refused(make_service: MakeService) -> None:
    service = make_service()
    refused(ask(service, GRANT | {"client_id": "x" * 20_000}), 413, "request_entity_too_large")
