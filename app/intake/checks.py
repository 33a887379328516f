"""What a page needs for the checks of a form: tokens, challenges, scripts. All of it also for pages of other sites.

    GET /forms/{key}/token       a form token, and from which age on it is good
    GET /forms/{key}/challenge   what ALTCHA's widget asks for
    GET /forms/assets/...        letterbox.js, which is ours, and ALTCHA's widget with its texts

`widgets_for` says what a page of this host puts into a form; templates include `forms/_widgets.html` for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe

from flask import Blueprint, Response, g, jsonify, request, send_file, url_for

from app.emails.office import Office
from app.errors import FormNotFound, RecordUnavailable
from app.forms import captcha, proof_of_work, tokens
from app.model.form import Form, HumanCheck
from app.web.authentication import access
from app.web.errors import problem

FindForm = Callable[[Office, str], Form]

_YEAR_S = 365 * 24 * 3600
_HOUR_S = 3600
_SCRIPT = Path(__file__).parent / "static" / "letterbox.js"
_ALTCHA = Path(__file__).parent / "altcha"
"""The widget as its makers publish it: `make altcha` takes the newest one."""
ALTCHA_VERSION = (_ALTCHA / "VERSION").read_text(encoding="ascii").strip()
_ALTCHA_LANGUAGES = {"pt": "pt-pt"}
"""Where its texts are called something else than the language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widgets:
    """What a page with a form has for its checks. Addresses are paths of this host, unless they are a captcha's.

    `sources` are what the Content-Security-Policy of the page has to allow besides 'self', by directive.
    """

    check: HumanCheck
    token_field: str
    token: str
    scripts: tuple[str, ...] = ()
    challenge: str = ""
    language: str = "en"
    nonce: str = ""
    """For a `<meta name="csp-nonce">`: ALTCHA's widget gives it to the style that it brings."""
    captcha_class: str = ""
    site_key: str = ""
    sources: Mapping[str, str]


def create(office: Office, *, find: FindForm) -> Blueprint:
    """The views. The pages of a form's own origins may read what they answer, refusals too."""
    blueprint = Blueprint("checks", __name__, url_prefix="/forms")

    @blueprint.get("/<key>/token")
    @access(is_open=True)
    def form_token(key: str) -> Response:
        form = enabled(key)
        return _fresh({"token": tokens.issue(office, form), "minAgeSeconds": form.min_age_s})

    @blueprint.get("/<key>/challenge")
    @access(is_open=True)
    def challenge(key: str) -> Response:
        form = enabled(key)
        if form.check is not HumanCheck.ALTCHA:
            # Making one costs more than anything else here.
            raise FormNotFound(key)
        return _fresh(proof_of_work.new_challenge(office, form))

    @blueprint.get("/assets/letterbox.js")
    @access(is_open=True)
    def letterbox_script() -> Response:
        return _script(_SCRIPT, max_age_s=_HOUR_S, is_immutable=False)

    @blueprint.get(f"/assets/altcha-{ALTCHA_VERSION}.js")
    @access(is_open=True)
    def altcha_script() -> Response:
        return _script(_ALTCHA / "altcha.js", max_age_s=_YEAR_S, is_immutable=True)

    @blueprint.get(f"/assets/altcha-texts-{ALTCHA_VERSION}.js")
    @access(is_open=True)
    def altcha_texts() -> Response:
        return _script(_ALTCHA / "texts.js", max_age_s=_YEAR_S, is_immutable=True)

    @blueprint.errorhandler(FormNotFound)
    def unknown(_: FormNotFound) -> Response:
        return problem(404, "Not Found", "There is no such form.")

    @blueprint.after_request
    def name_origins(response: Response) -> Response:
        key = (request.view_args or {}).get("key")
        # A database that has just kept the view waiting is not waited for again.
        is_unknown = key is not None and "Origin" in request.headers and "form_origins" not in g
        if is_unknown and response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            g.form_origins = origins_of(str(key))
        return response

    def enabled(key: str) -> Form:
        form = find(office, key)
        if not form.is_enabled:
            raise FormNotFound(key)
        return form

    def origins_of(key: str) -> frozenset[str]:
        try:
            return frozenset(find(office, key).allowed_origins)
        except (FormNotFound, RecordUnavailable):
            # The view has said so; a preflight needs no reason.
            return frozenset()

    return blueprint


def widgets_for(office: Office, form: Form, *, language: str = "en") -> Widgets:
    """What a page needs for this form now; call it for each answer. Raises SettingsInvalid without a secret key."""
    token = tokens.issue(office, form)
    if form.check is HumanCheck.ALTCHA:
        nonce = token_urlsafe(16)
        return Widgets(
            check=form.check,
            token_field=tokens.FIELD,
            token=token,
            scripts=altcha_scripts(),
            challenge=url_for("checks.challenge", key=form.key),
            language=_ALTCHA_LANGUAGES.get(language, language),
            nonce=nonce,
            # The workers are made of a Blob.
            sources={"style-src": f"'nonce-{nonce}'", "worker-src": "blob:"},
        )
    asked = captcha.provider(office.settings, form.check)
    if asked is None:
        return Widgets(check=form.check, token_field=tokens.FIELD, token=token, sources={})
    return Widgets(
        check=form.check,
        token_field=tokens.FIELD,
        token=token,
        scripts=(asked.script,),
        captcha_class=asked.widget_class,
        site_key=asked.site_key,
        language=language,
        sources=asked.sources,
    )


def altcha_scripts() -> tuple[str, ...]:
    """The paths of the widget and of its texts, in the order in which a page loads them."""
    return url_for("checks.altcha_script"), url_for("checks.altcha_texts")


def _fresh(document: object) -> Response:
    response = jsonify(document)
    response.headers["Cache-Control"] = "no-store"
    return response


def _script(path: Path, *, max_age_s: int, is_immutable: bool) -> Response:
    """A file for pages of any origin: a module of another origin is only run when it may be read."""
    if origin := request.headers.get("Origin"):
        g.form_origins = frozenset({origin})
    response = send_file(path, mimetype="text/javascript", max_age=max_age_s)
    response.cache_control.public = True
    response.cache_control.immutable = is_immutable
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
