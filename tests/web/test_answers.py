"""What answers are on the wire: each header once, the body's length, and JSON as Flask writes it."""

import inspect
from collections import Counter
from datetime import UTC, datetime

import pytest
from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.test import TestResponse

from app.web.application import Application
from tests.conftest import MakeService, Service, valid_request

ORIGIN = "http://localhost:3000"

REQUESTS = [
    ("GET", "/api/v1/versiontest", 200),
    ("HEAD", "/api/v1/versiontest", 200),
    ("OPTIONS", "/api/v1/versiontest", 200),
    ("GET", "/api/v1/emails", 401),
    ("GET", "/api/v1/emails/00000000", 404),
    ("POST", "/api/v1/emails", 415),
    ("GET", "/api/emails", 400),
    ("GET", "/api/v9/emails", 404),
    ("GET", "/api/v1/nothing", 404),
    ("DELETE", "/api/v1/emails", 405),
    ("GET", "/apiops/projects/Any/connections/", 401),
    ("GET", "/test", 200),
    ("GET", "/health/ready", 200),
    ("GET", "/", 200),
    ("GET", "/docs", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/nothing", 404),
]


def _demand_a_clean_head(answer: TestResponse) -> None:
    twice = [name for name, count in Counter(name.lower() for name, _ in answer.headers).items() if count > 1]
    assert set(twice) <= {"vary"}


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
def test_no_header_is_said_twice_and_the_length_is_the_bodys(
    service: Service, method: str, path: str, status: int
) -> None:
    answer = service.client.open(path, method=method, headers={"Origin": ORIGIN})
    assert answer.status_code == status
    _demand_a_clean_head(answer)
    if method != "HEAD":
        assert answer.headers.get("Content-Length") in (None, str(len(answer.data)))
    if path.startswith("/api") and method == "GET":
        assert answer.headers["Content-Length"] == str(len(answer.data))


def test_an_accepted_email_has_a_clean_head_too(service: Service) -> None:
    answer = service.post(headers={"Origin": ORIGIN})
    assert answer.status_code == 201
    _demand_a_clean_head(answer)
    assert answer.json is not None
    assert answer.headers["Location"] == f"/api/v1/emails/{answer.json['id']}"
    assert answer.headers["Content-Length"] == str(len(answer.data))


@pytest.mark.parametrize(
    ("path", "mimetype"),
    [("/api/v1/versiontest", "text/plain"), ("/apiops/projects/Any/connections/", "application/json")],
)
def test_refusals_by_the_guards_have_a_clean_head_too(make_service: MakeService, path: str, mimetype: str) -> None:
    service = make_service(guards={"rate_limit_enabled": True})
    seen = set()
    for _ in range(25):
        answer = service.client.get(path, headers={"Origin": ORIGIN})
        _demand_a_clean_head(answer)
        assert answer.headers["Content-Length"] == str(len(answer.data))
        seen.add((answer.status_code, answer.mimetype))
    assert {(429, mimetype), (403, mimetype)} <= seen


@pytest.mark.parametrize(
    "document",
    [
        {"b": 1, "a": [True, None, 1.5]},
        {"text": 'Grüße "quoted" <b> \u2028 \U0001f600', "empty": {}},
        [],
        {"when": datetime(2026, 1, 7, 12, 34, 56, tzinfo=UTC)},
    ],
)
def test_json_is_written_as_flask_writes_it(document: object) -> None:
    ours, theirs = Application("ours"), Flask("theirs")
    assert isinstance(theirs.json, DefaultJSONProvider)
    theirs.json.sort_keys = False
    with ours.app_context():
        answer = ours.json.response(document)
    with theirs.app_context():
        expected = theirs.json.response(document)
    assert isinstance(answer, Response)
    assert isinstance(expected, Response)
    assert answer.data == expected.data
    assert answer.get_wsgi_headers({}) == expected.get_wsgi_headers({})


def test_every_view_and_hook_is_an_ordinary_function(service: Service) -> None:
    """The application runs them as they are."""
    app = service.app
    hooks = [
        hook
        for registered in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
        for each in registered.values()
        for hook in each
    ]
    assert hooks
    assert not [each for each in (*app.view_functions.values(), *hooks) if inspect.iscoroutinefunction(each)]


def test_what_a_header_or_a_query_says_of_the_version_is_not_remembered(service: Service) -> None:
    for _ in range(2):
        assert service.client.post("/api/emails", json=valid_request()).status_code == 400
        named = service.client.post("/api/emails", json=valid_request(), headers={"X-Version": "1.0"})
        assert named.status_code == 201
        assert service.client.post("/api/emails?api-version=1", json=valid_request()).status_code == 201
        assert service.client.post("/api/emails?api-version=9", json=valid_request()).status_code == 404


def test_a_long_path_is_read_like_a_short_one(service: Service) -> None:
    long = "/" * 300
    assert service.client.get(f"/api{long}v1/versiontest").status_code == 200
    assert service.client.get(f"/api/v1/versiontest{long}").status_code == 200
