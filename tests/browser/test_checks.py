"""The checks in a real browser: ALTCHA's widget under our policy and from another site, and our own script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, make_response, render_template_string, request
from werkzeug.serving import make_server

from app import web
from app.emails.office import Office
from app.errors import CheckFailed, FormNotFound
from app.forms import proof_of_work, tokens
from app.intake import checks
from app.model.form import Form, HumanCheck
from app.settings import GuardSettings, Settings
from tests.browser.browser import Browser, Page

FORM = Form(key="contactformofours", name="Contact", recipients=("office@example.com",), min_age_s=1)
ALTCHA = replace(FORM, key="altchaformofours2", check=HumanCheck.ALTCHA)
FORMS = {form.key: form for form in (FORM, ALTCHA)}

OWN_PAGE = """<!DOCTYPE html><html lang="{{ language }}"><title>Form</title>
<meta name="csp-nonce" content="{{ widgets.nonce }}">
<form method="post" action="/forms/{{ key }}">
<input type="hidden" name="{{ widgets.token_field }}" value="{{ widgets.token }}">
<input name="message">
{% include "forms/_widgets.html" %}
<button>Send</button></form>"""

FOREIGN_PAGE = """<!DOCTYPE html><html lang="en"><title>Shop</title>
<form method="post" action="{{ service }}/forms/{{ key }}" {{ attributes|safe }}>
<input name="email"> <input name="message">
{% if challenge %}
<altcha-widget name="altcha" challenge="{{ service }}/forms/{{ key }}/challenge"></altcha-widget>{% endif %}
<button>Send</button></form>
<script src="{{ service }}/forms/assets/letterbox.js"></script>
{% for script in scripts %}<script type="module" src="{{ service }}{{ script }}"></script>{% endfor %}"""


@dataclass
class House:
    """The service, a site of somebody else's, and what was submitted."""

    office: Office
    service: str = ""
    site: str = ""
    submitted: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """What scripts are answered, in turn; without one a good submission is taken."""
    is_away: bool = False

    def judge(self, form: Form) -> str:
        """In one word, what becomes of the submission that is there."""
        try:
            token = tokens.judge(self.office, form, request.form.get(tokens.FIELD, ""))
            if form.check is HumanCheck.ALTCHA:
                proof_of_work.check(self.office, form, request.form.get("altcha", ""))
        except CheckFailed as failed:
            return failed.failure.value
        return "taken" if token else "taken without a token"


def find(_: Office, key: str) -> Form:
    if key not in FORMS:
        raise FormNotFound(key)
    return FORMS[key]


def service_of(house: House) -> Flask:
    app = Flask(__name__, static_folder=None, template_folder=str(house.office.settings.templates_dir))
    web.register(app, house.office)
    app.register_blueprint(checks.create(house.office, find=find))
    pages = Blueprint("pages", __name__)

    @pages.get("/own/<key>")
    def own(key: str) -> Response:
        language = request.args.get("language", "en")
        widgets = checks.widgets_for(house.office, FORMS[key], language=language)
        page = make_response(render_template_string(OWN_PAGE, widgets=widgets, key=key, language=language))
        directives = {"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "form-action": "'self'"}
        page.headers["Content-Security-Policy"] = "; ".join(
            f"{name} {value}" for name, value in (directives | dict(widgets.sources)).items()
        )
        return page

    @pages.post("/forms/<key>")
    def receive(key: str) -> Response:
        verdict = house.judge(FORMS[key])
        house.submitted.append(request.form.to_dict() | {"verdict": verdict})
        if house.is_away:
            return Response("<h1>Bad gateway</h1>", status=502)
        if "application/json" not in request.headers["Accept"]:
            return Response(f"<h1>{verdict}</h1>")
        status, body = (
            house.answers.pop(0) if house.answers else (200, {"ok": True, "message": f"Thank you: {verdict}."})
        )
        return Response(json.dumps(body), status=status, mimetype="application/json")

    app.register_blueprint(pages)
    return app


def site_of(house: House) -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.get("/<key>")
    def page(key: str) -> str:
        with house_app(house).test_request_context():
            scripts = checks.altcha_scripts()[:1] if FORMS[key].check is HumanCheck.ALTCHA else ()
        attributes = request.args.get("attributes", "")
        return render_template_string(
            FOREIGN_PAGE, service=house.service, key=key, attributes=attributes, scripts=scripts, challenge=scripts
        )

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=204)

    @app.get("/sent")
    def sent() -> str:
        return "<h1>You are here</h1>"

    return app


