"""What pages fetch for the checks of a form: tokens, challenges and scripts, and which pages may read them."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import altcha
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import web
from app.emails.office import Office
from app.errors import FormNotFound, RecordUnavailable
from app.forms import proof_of_work, tokens
from app.intake import checks
from app.model.form import Form, HumanCheck
from app.settings import GuardSettings, Settings

SHOP = "https://www.shop.example"
FORM = Form(
    key="shopcontactform22", name="Shop", recipients=("shop@example.com",), allowed_origins=(SHOP,), min_age_s=5
)
FORMS = {
    form.key: form
    for form in (
        FORM,
        replace(FORM, key="switchedoffform22", is_enabled=False),
        *(replace(FORM, key=f"form{check}check22", check=check) for check in HumanCheck),
    )
}
ALTCHA = "formaltchacheck22"


def find(_: Office, key: str) -> Form:
    if key == "nodatabase":
        raise RecordUnavailable("The database does not answer.")
    if key not in FORMS:
        raise FormNotFound(key)
    return FORMS[key]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    settings = Settings(
        var_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'letterbox.db'}",
        secret_keys=("a secret key that is long enough for a test",),
        guards=GuardSettings(rate_limit_enabled=False),
        turnstile_site_key="0x4AAA",
        turnstile_secret_key="canary-secret",
    )
    office = Office.open(settings)
    yield office
    office.close()


@pytest.fixture
def app(office: Office) -> Flask:
    app = Flask(__name__, static_folder=None)
    web.register(app, office)
    app.register_blueprint(checks.create(office, find=find))
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def readable_by(answer: TestResponse) -> list[str]:
    return answer.headers.getlist("Access-Control-Allow-Origin")


def test_a_token_is_fresh_and_says_from_which_age_on_it_is_good(client: FlaskClient, office: Office) -> None:
    answer = client.get(f"/forms/{FORM.key}/token")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {"token": answer.get_json()["token"], "minAgeSeconds": 5}
    assert tokens.read(office, FORM, answer.get_json()["token"])
    assert client.get(f"/forms/{FORM.key}/token").get_json() != answer.get_json()


def test_a_challenge_is_what_the_widget_solves(client: FlaskClient, office: Office) -> None:
    answer = client.get(f"/forms/{ALTCHA}/challenge")
    assert answer.headers["Cache-Control"] == "no-store"
    challenge = altcha.Challenge.from_dict(answer.get_json())
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    payload = altcha.Payload(challenge, solution).to_base64()
    assert proof_of_work.check(office, FORMS[ALTCHA], payload)
    assert json.loads(base64.b64decode(payload))["challenge"] == answer.get_json()


@pytest.mark.parametrize("path", ["token", "challenge"])
@pytest.mark.parametrize("key", ["nothing", "switchedoffform22", "..", "%00", "x" * 500])
def test_a_form_that_is_not_there_has_neither(client: FlaskClient, key: str, path: str) -> None:
    answer = client.get(f"/forms/{key}/{path}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_only_forms_that_ask_for_work_have_challenges(client: FlaskClient) -> None:
    assert client.get(f"/forms/{FORM.key}/challenge").status_code == 404


def test_a_database_that_does_not_answer_is_said(client: FlaskClient) -> None:
    assert client.get("/forms/nodatabase/token", headers={"Origin": SHOP}).status_code == 503


def test_a_database_that_does_not_answer_is_waited_for_once(office: Office) -> None:
    asked: list[str] = []

    def find_slowly(_: Office, key: str) -> Form:
        asked.append(key)
        raise RecordUnavailable("The database does not answer.")

    app = Flask(__name__, static_folder=None)
    web.register(app, office)
    app.register_blueprint(checks.create(office, find=find_slowly))
    assert app.test_client().get(f"/forms/{FORM.key}/token", headers={"Origin": SHOP}).status_code == 503
    assert asked == [FORM.key]


@pytest.mark.parametrize("path", [f"{FORM.key}/token", f"{ALTCHA}/challenge"])
def test_pages_of_the_forms_own_origins_may_read_it_and_others_may_not(client: FlaskClient, path: str) -> None:
    assert readable_by(client.get(f"/forms/{path}", headers={"Origin": SHOP})) == [SHOP]
    assert readable_by(client.get(f"/forms/{path}", headers={"Origin": "https://evil.example"})) == []
    assert readable_by(client.get(f"/forms/{path}")) == []


def test_a_preflight_is_answered_for_the_forms_own_origins(client: FlaskClient) -> None:
    asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-request-id"}
    answer = client.options(f"/forms/{FORM.key}/token", headers=asking | {"Origin": SHOP})
    assert answer.status_code == 204
    assert readable_by(answer) == [SHOP]
    other = client.options(f"/forms/{FORM.key}/token", headers=asking | {"Origin": "https://evil.example"})
    assert readable_by(other) == []
    assert readable_by(client.options("/forms/nothing/token", headers=asking | {"Origin": SHOP})) == []


def scripts() -> list[str]:
    version = checks.ALTCHA_VERSION
    return ["letterbox.js", f"altcha-{version}.js", f"altcha-texts-{version}.js"]


def test_pages_of_any_origin_may_run_the_scripts(client: FlaskClient) -> None:
    for name in scripts():
        answer = client.get(f"/forms/assets/{name}", headers={"Origin": "https://anybody.example"}, buffered=True)
        assert answer.status_code == 200
        assert answer.mimetype == "text/javascript"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert readable_by(answer) == ["https://anybody.example"]
        assert "Origin" in answer.vary
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_widget_and_its_texts_are_those_of_altcha(client: FlaskClient) -> None:
    _, script, texts = (client.get(f"/forms/assets/{name}", buffered=True).data for name in scripts())
    assert b"altcha-widget" in script
    assert b'i18n.set("de"' in texts


def test_the_widget_is_kept_for_a_year_and_our_script_for_an_hour(client: FlaskClient) -> None:
    ours, *theirs = (client.get(f"/forms/assets/{name}", buffered=True).headers["Cache-Control"] for name in scripts())
    assert ours == "public, max-age=3600"
    for kept in theirs:
        assert set(kept.split(", ")) == {"public", "immutable", "max-age=31536000"}


def test_our_script_is_asked_for_again_without_being_sent_again(client: FlaskClient) -> None:
    tag = client.get("/forms/assets/letterbox.js", buffered=True).headers["ETag"]
    again = client.get("/forms/assets/letterbox.js", headers={"If-None-Match": tag}, buffered=True)
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["altcha-0.0.0.js", "altcha-texts-0.0.0.js", "altcha.js", "..%2Fchecks.py", ""])
def test_no_other_file_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/forms/assets/{name}").status_code == 404


def test_our_script_is_small_and_asks_nobody_else() -> None:
    script = (Path(checks.__file__).parent / "static" / "letterbox.js").read_text(encoding="utf-8")
    assert len(script.encode()) < 4096
    assert "http" not in script
    assert not re.search(r"innerHTML|eval\(|insertAdjacentHTML|document\.write", script)


def widgets(app: Flask, office: Office, form: Form, **options: Any) -> checks.Widgets:
    with app.test_request_context():
        return checks.widgets_for(office, form, **options)


def test_a_page_of_ours_gets_a_token_and_nothing_else_where_no_check_is_asked_for(app: Flask, office: Office) -> None:
    found = widgets(app, office, FORM)
    assert tokens.read(office, FORM, found.token)
    assert (found.scripts, found.challenge, found.captcha_class, dict(found.sources)) == ((), "", "", {})


def test_a_page_of_ours_loads_the_widget_under_its_address_and_with_a_nonce(app: Flask, office: Office) -> None:
    found = widgets(app, office, FORMS[ALTCHA], language="pt")
    assert found.challenge == f"/forms/{ALTCHA}/challenge"
    assert [path.rpartition("/")[2] for path in found.scripts] == scripts()[1:]
    assert found.language == "pt-pt"
    assert found.sources == {"style-src": f"'nonce-{found.nonce}'", "worker-src": "blob:"}
    assert widgets(app, office, FORMS[ALTCHA]).nonce != found.nonce
    for path in found.scripts:
        assert app.test_client().get(path, buffered=True).status_code == 200


def test_a_page_of_ours_loads_a_captcha_from_its_provider(app: Flask, office: Office) -> None:
    found = widgets(app, office, FORMS["formturnstilecheck22"])
    assert (found.captcha_class, found.site_key) == ("cf-turnstile", "0x4AAA")
    assert found.sources["script-src"] == "https://challenges.cloudflare.com"
    assert "canary" not in repr(found)
