"""`/apiops/projects/{projectName}/forms/`: a project's web forms.

The project in the path is the caller's, which the door has seen to, so the views leave it aside.
"""

from collections.abc import Iterable

from flask import Response, jsonify, request

from app import errors
from app.apiops import form_documentation as documents
from app.apiops.bodies import json_body
from app.apiops.documentation import APIOpsBlueprint
from app.emails.office import Office
from app.forms import manage
from app.forms.fields import public_fields
from app.forms.manage import Owner
from app.model.access import Permission
from app.model.form import Form
from app.web.apiops_errors import refusal
from app.web.authentication import access, required_caller

_NO_PROJECT = "The token knows no such project."
_NO_FORM = "The token knows no such project, or it has no such form."
_INVALID = (
    "A field is missing, wrong or not known (each one is named), the names in path and body differ, or there is a form "
    "of that name already."
)
_TOO_LARGE = "The body is larger than allowed."


def blueprint(office: Office) -> APIOpsBlueprint:
    """The routes, working in this office."""
    routes = APIOpsBlueprint(
        "forms",
        __name__,
        url_prefix="/apiops/projects/<projectName>/forms",
        description="Manage the web forms of a project.",
    )

    def listed(forms: Iterable[Form]) -> Response:
        base_url = office.settings.public_url or request.script_root
        shown = [public_fields(form, base_url=base_url) for form in forms]
        return jsonify({"success": True, "resultList": shown, "resultCount": len(shown)})

    routes.register_error_handler(errors.FormInvalid, _invalid)
    routes.register_error_handler(errors.FormExists, _exists)
    routes.register_error_handler(errors.FormNotFound, _not_found)

    @routes.route("/")
    @routes.response(200, documents.LIST, description="The forms, ordered by name.")
    @routes.refusals(s404=_NO_PROJECT)
    @access(Permission.FORMS_MANAGE)
    def list_forms(**_: str) -> Response:
        """List the forms of a project"""
        return listed(manage.list_forms(office, _owner()))

    @routes.route("/<formName>/")
    @routes.response(200, documents.LIST, description="A list with the one form.")
    @routes.refusals(s404=_NO_FORM)
    @access(Permission.FORMS_MANAGE)
    def get_form(formName: str, **_: str) -> Response:  # noqa: N803 - the name in the OpenAPI document
        """Read a form"""
        return listed([manage.get_form(office, _owner(), formName)])

    @routes.route("/<formName>/", methods=["POST"])
    @routes.doc(requestBody=documents.request_body())
    @routes.response(200, documents.LIST, description="The form is there: a list with it, and with its new key.")
    @routes.refusals(s400=_INVALID, s404=_NO_PROJECT, s413=_TOO_LARGE)
    @access(Permission.FORMS_MANAGE)
    def create_form(formName: str, **_: str) -> Response:  # noqa: N803
        """Create a form

        The body need not repeat the name in the path.
        """
        return listed([manage.create_form(office, _owner(), formName, json_body())])

    @routes.route("/<formName>/", methods=["PUT"])
    @routes.doc(requestBody=documents.request_body())
    @routes.response(200, documents.LIST, description="The form is changed: a list with it.")
    @routes.refusals(s400=_INVALID, s404=_NO_FORM, s413=_TOO_LARGE)
    @access(Permission.FORMS_MANAGE)
    def update_form(formName: str, **_: str) -> Response:  # noqa: N803
        """Update or rename a form

        The body replaces all of it but its key. Another name in the body is the new name; without one the old name
        stays.
        """
        return listed([manage.update_form(office, _owner(), formName, json_body())])

    @routes.route("/<formName>/", methods=["DELETE"])
    @routes.response(200, documents.GONE, description="The form is gone.")
    @routes.refusals(s404=_NO_FORM)
    @access(Permission.FORMS_MANAGE)
    def delete_form(formName: str, **_: str) -> Response:  # noqa: N803
        """Delete a form

        Pages that still post to it get "not found". Mail that came in through it stays on record.
        """
        manage.delete_form(office, _owner(), formName)
        return jsonify({"success": True})

    return routes


def _owner() -> Owner:
    return Owner.of(required_caller())


def _invalid(error: errors.FormInvalid) -> Response:
    sentences = (sentence for sentences in error.errors.values() for sentence in sentences)
    return refusal(400, "bad_request", " ".join(dict.fromkeys(sentences)))


def _exists(error: errors.FormExists) -> Response:
    return refusal(400, "bad_request", str(error))


def _not_found(error: errors.FormNotFound) -> Response:
    return refusal(404, "not_found", str(error))
