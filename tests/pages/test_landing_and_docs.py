"""`/`, `/docs` and the pages' own files: what they say, and that nothing comes from another host."""

import re

import pytest
from flask.testing import FlaskClient

PAGES = ["/", "/docs", "/inbox", "/demo"]


def text(client: FlaskClient, path: str, *, base_url: str = "http://localhost") -> str:
    response = client.get(path, base_url=base_url)
    assert response.status_code == 200
    page = response.text
    response.close()
    return page


def test_the_landing_page_leads_everywhere(client: FlaskClient) -> None:
    page = text(client, "/")
    for link in ('href="/inbox"', 'href="/docs"', 'href="/openapi.json"'):
        assert link in page
    assert "embedded inbox is running" in page


def test_the_landing_page_without_an_inbox_counts_the_configurations_and_names_none(
    sending_client: FlaskClient,
) -> None:
    page = text(sending_client, "/")
    assert "2 SMTP configurations" in page
    assert "/inbox" not in page
    assert "secret" not in page


def test_the_command_to_copy_names_the_address_that_the_browser_used(client: FlaskClient) -> None:
    page = text(client, "/", base_url="https://mail.example.com:8443/")
    assert "curl https://mail.example.com:8443/api/v1/emails" in page


@pytest.mark.parametrize("host", ["a$(touch x)", "<b>", "a;reboot", "a'b", "a_b`c`"])
def test_a_hostile_host_does_not_reach_the_command(client: FlaskClient, host: str) -> None:
    response = client.get("/", headers={"Host": host})
    assert host not in response.text
    assert "curl http://127.0.0.1:8000/api/v1/emails" in response.text


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_script_or_style_or_a_foreign_host(client: FlaskClient, path: str) -> None:
    page = text(client, path)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert all(address.startswith(("/", "#")) for address in re.findall(r'(?:src|href|action)="([^"]*)"', page))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_policy_of_its_own(client: FlaskClient, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert directives["style-src"] == ("'self' 'unsafe-inline'" if path == "/docs" else "'self'")
    assert "http" not in policy


@pytest.mark.parametrize("path", PAGES)
def test_whatever_a_page_names_is_served(client: FlaskClient, path: str) -> None:
    for address in re.findall(r'(?:src|href)="(/[^"]*\.(?:css|js|svg)(?:\?[^"]*)?)"', text(client, path)):
        with client.get(address) as response:
            assert response.status_code == 200, address
            assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_swagger_ui_is_served_from_here_and_kept_for_long(client: FlaskClient) -> None:
    [script] = re.findall(r'src="(/docs/assets/[^"]*)"', text(client, "/docs"))
    with client.get(script) as response:
        assert response.mimetype == "text/javascript"
        assert len(response.data) > 1_000_000
        assert response.cache_control.max_age == 365 * 24 * 3600
        assert response.cache_control.immutable


@pytest.mark.parametrize("name", ["oauth2-redirect.html", "../__init__.py", "..%2f__init__.py", "LICENSE", "none.js"])
def test_nothing_else_of_that_package_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/assets/{name}").status_code == 404


@pytest.mark.parametrize("name", ["../landing.py", "..%2flanding.py", "../../settings/values.py"])
def test_no_file_outside_of_the_assets_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/assets/{name}").status_code == 404


def test_the_reference_starts_with_our_document_and_asks_no_validator(client: FlaskClient) -> None:
    assert 'data-root="" data-server=""' in text(client, "/docs")
    script = text(client, "/assets/docs.js")
    assert "validatorUrl: null" in script
    assert "http" not in re.sub(r"//.*", "", script)
