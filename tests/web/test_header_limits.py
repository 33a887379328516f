"""How much of a head is taken, and that the rest is not even parsed."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings.network import networks
from app.web import header_limits
from tests.conftest import MakeService, Service, assembling
from tests.test_process import running

KEY = ("the key of these tests, long enough",)
LONG = "a/b;q=0.1, " * 190
"""More than 2 KB."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with assembling(tmp_path_factory.mktemp("heads")) as make:
        yield make(secret_keys=KEY)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/api/v1/versiontest", "application/problem+json"),
        ("/apiops/auth/token", "application/json"),
        ("/forms/default", "text/html; charset=utf-8"),
        ("/openapi.json", "application/problem+json"),
        ("/test", "application/problem+json"),
    ],
)
def test_more_than_32_kb_of_headers_is_431_in_the_form_of_each_surface(
    service: Service, path: str, content_type: str
) -> None:
    headers = {f"X-Part-{number}": "x" * 1000 for number in range(32)}
    origin = {"Origin": "http://localhost:3000"}
    assert service.client.get(path, headers=headers | origin).status_code != 431
    answer = service.client.get(path, headers=headers | origin | {"X-Part-x": "x" * 1000})
    assert answer.status_code == 431
    assert answer.content_type == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if not path.startswith("/forms"):
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("target", ["/api/v1/versiontest?" + "a&" * 4096, "/a" * 4097, "/forms/default?" + "x" * 8192])
def test_a_longer_target_than_8_kb_is_414(service: Service, target: str) -> None:
    assert service.client.get(target).status_code == 414


def test_a_large_head_is_counted(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True}, secret_keys=KEY)
    large = {"X-Large": "x" * 40_000}
    statuses = [service.client.get("/api/v1/versiontest", headers=large).status_code for _ in range(20)]
    assert statuses == [431] * 10 + [429] * 9 + [403]


@pytest.mark.parametrize(
    ("method", "path", "header", "status"),
    [
        ("GET", "/api/v1/versiontest", {"Accept": "text/html"}, 406),
        ("GET", "/api/v1/versiontest", {"Accept": "text/html," + LONG}, 200),
        ("GET", "/assets/letterbox.css", {"Range": "bytes=0-1"}, 206),
        ("GET", "/assets/letterbox.css", {"Range": "bytes=0-1" + ",3-4" * 600}, 200),
        ("GET", "/openapi.json", {"If-None-Match": "*"}, 304),
        ("GET", "/openapi.json", {"If-None-Match": "*," + '"x",' * 600}, 200),
        ("GET", "/inbox/messages", {"If-Match": '"x",' * 600}, 200),
        ("POST", "/api/v1/emails", {"Prefer": "respond-async," * 200, "Content-Type": "application/json"}, 400),
        ("POST", "/api/v1/emails", {"Content-Type": "application/json;" + "a=b;" * 600}, 415),
    ],
)
def test_a_list_of_more_than_2_kb_is_treated_as_absent(
    service: Service, method: str, path: str, header: dict[str, str], status: int
) -> None:
    assert service.client.open(path, method=method, headers=header, buffered=True).status_code == status


def test_a_long_language_list_is_treated_as_absent(service: Service) -> None:
    languages = {"de": "de", "de," + "de;q=0.5," * 300: "en"}
    for given, expected in languages.items():
        answer = service.client.get("/forms/default", headers={"Accept-Language": given})
        assert answer.headers["Content-Language"] == expected


def test_a_wrong_token_of_any_length_is_never_nobody(service: Service) -> None:
    headers = {"Authorization": "Bearer " + "x" * 20_000}
    assert service.client.get("/api/v1/versiontest", headers=headers).status_code == 401


def test_who_sends_a_long_list_of_addresses_counts_as_the_proxy_that_passed_it_on(make_service: MakeService) -> None:
    guards = {"rate_limit_enabled": True, "rate_limit": "1 per hour", "trusted_proxies": networks("127.0.0.1")}
    service = make_service(guards=guards, secret_keys=KEY)

    def ask(forwarded_for: str) -> int:
        return service.client.get("/api/v1/versiontest", headers={"X-Forwarded-For": forwarded_for}).status_code

    assert [ask("192.0.2.1"), ask("192.0.2.2")] == [200, 200]
    # Whatever stands at its end, it is one client.
    assert [ask("192.0.2.9, " * 300 + "192.0.2.3"), ask("192.0.2.9, " * 300 + "192.0.2.4")] == [200, 429]


def test_a_blocked_client_behind_a_proxy_stays_blocked_however_long_its_list_is(make_service: MakeService) -> None:
    guards = {"rate_limit_enabled": True, "trusted_proxies": networks("127.0.0.1")}
    service = make_service(guards=guards, secret_keys=KEY)
    for length in [1] * 20 + [100]:
        headers = {"X-Forwarded-For": "192.0.2.9, " * length + "192.0.2.1"}
        answer = service.client.get("/api/v1/versiontest", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["/api/v1/versiontest", "/forms/default", "/", "/openapi.json", "/forms/default/token"]
)
def test_a_blocked_clients_request_costs_no_more_than_a_small_one(make_service: MakeService, path: str) -> None:
    service = make_service(guards={"rate_limit_enabled": True}, secret_keys=KEY)
    for _ in range(20):
        service.client.get("/api/v1/versiontest")
    lists = ("Accept", "Accept-Language", "Cookie", "If-None-Match", "Range", "Forwarded", "Prefer", "Accept-Encoding")
    large = dict.fromkeys(lists, ("a/b;q=0.1," * 190)[:2000]) | {"X-Rest": "x" * 14_000}

    def cost_s(headers: dict[str, str]) -> float:
        """The least of some, because others want the processor, too."""
        least = 1.0
        for _ in range(20):
            began = time.thread_time()
            assert service.client.get(path, headers=headers).status_code == 403
            least = min(least, time.thread_time() - began)
        return least

    assert cost_s(large) < 2 * cost_s({}) + 0.001


def test_the_server_itself_takes_no_head_of_hundreds_of_kilobytes(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        status, _, _ = service.ask("GET", "/openapi.json", headers={"X-Large": "x" * (header_limits.MOST_OCTETS - 500)})
        assert status == 200
        status, headers, _ = service.ask("GET", "/openapi.json", headers={"X-Large": "x" * 40_000})
        assert (status, headers["x-content-type-options"]) == (431, "nosniff")
        try:
            status, _, _ = service.ask("GET", "/openapi.json", headers={"X-Large": "x" * 400_000})
        except (ConnectionError, http.client.HTTPException):
            return
        assert status == 431
