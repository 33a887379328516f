"""What holds for everything under `/apiops`: refusals by routes and guards, headers, and the last resorts."""

from pathlib import Path

import pytest

from app.guards.admission import Verdict
from app.model.access import Permission
from tests.apiops.conftest import SECRET_KEYS, Backend, backend, kafka, registry_of
from tests.apiops.test_refusals import refused
from tests.conftest import MakeService, Service

LIST = "/apiops/projects/MyProject/connections/"


@pytest.mark.parametrize("path", ["/apiops", "/apiops/", "/apiops/x", "/APIOPS/auth/token", "/apiops/projects/a/b"])
def test_routes_that_do_not_exist_are_not_found_in_this_form(service: Service, path: str) -> None:
    refused(service.client.get(path), 404, "not_found")
    assert "X-Request-ID" in service.client.get(path).headers


def test_other_paths_keep_their_form(service: Service) -> None:
    for path in ("/apiopsx", "/api/v1/nothing", "/nothing"):
        assert service.client.get(path).mimetype == "application/problem+json"


def test_405_says_what_is_allowed(service: Service) -> None:
    answer = service.client.patch(LIST + "k/")
    refused(answer, 405, "method_not_allowed")
    assert {"GET", "POST", "PUT", "DELETE"} <= set(answer.headers["Allow"].split(", "))


def test_who_cannot_read_json_is_told(manager: Backend) -> None:
    refused(manager.get(headers={"Accept": "text/html"}), 406, "not_acceptable")


@pytest.fixture
def own_manager(make_service: MakeService) -> Backend:
    """Of a service that a test may break."""
    return backend(make_service(secret_keys=SECRET_KEYS), Permission.CONNECTIONS_MANAGE)


def test_a_body_that_is_too_large_is_refused(own_manager: Backend) -> None:
    own_manager.service.app.config["MAX_CONTENT_LENGTH"] = 100
    refused(own_manager.post("k/", kafka("k", description="x" * 200)), 413, "request_entity_too_large")


def test_addresses_without_a_token_are_throttled_and_blocked_in_this_form(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    answers = [service.client.get(LIST) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 9 + [403]
    refused(answers[10], 429, "too_many_requests")
    assert answers[10].headers["Retry-After"] == "60"
    assert answers[10].headers["RateLimit"].startswith('"default";r=0')
    refused(answers[19], 403, "forbidden")


def test_a_token_has_a_budget_of_its_own(make_service: MakeService) -> None:
    service = make_service(
        secret_keys=SECRET_KEYS, guards={"rate_limit_enabled": True, "token_rate_limit": "3 per minute"}
    )
    first, second = (backend(service, Permission.CONNECTIONS_VIEW) for _ in range(2))
    assert [first.get().status_code for _ in range(5)] == [200] * 3 + [429] * 2
    refused(first.get(), 429, "too_many_requests")
    assert second.get().status_code == 200
    # Nor does any of it count for the address.
    assert service.app.extensions["letterbox"].gate.admit("127.0.0.1").verdict is Verdict.ADMITTED


def test_a_preflight_allows_the_methods_of_this_surface(service: Service) -> None:
    origin = {"Origin": "http://localhost:3000"}
    for method in ("PUT", "DELETE"):
        answer = service.client.options(LIST + "k/", headers=origin | {"Access-Control-Request-Method": method})
        assert answer.status_code == 204
        assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_nothing_is_kept_by_a_cache(service: Service, manager: Backend) -> None:
    answers = [manager.get(), manager.post("k/", kafka("k")), manager.get("k/"), manager.get("x/")]
    answers += [service.client.get(LIST), service.client.get("/apiops/x"), service.client.post("/apiops/auth/token")]
    assert [answer.headers.get("Cache-Control") for answer in answers] == ["no-store"] * len(answers)


def test_when_the_database_does_not_answer_it_is_said_so(own_manager: Backend, tmp_path: Path) -> None:
    for file in tmp_path.glob("letterbox.db*"):
        file.unlink()
    registry_of(own_manager.service).database.close()
    (tmp_path / "letterbox.db").write_text("This is not a database, and long enough to be looked at." * 100)
    answer = own_manager.get()
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]


def test_an_unforeseen_error_is_logged_and_not_shown(
    manager: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("the-hidden-reason")

    monkeypatch.setattr("app.connections.manage.list_connections", fail)
    answer = manager.get()
    refused(answer, 500, "internal_error")
    assert "the-hidden-reason" not in answer.text
    assert "the-hidden-reason" in caplog.text
