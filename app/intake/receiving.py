"""`POST /forms/<key>`: where forms send what visitors write."""

from collections.abc import Callable
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from app.emails.office import Office
from app.errors import FormNotFound, OriginUnknown, RecordUnavailable
from app.forms.origins import demand_origin
from app.forms.submission import Receipt, Submission, Visitor
from app.intake import answers
from app.intake.reading import read_contents, submission_of
from app.intake.refusals import REFERRER_REMEDY
from app.intake.visit import Visit, visitor_of
from app.model.clock import Seconds, monotonic_s
from app.model.form import Form
from app.web.authentication import access

log = structlog.get_logger(__name__)

FindForm = Callable[[Office, str], Form]
Submit = Callable[[Office, Form, Submission, Visitor], Receipt]

_HOUR_S = 3600
_METHODS = ("OPTIONS", "POST")


class UnknownOrigins:
    """Says in the log, once an hour for each form, that its pages do not say where they are."""

    def __init__(self, now: Seconds = monotonic_s) -> None:
        self._now = now
        self._said_at: dict[str, float] = {}

    def note(self, visit: Visit) -> None:
        key, now = visit.form.key if visit.form else "", self._now()
        if key not in self._said_at or now >= self._said_at[key] + _HOUR_S:
            self._said_at[key] = now
            log.warning("a form's pages do not say where they are", form=key, remedy=REFERRER_REMEDY)


def create(office: Office, *, find: FindForm, submit: Submit) -> Blueprint:
    """The view and what surrounds it; errors that pass through it are answered here, in the visitor's language."""
    settings = office.settings
    unknown_origins = UnknownOrigins()
    receiving = Blueprint(
        "receiving",
        __name__,
        url_prefix="/forms",
        template_folder=settings.templates_dir,
        static_folder="static",
        static_url_path="/static",
    )

    @receiving.post("/<key>", provide_automatic_options=False)
    @access(is_open=True)
    def receive(key: str) -> Response:
        visit = _visit()
        visit.form = form = find(office, key)
        if not form.is_enabled:
            raise FormNotFound(key)
        contents = read_contents(request)
        visit.has_read(contents, office)
        # Before anything is found wrong: a page of ours where it can be corrected would pass for any other site's.
        demand_origin(form, visit.visitor, allows_local_pages=not settings.is_production)
        submission = submission_of(contents, form, settings.limits)
        # The files are in the submission; while it is recorded they are not held twice.
        del contents
        return answers.received(request, visit, submit(office, form, submission, visit.visitor))

    @receiving.route("/<key>", methods=["GET", "PUT", "PATCH", "DELETE"], provide_automatic_options=False)
    @access(is_open=True)
    def refuse_method(key: str) -> Response:
        _visit().form = find(office, key)
        raise MethodNotAllowed(_METHODS)

    @receiving.route("/<key>", methods=["OPTIONS"])
    @access(is_open=True)
    def name_methods(key: str) -> Response:  # noqa: ARG001 - the same for all
        response: Response = current_app.response_class(status=204)
        response.allow.update(_METHODS)
        return response

    @receiving.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        response = answers.refused(request, _visit(), error, office)
        if isinstance(error, OriginUnknown):
            unknown_origins.note(_visit())
        if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("unexpected error", exc_info=error)
        elif isinstance(error, RecordUnavailable):
            log.error("record unavailable", cause=str(error.__cause__ or error))
        return response

    @receiving.after_request
    def finish(response: Response) -> Response:
        if request.endpoint == "receiving.static":
            return response
        # A database that has just kept the view waiting is not waited for again.
        if _visit().form is not None or response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            _name_origins()
        return answers.in_language(response, _visit())

    def _name_origins() -> None:
        """Whose scripts may read the answer. Asked for only then, because a preflight has not looked for the form."""
        if "Origin" not in request.headers or "form_origins" in g:
            return
        try:
            form = _visit().form or find(office, str((request.view_args or {}).get("key", "")))
        except (FormNotFound, RecordUnavailable):
            return
        g.form_origins = frozenset(form.allowed_origins)

    def _visit() -> Visit:
        if "visit" not in g:
            g.visit = Visit(visitor_of(request, settings))
        visit: Visit = g.visit
        return visit

    return receiving
