"""What every answer carries, refusals by the guards, and the last resorts (spec: email-api, sections 2 and 7)."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.conftest import MakeService, Service, valid_request

POLICY = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/versiontest", 200),
        ("GET", "/api/v1/emails/00000000", 404),
        ("POST", "/api/v1/emails", 415),
        ("GET", "/api/emails", 400),
        ("GET", "/api/v9/emails", 404),
        ("DELETE", "/api/v1/emails", 405),
        ("GET", "/test", 200),
        ("GET", "/nothing", 404),
        ("GET", "/openapi.json", 200),
    ],
)
def test_every_answer_is_readable_by_the_form_and_by_nobody_else(
    service: Service, method: str, path: str, status: int
) -> None:
    origin = "http://localhost:3000"
    answer = service.client.open(path, method=method, headers={"Origin": origin})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Request-ID"]
    assert ("no-store" in answer.headers.get("Cache-Control", "")) is path.startswith("/api")
    stranger = service.client.open(path, method=method, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert "Origin" in stranger.headers["Vary"]


def test_a_preflight_is_answered_for_allowed_origins_and_counts_nowhere(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True}, cors_origins=("https://www.example.com",))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-version"}
    for _ in range(40):
        answer = service.client.options("/api/emails", headers={"Origin": "https://www.example.com"} | asked)
        assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "X-Version" in answer.headers["Access-Control-Allow-Headers"]
    refused = service.client.options("/api/emails", headers={"Origin": "null"} | asked)
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert "Access-Control-Allow-Methods" not in refused.headers
    assert service.client.get("/api/v1/versiontest").headers["RateLimit"] == '"default";r=9;t=60'


@pytest.mark.parametrize(
    ("path", "asked", "allowed"),
    [
        ("/api/v1/emails", "X-Requested-With,sentry-trace, baggage", {"x-requested-with", "sentry-trace", "baggage"}),
        ("/api/v1/emails", "authorization", {"authorization"}),
        ("/forms/default", "x-requested-with,traceparent", {"x-requested-with", "traceparent", "content-type"}),
        ("/forms/default/token", "newrelic", {"newrelic"}),
        ("/forms/default", "", {"content-type"}),
    ],
)
def test_a_preflight_allows_the_headers_that_libraries_add(
    service: Service, path: str, asked: str, allowed: set[str]
) -> None:
    answer = preflight(service, path, asked)
    assert allowed <= allowed_headers(answer)
    assert "Access-Control-Request-Headers" in ", ".join(answer.headers.getlist("Vary"))
    assert allowed_headers(preflight(service, path, asked, origin="https://evil.example")) == set()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/forms/default", "Authorization"),
        ("/forms/default", "x-a,COOKIE"),
        ("/api/v1/emails", "x y"),
        ("/api/v1/emails", "x:y"),
        ("/api/v1/emails", "(x)"),
        ("/api/v1/emails", "x" * 2049),
        ("/apiops/projects/p/connections", "x-requested-with"),
    ],
)
def test_a_preflight_allows_no_name_that_is_none_and_no_credentials_for_forms(
    service: Service, path: str, asked: str
) -> None:
    answer = preflight(service, path, asked)
    assert answer.status_code == 204
    assert asked.rpartition(",")[2].lower() not in allowed_headers(answer)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def preflight(service: Service, path: str, asked: str, *, origin: str = "http://localhost:3000") -> TestResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return service.client.options(path, headers=headers | ({"Access-Control-Request-Headers": asked} if asked else {}))


def allowed_headers(answer: TestResponse) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get("Access-Control-Allow-Headers", "").split(",") if name}


def test_the_eleventh_request_in_a_minute_is_throttled_whatever_the_first_ten_were(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    paths = ["/api/v1/versiontest", "/api/emails", "/api/v9/emails", "/API/v1/nothing", "/api//v1/versiontest/"]
    for path in paths * 2:
        answer = service.client.post(path) if "emails" in path else service.client.get(path)
        assert answer.status_code not in (403, 429)
        assert answer.headers["RateLimit-Policy"] == '"default";q=10;w=60'
    answer = service.client.get("/api/v1/versiontest", headers={"Origin": "http://localhost"})
    assert answer.status_code == 429
    assert answer.mimetype == "text/plain"
    assert answer.text == "Too many requests. Please try again later."
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["RateLimit"].startswith('"default";r=0;t=')
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost"
    for path in ("/test", "/", "/docs", "/openapi.json", "/metrics"):
        assert service.client.get(path).status_code == 200
    elsewhere = service.client.get("/api/v1/versiontest", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 200


def test_the_twentieth_request_within_seconds_is_blocked_and_pages_still_work(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    statuses = [service.client.get("/api/v1/versiontest").status_code for _ in range(21)]
    assert statuses == [200] * 10 + [429] * 9 + [403] * 2
    answer = service.client.post("/api/v1/emails", json=valid_request(), headers={"Origin": "http://localhost"})
    assert answer.status_code == 403
    assert answer.mimetype == "text/plain"
    assert answer.text == "Your IP address has been blocked due to suspicious activity."
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost"
    assert service.inbox.list() == []
    assert service.client.get("/test").text == "Test: route is working"


def test_a_restart_frees_nobody(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    for _ in range(20):
        service.client.get("/api/v1/versiontest")
    service.app.extensions["letterbox"].gate.close()
    restarted = make_service(guards={"rate_limit_enabled": True})
    assert restarted.client.get("/api/v1/versiontest").status_code == 403
    assert restarted.app.extensions["letterbox"].gate.lift("127.0.0.1")
    assert restarted.client.get("/api/v1/versiontest").status_code == 200


def test_a_client_cannot_choose_its_own_address(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    statuses = [
        service.client.get("/api/v1/versiontest", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(11)
    ]
    assert statuses == [200] * 10 + [429]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (None, 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("text/html, application/problem+json;q=0.5", 200),
        ("text/html", 406),
        ("application/json;q=0, text/html", 406),
        ("image/*", 406),
    ],
)
def test_who_cannot_read_json_is_told_before_anything_is_sent(
    service: Service, accept: str | None, status: int
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = service.client.get("/api/v1/versiontest", headers=headers)
    assert answer.status_code == status
    if status == 406:
        assert answer.mimetype == "application/problem+json"
        assert service.post(headers=headers).status_code == 406
        assert service.inbox.list() == []


def test_405_says_what_is_allowed(service: Service) -> None:
    answer = service.client.delete("/api/v1/emails")
    assert answer.status_code == 405
    assert answer.mimetype == "application/problem+json"
    assert "POST" in answer.headers["Allow"]


def test_browsers_are_told_to_stay_with_tls_only_behind_tls(make_service: MakeService) -> None:
    service = make_service(guards={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    header = "Strict-Transport-Security"
    assert header not in service.client.get("/test").headers
    assert header in service.client.get("/test", base_url="https://mail.example.com").headers
    assert header in service.client.get("/test", headers={"X-Forwarded-Proto": "https"}).headers
    stranger = {"REMOTE_ADDR": "192.0.2.7"}
    answer = service.client.get("/test", headers={"X-Forwarded-Proto": "https"}, environ_overrides=stranger)
    assert header not in answer.headers


def test_an_unforeseen_error_is_logged_and_not_shown(
    make_service: MakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()

    @service.app.get("/breaks")
    def breaks() -> str:
        raise KeyError("the-secret-reason")

    answer = service.client.get("/breaks", headers={"X-Request-ID": "trace-1"})
    assert answer.status_code == 500
    assert answer.json == {"error": "An unexpected error has occurred. Please try again later."}
    assert answer.headers["X-Request-ID"] == "trace-1"
    assert "the-secret-reason" in caplog.text
    assert "trace-1" in caplog.text


def test_when_the_record_cannot_be_written_nothing_is_sent(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    for file in tmp_path.glob("letterbox.db*"):
        file.unlink()
    service.app.extensions["letterbox"].database.close()
    (tmp_path / "letterbox.db").write_text("This is not a database, and long enough to be looked at." * 100)
    answer = service.post()
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert service.inbox.list() == []
    assert service.client.get("/api/v1/emails/00000000").status_code == 503


def test_the_openapi_document_names_every_template_and_no_secret(service: Service) -> None:
    document = service.client.get("/openapi.json").json
    assert document is not None
    schemas = document["components"]["schemas"]
    request = schemas["EmailRequest"]["properties"]
    assert request["Template"]["enum"] == ["Default", "Modern", "Minimal", "Professional", "Alert"]
    assert "password" not in json.dumps([schemas[name] for name in ("EmailRequest", "SMTPConfiguration")]).lower()
