"""`/forms/{key}/snippet`: who sees it, and what the code on it is."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from app.connections.access import create_token
from app.emails.office import Office
from app.forms import operator
from app.inbox.embedding import is_embedded
from app.intake.snippet_fields import HONEYPOT
from app.model.access import Permission
from app.model.form import Form
from app.model.smtp import Account, SMTPConfiguration
from app.settings import Settings
from tests.conftest import MakeService, Service, assembling

SMTP = SMTPConfiguration(index=1, host="127.0.0.1", port=465, account=Account("web@example.com", "", None))
FORM = Form(key="default", name="Contact", recipients=("office@example.com",))
BODY: dict[str, Any] = {"recipients": ["office@example.com"], "allowedOrigins": ["https://www.example.com"]}


def office_of(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with assembling(tmp_path_factory.mktemp("service")) as make:
        yield make(
            secret_keys=("a key that only these tests know, and long enough",),
            turnstile_site_key="0x4AAA",
            turnstile_secret_key="secret-of-turnstile",
        )


@pytest.fixture
def form(service: Service) -> Form:
    return new_form(service, f"form {uuid4().hex}")


def new_form(service: Service, name: str, **fields: Any) -> Form:
    return operator.create_form(office_of(service), "Shop", name, BODY | fields)


def token(service: Service, *permissions: Permission, project: str = "Shop") -> str:
    registry = office_of(service).registry
    return create_token(registry, project=project, permissions=permissions or (Permission.FORMS_MANAGE,))


def get(service: Service, form: Form, shown: str | None = None, **options: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {shown}"} if shown is not None else {}
    return service.client.get(f"/forms/{form.key}/snippet", headers=headers, **options)


def code(page: str, id: str) -> str:
    match = re.search(rf'<pre id="{id}"[^>]*><code>(.*?)</code></pre>', page, re.DOTALL)
    assert match is not None, page
    return unescape(match[1])


class Fields(HTMLParser):
    """The forms, fields, scripts and other elements of some HTML: (tag, attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def names(self) -> list[str | None]:
        return [attributes["name"] for name, attributes in self.elements if name in ("input", "textarea")]


def test_a_browser_is_asked_for_the_token_and_sends_it_in_the_body(service: Service, form: Form) -> None:
    page = get(service, form)
    assert page.status_code == 200
    assert "<pre" not in page.text
    parsed = Fields(page.text)
    [asking] = parsed.all("form")
    assert (asking["method"], asking["action"]) == ("post", f"/forms/{form.key}/snippet")
    [field] = parsed.all("input")
    assert (field["type"], field["name"], field["autocomplete"]) == ("password", "token", "off")
    shown = service.client.post(f"/forms/{form.key}/snippet", data={"token": f" {token(service)} "})
    assert shown.status_code == 200
    assert f'action="http://localhost/forms/{form.key}"' in code(shown.text, "plain")


def test_a_token_in_the_header_is_enough(service: Service, form: Form) -> None:
    assert f"/forms/{form.key}" in code(get(service, form, token(service)).text, "plain")


@pytest.mark.parametrize("wrong", ["", "lbx_wrong", "é", "x" * 3000])
def test_a_wrong_token_is_refused_with_a_page(service: Service, form: Form, wrong: str) -> None:
    response = service.client.post(f"/forms/{form.key}/snippet", data={"token": wrong})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "no valid access token" in response.text
    assert "<pre" not in response.text
    assert not wrong or wrong not in response.text


@pytest.mark.parametrize("authorization", ["Bearer lbx_wrong", "Bearer", "Basic YTpi", ""])
def test_a_wrong_header_is_refused(service: Service, form: Form, authorization: str) -> None:
    response = service.client.get(f"/forms/{form.key}/snippet", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert "<pre" not in response.text


def test_a_body_that_is_no_token_is_not_read(service: Service, form: Form) -> None:
    response = service.client.post(f"/forms/{form.key}/snippet", data={"token": "x" * 100_000})
    assert response.status_code == 401


def test_a_token_of_another_project_or_for_something_else_is_refused(service: Service, form: Form) -> None:
    others = (token(service, project="Other"), token(service, Permission.EMAILS_SEND, Permission.CONNECTIONS_MANAGE))
    for other in others:
        for response in (
            get(service, form, other),
            service.client.post(f"/forms/{form.key}/snippet", data={"token": other}),
        ):
            assert response.status_code == 403
            assert "<pre" not in response.text
            assert other not in response.text


def test_a_token_in_the_address_is_not_looked_at(service: Service, form: Form) -> None:
    shown = token(service)
    response = service.client.get(f"/forms/{form.key}/snippet?token={shown}")
    assert "<pre" not in response.text
    assert shown not in response.text


@pytest.mark.parametrize("key", ["abcdefghjkmnpqrs2345", "x", "%00", "DEFAULT"])
def test_a_form_that_does_not_exist_has_no_code(service: Service, key: str) -> None:
    for response in (
        service.client.get(f"/forms/{key}/snippet"),
        service.client.post(f"/forms/{key}/snippet", data={"token": token(service)}),
    ):
        assert response.status_code == 404
        assert "does not exist" in response.text


def test_the_default_form_is_open_where_the_embedded_inbox_runs_and_only_there(
    service: Service, make_service: MakeService
) -> None:
    assert 'action="http://localhost/forms/default"' in code(service.client.get("/forms/default/snippet").text, "plain")
    sending = make_service(smtp_configurations=(SMTP,), reception_email="office@example.com")
    page = sending.client.get("/forms/default/snippet")
    assert page.status_code == 200
    assert "<pre" not in page.text
    any_project = token(sending, project="Any")
    assert "<form" in code(get(sending, FORM, any_project).text, "plain")


def test_what_is_shown_is_kept_by_nobody_and_does_nothing_but_copying(service: Service, form: Form) -> None:
    for response in (get(service, form), get(service, form, token(service)), get(service, form, "wrong")):
        assert response.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Frame-Options"] == "DENY"
        parsed = Fields(response.text)
        assert all(str(script["src"]).startswith("/assets/") for script in parsed.all("script"))
        assert not any("style" in attributes for _, attributes in parsed.elements)


def test_the_code_has_the_fields_that_the_form_requires(service: Service) -> None:
    form = new_form(service, "fields", requiredFields=["message", "E-Mail", "order-number", "message "])
    html = Fields(code(get(service, form, token(service)).text, "plain"))
    assert html.names() == ["name", "E-Mail", "order-number", "message", "file", HONEYPOT]
    required = [attributes["name"] for _, attributes in html.elements if "required" in attributes]
    assert required == ["E-Mail", "order-number", "message"]
    assert html.all("input")[1]["type"] == "email"
    assert len(html.all("label")) == len(html.names())


def test_the_honeypot_is_out_of_sight_and_out_of_the_way(service: Service, form: Form) -> None:
    html = code(get(service, form, token(service)).text, "plain")
    assert f'<div hidden><label>Leave this empty <input name="{HONEYPOT}" tabindex="-1" autocomplete="off">' in html


def test_a_form_without_files_has_no_field_for_them(service: Service) -> None:
    form = new_form(service, "no files", acceptsFiles=False)
    page = get(service, form, token(service)).text
    for id in ("plain", "enhanced", "fetch", "react"):
        assert "file" not in code(page, id)
        assert "multipart" not in code(page, id)


def test_a_form_with_altcha_has_its_widget_from_this_service(service: Service) -> None:
    form = new_form(service, "altcha", check="altcha")
    page = get(service, form, token(service), base_url="https://mail.example.com").text
    for id in ("plain", "enhanced", "fetch"):
        html = Fields(code(page, id))
        [widget] = html.all("altcha-widget")
        assert widget["challenge"] == f"https://mail.example.com/forms/{form.key}/challenge"
        scripts = [
            str(script["src"]) for script in html.all("script") if script.get("type") == "module" and "src" in script
        ]
        assert len(scripts) >= 1
        for script in scripts:
            assert script.startswith("https://mail.example.com/forms/assets/altcha-")
            with service.client.get(script.removeprefix("https://mail.example.com")) as served:
                assert served.status_code == 200
    assert "<altcha-widget" in code(page, "react")


def test_a_form_with_a_captcha_has_its_site_key_and_never_its_secret(service: Service) -> None:
    form = new_form(service, "turnstile", check="turnstile")
    page = get(service, form, token(service)).text
    for id in ("plain", "enhanced", "fetch"):
        [box] = [each for each in Fields(code(page, id)).all("div") if "class" in each]
        assert box == {"class": "cf-turnstile", "data-sitekey": "0x4AAA"}
    assert 'window.turnstile.render(box.current, { sitekey: "0x4AAA" })' in code(page, "react")
    assert "secret-of-turnstile" not in page


def test_a_form_that_needs_a_token_has_the_script_that_fetches_it_also_as_plain_html(service: Service) -> None:
    form = new_form(service, "token", needsToken=True)
    page = get(service, form, token(service)).text
    [script] = Fields(code(page, "plain")).all("script")
    assert script["src"] == "http://localhost/forms/assets/letterbox.js"
    for id in ("fetch", "react"):
        assert "/token`" in code(page, id)
        assert '"letterbox-token"' in code(page, id)


def test_only_the_enhanced_form_is_sent_in_place(service: Service, form: Form) -> None:
    page = get(service, form, token(service)).text
    assert "data-letterbox" in Fields(code(page, "enhanced")).all("form")[0]
    assert "data-letterbox" not in Fields(code(page, "plain")).all("form")[0]
    assert Fields(code(page, "plain")).all("script") == []


def test_moving_from_elsewhere_is_a_change_of_the_action(service: Service, form: Form) -> None:
    page = get(service, form, token(service)).text
    for id in ("from-formspree", "from-web3forms"):
        before, now = Fields(code(page, id)).all("form")
        assert before["action"] != now["action"] == f"http://localhost/forms/{form.key}"


@pytest.mark.parametrize("host", ['a"><script>', "a$(touch x)", "a'b"])
def test_a_hostile_host_is_not_repeated(service: Service, host: str) -> None:
    page = service.client.get("/forms/default/snippet", headers={"Host": host}).text
    assert host not in unescape(page)
    assert 'action="http://127.0.0.1:8000/forms/default"' in code(page, "plain")


def test_a_proxy_that_ended_tls_is_believed_when_it_is_trusted(make_service: MakeService) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    strange = make_service()
    assert 'action="http://localhost/' in code(
        strange.client.get("/forms/default/snippet", headers=headers).text, "plain"
    )
    trusting = make_service(guards={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    page = trusting.client.get("/forms/default/snippet", headers=headers).text
    assert 'action="https://localhost/forms/default"' in code(page, "plain")


def test_a_form_that_is_switched_off_says_so(service: Service) -> None:
    form = new_form(service, "off", enabled=False)
    assert "switched off" in get(service, form, token(service)).text


def test_the_settings_of_the_embedded_inbox_are_known_from_others(service: Service) -> None:
    assert is_embedded(office_of(service).settings)
    assert not is_embedded(Settings())
    assert not is_embedded(Settings(smtp_configurations=(SMTP,)))
