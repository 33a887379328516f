"""What an operator does with forms on the command line: those of every project, found by their key.

Whoever may start the command line may do everything. All of them raise RecordUnavailable.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.connections import projects
from app.connections.projects import OPERATOR
from app.emails.office import Office
from app.errors import FormInvalid, FormNotFound
from app.forms import manage
from app.forms.fields import public_fields
from app.forms.find import default_form, find_form
from app.forms.manage import Owner
from app.model.form import DEFAULT_KEY, Form
from app.storage import forms
from app.storage import projects as stored_projects
from app.storage.times import to_ms

_NO_PROJECT = 0
"""The id of no project: what is not made yet has no connections to choose from."""


def list_forms(office: Office, project: str | None = None) -> list[tuple[str | None, Form]]:
    """Forms with their projects' names, ordered by both, of one project or of all; in front of all the default form.

    Raises ProjectNotFound.
    """

    def read(connection: Connection) -> list[tuple[str | None, Form]]:
        found = stored_projects.every(connection) if project is None else [projects.find(connection, project)]
        return [(each.name, form) for each in found for form in forms.of_project(connection, each.id)]

    default = default_form(office.settings) if project is None else None
    return [*([(None, default)] if default else []), *office.database.read(read)]


def create_form(office: Office, project: str, name: str, body: Mapping[str, Any]) -> Form:
    """Store what `body` describes, and make the project when it is missing. Raises FormInvalid and FormExists."""
    projects.demand_name("project", project)
    found = office.database.read(lambda connection: stored_projects.find(connection, project))
    draft = manage.new_draft(office, found.id if found else _NO_PROJECT, name, body)
    now_ms = to_ms(office.clock())

    def create(connection: Connection) -> Form:
        owning = projects.find_or_add(connection, project, now_ms=now_ms)
        owner = Owner(project_id=owning.id, project=owning.name, actor=OPERATOR)
        return manage.insert(connection, owner, draft, now_ms=now_ms)

    return office.database.write(create)


def update_form(office: Office, key: str, changes: Mapping[str, Any]) -> Form:
    """Change those fields alone that are given; None takes one away. Raises FormNotFound, FormInvalid, FormExists."""
    form = find_form(office, key)
    owner = _owner(office, form)
    return manage.update_form(office, owner, form.name, {**public_fields(form), **changes})


def delete_form(office: Office, key: str) -> Form:
    """Delete a form; what it was. Raises FormNotFound, and FormInvalid for the default form."""
    form = find_form(office, key)
    return manage.delete_form(office, _owner(office, form), form.name)


def _owner(office: Office, form: Form) -> Owner:
    """Raises FormInvalid for the default form, which has none, and FormNotFound where its project is just gone."""
    if form.key == DEFAULT_KEY:
        raise FormInvalid(
            {"key": ["The default form comes from SMTP_RECEPTION_EMAIL and CORS_1_ORIGIN: change it there."]}
        )
    for project in office.database.read(stored_projects.every):
        if project.id == form.project_id:
            return Owner(project_id=project.id, project=project.name, actor=OPERATOR)
    raise FormNotFound(form.key)
