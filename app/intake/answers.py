"""What a visitor's browser gets back: a redirect, a page in their language, or JSON for a script."""

from functools import lru_cache
from http import HTTPStatus

from flask import Request, Response, jsonify, make_response, render_template, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.utils import redirect

from app.emails.office import Office
from app.forms.submission import Receipt
from app.intake.again import form_again, texts
from app.intake.checks import Widgets, widgets_for
from app.intake.languages import language
from app.intake.refusals import Refusal, refusal_of
from app.intake.visit import Visit, wants_json
from app.model.form import Form, HumanCheck
from app.web.errors import problem

_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_POLICY_WITH_A_CHECK = _POLICY | {"script-src": "'self'", "connect-src": "'self'"}


def received(request: Request, visit: Visit, receipt: Receipt) -> Response:
    """The answer to a submission that was taken."""
    if wants_json(request, visit.typed.fields):
        return jsonify(
            ok=True,
            success=True,
            message=f"{visit.language.say('thanks-title')} {visit.language.say('thanks')}",
            reference=receipt.reference,
            next=receipt.redirect,
        )
    if receipt.redirect is not None:
        return make_response(redirect(receipt.redirect, 303))
    return _page(
        visit,
        "forms/thanks.html",
        reference=receipt.reference,
        back=visit.way_back(f"{request.script_root}{request.path}"),
    )


def refused(request: Request, visit: Visit, error: Exception, office: Office) -> Response:
    """The answer to one that was not, whatever the reason is."""
    megabytes = office.settings.limits.request_body // (1024 * 1024)
    refusal = refusal_of(error, visit.language, megabytes=megabytes)
    text = visit.language.say(refusal.text, **refusal.places)
    if wants_json(request, visit.typed.fields):
        response = _problem(refusal, text)
    else:
        response = _refusal_page(request, visit, refusal, text, office)
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def in_language(response: Response, visit: Visit) -> Response:
    """With the headers that all answers to a form have."""
    response.headers["Content-Language"] = visit.language.code
    response.headers["Cache-Control"] = "no-store"
    response.vary.update(("Accept", "Accept-Language"))
    return response


def _problem(refusal: Refusal, text: str) -> Response:
    errors = {name: list(sentences) for name, sentences in refusal.errors.items()}
    title = HTTPStatus(refusal.status).phrase
    return problem(refusal.status, title, refusal.detail or text, ok=False, success=False, message=text, errors=errors)


def _refusal_page(request: Request, visit: Visit, refusal: Refusal, text: str, office: Office) -> Response:
    form = visit.form if refusal.keeps_form and visit.typed.fields else None
    back = visit.way_back(f"{request.script_root}{request.path}")
    title = visit.language.say(refusal.title)
    if back is None and not visit.typed.fields:
        response = _html(_bare_refusal(visit.language.code, title, text, request.script_root))
        response.status_code = refusal.status
        return response
    response = _page(
        visit,
        "forms/refused.html",
        widgets=_widgets(office, form, refusal, visit),
        title=title,
        text=text,
        action=url_for("receiving.receive", key=form.key) if form else None,
        kept=visit.language.say(refusal.kept),
        again=form_again(office, form, visit.typed, refusal, back=back, client=visit.visitor.client) if form else None,
        texts=texts(visit.typed) if refusal.shows_texts else [],
        is_whole=visit.typed.is_whole,
        back=back,
    )
    response.status_code = refusal.status
    return response


@lru_cache(maxsize=128)
def _bare_refusal(code: str, title: str, text: str, prefix: str) -> str:  # noqa: ARG001 - the paths in it depend on it
    """A page with nothing of the visitor's. Kept, because a blocked client may ask for it all day."""
    words = language(code)
    return render_template("forms/refused.html", language=words, say=words.say, title=title, text=text)


def _widgets(office: Office, form: Form | None, refusal: Refusal, visit: Visit) -> Widgets | None:
    """The form's check, to be taken anew; none where something is broken here, which may be the check itself."""
    if form is None or form.check is HumanCheck.NONE or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    return widgets_for(office, form, language=visit.language.code)


def _page(visit: Visit, template: str, *, widgets: Widgets | None = None, **values: object) -> Response:
    words = visit.language
    return _html(render_template(template, language=words, say=words.say, widgets=widgets, **values), widgets)


def _html(page: str, widgets: Widgets | None = None) -> Response:
    response = make_response(page)
    policy = dict(_POLICY)
    if widgets is not None:
        policy = dict(_POLICY_WITH_A_CHECK)
        for directive, sources in widgets.sources.items():
            policy[directive] = f"{policy.get(directive, '')} {sources}".strip()
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