_apps: dict[int, Flask] = {}


def house_app(house: House) -> Flask:
    return _apps.setdefault(id(house), service_of(house))


@contextmanager
def serving(app: Flask, name: str) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{name}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    office = Office.open(
        Settings(
            var_dir=tmp_path,
            database_url=f"sqlite:///{tmp_path / 'letterbox.db'}",
            secret_keys=("a secret key that is long enough for a test",),
            guards=GuardSettings(rate_limit_enabled=False),
        )
    )
    house = House(office)
    # Two names, because a browser takes one name with two ports for the same site.
    with serving(house_app(house), "127.0.0.1") as house.service, serving(site_of(house), "localhost") as house.site:
        yield house
    _apps.pop(id(house))
    office.close()


def errors(page: Page) -> list[str]:
    return [problem for problem in page.problems if "favicon" not in problem]


def test_the_widget_solves_our_challenge_under_our_policy(browser: Browser, house: House) -> None:
    with browser.page() as page:
        page.open(f"{house.service}/own/{ALTCHA.key}")
        page.type("[name=message]", "Hello")
        page.wait_for("document.querySelector('input[name=altcha]')?.value")
        page.wait_for("Date.now() - performance.timeOrigin > 1100")
        page.click("button", navigates=True)
        assert page.text() == "taken"
        assert errors(page) == []
    assert house.submitted[0]["message"] == "Hello"


def test_the_widget_speaks_the_visitors_language(browser: Browser, house: House) -> None:
    # What it says once it has done its work, which it begins by itself.
    for language, words in (("de", "Überprüft"), ("tr", "Doğrulandı"), ("pt", "Verificado"), ("fr", "Vérifié")):
        with browser.page() as page:
            page.open(f"{house.service}/own/{ALTCHA.key}?language={language}")
            page.wait_for(f"document.querySelector('altcha-widget').innerText.includes({json.dumps(words)})")


def test_the_widget_works_on_a_page_of_another_site(browser: Browser, house: House) -> None:
    with browser.page() as page:
        page.open(f"{house.site}/{ALTCHA.key}")
        page.type("[name=message]", "Hello from elsewhere")
        page.click("altcha-widget label")
        page.wait_for("document.querySelector('input[name=altcha]')?.value")
        page.click("button", navigates=True)
        assert page.text() == "taken"
        assert errors(page) == []
        assert page.url == f"{house.service}/forms/{ALTCHA.key}"


def test_a_form_without_our_script_works_without_javascript(browser: Browser, house: House) -> None:
    with browser.page(javascript=False) as page:
        page.open(f"{house.site}/{FORM.key}")
        page.type("[name=message]", "Hello")
        page.click("button", navigates=True)
        assert page.text() == "taken without a token"


def test_our_script_adds_a_token_at_the_first_touch_and_leaves_the_rest_to_the_browser(
    browser: Browser, house: House
) -> None:
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}")
        token_url = f"GET {house.service}/forms/{FORM.key}/token"
        assert token_url not in page.requests
        page.type("[name=message]", "Hello")
        page.wait_for("document.querySelector('[name=letterbox-token]')?.value")
        assert page.requests.count(token_url) == 1
        # Sooner than the form allows: the script waits as long as it takes.
        page.click("button", navigates=True)
        assert page.text() == "taken"
        assert errors(page) == []


