"""What libraries add to a page's requests: another origin sends it, and the service takes it."""

from collections.abc import Iterator

import pytest

from tests.browser.browser import Browser
from tests.browser.served import Served, Website, served_service, website
from tests.neighbours import npm_package

SENTRY = (
    "'sentry-trace': '771a43a4192642f0b136d5159a501700-b0e6f15b45c36b12-1',"
    " baggage: 'sentry-environment=production,sentry-release=1.0',"
    " traceparent: '00-771a43a4192642f0b136d5159a501700-b0e6f15b45c36b12-01'"
)
AXIOS = """window.send = (url, data) => axios.post(url, data, {headers: {
  'X-Requested-With': 'XMLHttpRequest', 'X-CSRF-TOKEN': 'a', 'X-Socket-Id': '1.2'}})
  .then(answer => `${answer.status} ${answer.data.ok ?? answer.data.status}`, error => String(error))"""
FETCH = f"""window.send = (url, data) => fetch(url, {{method: 'POST', body: JSON.stringify(data), headers: {{
  'Content-Type': 'application/json', {SENTRY}}}}})
  .then(async answer => [answer.status, await answer.json()], error => [error, {{}}])
  .then(([status, said]) => `${{status}} ${{said.ok ?? said.status ?? ''}}`.trim())"""


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with website() as site:
        yield site


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, site: Website) -> Iterator[Served]:
    with served_service(
        tmp_path_factory.mktemp("service"),
        cors_origins=(site.origin("shop.example"),),
        guards={"cooldown_enabled": False},
    ) as served:
        yield served


@pytest.fixture(scope="module")
def axios() -> str:
    """The build for browsers, as a page has it."""
    return (npm_package("axios") / "dist" / "axios.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("library", ["axios under Laravel", "fetch under Sentry"])
@pytest.mark.parametrize(("path", "said"), [("/forms/default", "200 true"), ("/api/v1/emails", "201 Sent")])
def test_a_page_with_a_library_that_adds_headers_is_heard(
    browser: Browser, served: Served, site: Website, request: pytest.FixtureRequest, library: str, path: str, said: str
) -> None:
    site.pages["library"] = "<p>"
    data = f"{{email: 'ada@example.com', message: '{library} {path}'}}"
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/library")
        if library.startswith("axios"):
            page.evaluate(request.getfixturevalue("axios"))
            page.evaluate(AXIOS)
        else:
            page.evaluate(FETCH)
        assert page.evaluate(f"send('{served.url}{path}', {data})") == said
        assert f"OPTIONS {served.url}{path}" in page.requests or page.problems == []


def test_a_page_of_another_site_is_not_heard_whatever_it_sends(browser: Browser, served: Served, site: Website) -> None:
    site.pages["library"] = "<p>"
    with browser.page() as page:
        page.open(f"{site.origin('thief.example')}/library")
        page.evaluate(FETCH)
        sent = page.evaluate(f"send('{served.url}/forms/default', {{message: 'x'}})")
        assert sent == "TypeError: Failed to fetch"
