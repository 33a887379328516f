"""`/forms/{key}/snippet`: for the owner of a form, its ready code. For people, and so in English like the other pages.

A token with FORMS:MANAGE of the form's project opens it. A browser is asked for it on the page, and sends it in the
body of a POST: an address is kept in histories and logs. The default form's is open where the embedded inbox runs.
"""

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.emails.office import Office
from app.errors import FormNotFound, PermissionMissing, RecordUnavailable, TokenInvalid
from app.forms.find import find_form
from app.inbox.embedding import is_embedded
from app.intake.snippet_code import SnippetWriter
from app.model.access import Permission
from app.model.form import DEFAULT_KEY, Form
from app.web.apiops_errors import RECORD_RETRY_AFTER_S, bearer_challenge
from app.web.authentication import access
from app.web.own_url import own_url

_TOKEN_FIELD = "token"  # noqa: S105 - the name of a field
_BODY_LIMIT = 4096

_POLICY = "; ".join(
    f"{directive} {value}"
    for directive, value in {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }.items()
)


def create(office: Office) -> Blueprint:
    """GET and POST of the page."""
    settings = office.settings
    writer = SnippetWriter(settings)
    has_inbox = is_embedded(settings)
    snippet = Blueprint("snippet", __name__, url_prefix="/forms", template_folder=settings.templates_dir)

    @snippet.get("/<key>/snippet")
    @access(is_open=True)
    def show(key: str) -> Response:
        form = find_form(office, key)
        if "Authorization" not in request.headers:
            return (
                _code(form) if has_inbox and form.key == DEFAULT_KEY else _page("forms/snippet_token.html", form=form)
            )
        scheme, _, token = request.headers["Authorization"].strip().partition(" ")
        if scheme.lower() != "bearer":
            raise TokenInvalid
        return _code_for(form, token.strip())

    @snippet.post("/<key>/snippet")
    @access(is_open=True)
    def show_to_token(key: str) -> Response:
        form = find_form(office, key)
        request.max_content_length = _BODY_LIMIT
        return _code_for(form, request.form.get(_TOKEN_FIELD, "").strip())

    def _code_for(form: Form, token: str) -> Response:
        caller = office.registry.live.caller(token)
        if not caller.may(Permission.FORMS_MANAGE) or form.project_id not in (None, caller.project_id):
            raise PermissionMissing(Permission.FORMS_MANAGE)
        return _code(form)

    def _code(form: Form) -> Response:
        url = own_url(settings)
        return _page(
            "forms/snippet.html",
            form=form,
            own_url=url,
            is_production=settings.is_production,
            snippets=writer.write(form, own_url=url),
        )

    def _page(template: str, status: int = 200, **values: object) -> Response:
        response = make_response(render_template(template, has_inbox=has_inbox, **values), status)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        return response

    def _asking_again(status: int, sentence: str) -> Response:
        return _page("forms/snippet_token.html", status, sentence=sentence)

    @snippet.errorhandler(TokenInvalid)
    @snippet.errorhandler(RequestEntityTooLarge)
    def refuse_token(_: Exception) -> Response:
        response = _asking_again(401, "This is no valid access token: it may be mistyped, expired or revoked.")
        response.headers["WWW-Authenticate"] = bearer_challenge()
        return response

    @snippet.errorhandler(PermissionMissing)
    def refuse_caller(_: PermissionMissing) -> Response:
        return _asking_again(
            403, "This access token is good, but not for this form: it needs FORMS:MANAGE in its project."
        )

    @snippet.errorhandler(FormNotFound)
    def say_that_it_is_missing(_: FormNotFound) -> Response:
        return _page("forms/snippet_missing.html", 404)

    @snippet.errorhandler(RecordUnavailable)
    def say_that_it_is_away(_: RecordUnavailable) -> Response:
        response = _asking_again(503, "The service cannot look this up at the moment. Please try again.")
        response.headers["Retry-After"] = str(RECORD_RETRY_AFTER_S)
        return response

    return snippet