def test_our_script_submits_in_place_and_says_that_it_was_taken(browser: Browser, house: House) -> None:
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}?attributes=data-letterbox")
        page.evaluate(
            "new MutationObserver(([change]) => { window.firstSeen ??= change.target.disabled; })"
            ".observe(document.querySelector('button'), {attributeFilter: ['disabled']})"
        )
        page.type("[name=message]", "Hello")
        page.click("button")
        page.wait_for("window.firstSeen === true")
        page.wait_for("document.querySelector('[role=status]')?.textContent === 'Thank you: taken.'")
        assert page.value("[name=message]") == ""
        assert not page.evaluate("document.querySelector('button').disabled")
        assert page.url.startswith(house.site)
        # And once more, with another token.
        page.type("[name=message]", "Hello again")
        page.click("button")
        page.wait_for("document.querySelector('[name=message]').value === ''")
        assert errors(page) == []
    first, second = house.submitted
    assert (first["message"], second["message"]) == ("Hello", "Hello again")
    assert first["letterbox-token"] != second["letterbox-token"]


def test_errors_are_shown_at_their_fields_and_nothing_that_was_typed_is_lost(browser: Browser, house: House) -> None:
    problem = {"message": "Please look at this.", "errors": {"email": ["This is no address."], "": ["And this."]}}
    house.answers = [(400, problem)]
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}?attributes=data-letterbox")
        page.type("[name=email]", "anna@")
        page.type("[name=message]", "A long letter")
        page.click("button")
        page.wait_for("document.querySelector('[role=alert]')?.textContent === 'Please look at this. And this.'")
        assert page.text("small") == "This is no address."
        assert page.evaluate("document.activeElement.name + document.activeElement.ariaInvalid") == "emailtrue"
        assert page.evaluate(
            "document.activeElement.getAttribute('aria-describedby') === document.querySelector('small').id"
        )
        assert (page.value("[name=email]"), page.value("[name=message]")) == ("anna@", "A long letter")
        page.type("[name=email]", "example.com")
        page.click("button")
        page.wait_for("document.querySelector('[role=status]')?.textContent === 'Thank you: taken.'")
        assert not page.has("small")
        assert not page.has("[aria-invalid]")


def test_when_the_service_is_away_nothing_is_lost_and_it_is_said(browser: Browser, house: House) -> None:
    house.is_away = True
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}?attributes=data-letterbox data-letterbox-failed='Noch einmal, bitte.'")
        page.type("[name=message]", "A long letter")
        page.click("button")
        page.wait_for("document.querySelector('[role=alert]')?.textContent === 'Noch einmal, bitte.'")
        assert page.value("[name=message]") == "A long letter"
        house.is_away = False
        page.click("button")
        page.wait_for("document.querySelector('[role=status]')?.textContent === 'Thank you: taken.'")


def test_our_script_follows_where_the_form_leads_afterwards(browser: Browser, house: House) -> None:
    house.answers = [(200, {"ok": True, "message": "Thank you.", "next": f"{house.site}/sent"})]
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}?attributes=data-letterbox")
        page.type("[name=message]", "Hello")
        page.click("button", navigates=True)
        assert page.text() == "You are here"


def test_a_form_of_which_no_token_can_be_fetched_is_submitted_all_the_same(browser: Browser, house: House) -> None:
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}")
        page.evaluate("window.fetch = () => Promise.reject(new Error('no network')), true")
        page.type("[name=message]", "Hello")
        page.click("button", navigates=True)
        assert page.text() == "taken without a token"


def test_other_forms_of_the_page_are_left_alone(browser: Browser, house: House) -> None:
    with browser.page() as page:
        page.open(f"{house.site}/{FORM.key}")
        page.evaluate("document.querySelector('form').setAttribute('action', '/sent'), true")
        page.evaluate("document.querySelector('form').setAttribute('method', 'get'), true")
        page.type("[name=message]", "Hello")
        page.click("button", navigates=True)
        assert page.url == f"{house.site}/sent?email=&message=Hello"
        assert not any("/token" in asked for asked in page.requests)
