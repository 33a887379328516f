"""Which budget each route counts in, and what a blocked client gets there."""

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from app.connections.access import create_token
from app.emails.office import Office
from app.model.access import Caller, Permission
from tests.conftest import MakeService, Service, assembling

ORIGIN = "https://www.example.com"
KEY = ("the key of these tests, long enough",)
GUARDS = {
    "rate_limit_enabled": True,
    "rate_limit": "1000 per minute",
    "page_rate_limit": "100 per minute",
    "burst_limit": 3000,
    "excess_limit": 3000,
}
WRONG_TOKEN = {"Authorization": f"Bearer lbx_{'A' * 43}"}

PAGES = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/inbox"),
    ("GET", "/demo"),
    ("GET", "/nothing/here"),
    ("POST", "/assets/letterbox.css"),
    ("POST", "/test"),
    ("GET", "/forms"),
    ("GET", "/forms/default"),
    ("GET", "/forms/default/token"),
    ("GET", "/forms/default/challenge"),
    ("GET", "/forms/default/snippet"),
    ("GET", "/forms/abcdefghjkmnpqrstuvw/token"),
    ("OPTIONS", "/forms/default"),
]
SENDING = [
    ("GET", "/api/v1/versiontest"),
    ("PUT", "/API//nothing/"),
    ("POST", "/apiops/auth/token"),
    ("POST", "/forms/default"),
    ("POST", "/forms/abcdefghjkmnpqrstuvw"),
    ("POST", "/forms/default/snippet"),
]
FREE = [
    ("GET", "/test"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/assets/letterbox.css"),
    ("HEAD", "/assets/letterbox.css"),
    ("GET", "/docs/assets/swagger-ui.css"),
    ("GET", "/forms/static/forms.css"),
    ("GET", "/forms/assets/letterbox.js"),
]
"""With the status of somebody who is not blocked."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with assembling(tmp_path_factory.mktemp("counting")) as make:
        yield make(guards=GUARDS, secret_keys=KEY, cors_origins=(ORIGIN,))


def ask(service: Service, method: str, path: str, *, client: str, **headers: str) -> TestResponse:
    return service.client.open(
        path, method=method, headers=headers, environ_overrides={"REMOTE_ADDR": client}, buffered=True
    )


def budgets(service: Service, client: str) -> tuple[int, int]:
    """Requests that are left to a client: for what sends, and for pages. Asking takes one of each."""
    left = []
    for path in ("/api/v1/versiontest", "/nothing"):
        figures = ask(service, "GET", path, client=client).headers["RateLimit"]
        left.append(int(figures.partition(";r=")[2].partition(";")[0]))
    return left[0], left[1]


@pytest.mark.parametrize(
    ("route", "cost"),
    [
        *((route, (0, 1)) for route in PAGES),
        *((route, (1, 0)) for route in SENDING),
        *((route, (0, 0)) for route in FREE),
    ],
)
def test_a_request_counts_once_in_the_budget_of_its_route(
    service: Service, route: tuple[str, str], cost: tuple[int, int]
) -> None:
    client = f"2001:db8:0:{(PAGES + SENDING + FREE).index(route):x}::1"
    before = budgets(service, client)
    answer = ask(service, *route, client=client)
    sending, pages = budgets(service, client)
    assert (before[0] - 1 - sending, before[1] - 1 - pages) == cost
    assert ("RateLimit" in answer.headers) is (cost != (0, 0))


@pytest.mark.parametrize("path", ["/forms/default/snippet", "/forms/abcdefghjkmnpqrstuvw/snippet"])
def test_a_wrong_token_at_a_forms_code_counts_as_one_at_the_api(service: Service, path: str) -> None:
    client = "192.0.2.20"
    before = budgets(service, client)
    for method in ("GET", "POST"):
        assert ask(service, method, path, client=client, **WRONG_TOKEN).status_code in (401, 404)
    assert budgets(service, client) == (before[0] - 3, before[1] - 1)


def test_a_good_token_at_a_forms_code_counts_for_the_token(service: Service) -> None:
    office: Office = service.app.extensions["letterbox"]
    token = create_token(office.registry, project="Shop", permissions=(Permission.FORMS_MANAGE,))
    answer = ask(service, "GET", "/forms/default/snippet", client="192.0.2.21", Authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert answer.headers["RateLimit-Policy"] == '"default";q=600;w=60'


def test_wrong_secrets_of_a_client_are_throttled_and_then_blocked(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True}, secret_keys=KEY)
    statuses = [
        service.client.post(
            "/apiops/auth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": "Basic eDp5"}
        ).status_code
        for _ in range(21)
    ]
    assert statuses == [401] * 10 + [429] * 9 + [403] * 2


def test_the_next_page_beyond_the_limit_is_refused_and_sending_goes_on(make_service: MakeService) -> None:
    service = make_service(guards={"rate_limit_enabled": True}, cors_origins=(ORIGIN,), secret_keys=KEY)
    paths = ("/", "/openapi.json", "/forms/default/token", "/forms/default/snippet")
    assert {service.client.get(path).status_code for path in paths * 15} == {200}
    for path in paths:
        answer = service.client.get(path, headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        assert answer.headers["RateLimit-Policy"] == '"page-default";q=60;w=60'
        # A form's script has to be able to read it.
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    # However long it goes on, nobody is blocked for looking.
    for _ in range(120):
        service.client.get("/")
    assert service.client.get("/forms/assets/letterbox.js", buffered=True).status_code == 200
    form = {"email": "a@example.com", "message": "Hello"}
    answer = service.client.post("/forms/default", data=form, headers={"Origin": ORIGIN, "Accept": "application/json"})
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def blocking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has blocked 192.0.2.1."""
    with assembling(tmp_path_factory.mktemp("blocking")) as make:
        service = make(guards={"rate_limit_enabled": True}, secret_keys=KEY, cors_origins=(ORIGIN,))
        for _ in range(20):
            ask(service, "GET", "/api/v1/versiontest", client="192.0.2.1")
        yield service


@pytest.mark.parametrize("route", PAGES + SENDING)
def test_a_blocked_client_is_refused_on_every_counted_route(blocking: Service, route: tuple[str, str]) -> None:
    answer = ask(blocking, *route, client="192.0.2.1", Origin=ORIGIN)
    assert answer.status_code == 403
    assert answer.headers["RateLimit"].partition(";t=")[0].endswith('";r=0')
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("route", FREE)
def test_a_blocked_client_gets_what_is_not_counted(blocking: Service, route: tuple[str, str]) -> None:
    assert ask(blocking, *route, client="192.0.2.1").status_code in (200, 405)


def test_a_blocked_visitor_is_told_in_their_language(blocking: Service) -> None:
    answer = ask(blocking, "POST", "/forms/default", client="192.0.2.1", **{"Accept-Language": "de-CH,de;q=0.9"})
    assert "Anfragen von Ihrem Anschluss" in answer.text
    assert answer.headers["Content-Language"] == "de"


def test_wrong_tokens_of_a_blocked_client_are_looked_up_once_a_second(
    blocking: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    office: Office = blocking.app.extensions["letterbox"]
    looked_up: list[str] = []
    caller = office.registry.live.caller

    def look_up(token: str) -> Caller:
        looked_up.append(token)
        return caller(token)

    monkeypatch.setattr(office.registry.live, "caller", look_up)
    for _ in range(50):
        assert ask(blocking, "POST", "/api/v1/emails", client="192.0.2.1", **WRONG_TOKEN).status_code == 403
    assert 1 <= len(looked_up) <= 3
    good = create_token(office.registry, project="Shop", permissions=(Permission.EMAILS_VIEW,))
    assert caller(good).project == "Shop"
    for _ in range(5):
        # Somebody else behind the same address, known from before.
        answer = ask(blocking, "GET", "/api/v1/emails", client="192.0.2.1", Authorization=f"Bearer {good}")
        assert answer.status_code == 200
