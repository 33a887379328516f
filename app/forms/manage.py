"""What owners do with their forms: list, read, create, update and delete them; `/apiops` and the command line use it.

Whether the caller may is settled before. Every change is one transaction with its entry in the audit. All of them raise
RecordUnavailable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import FormExists, FormNotFound, ProjectNotFound, RecordConflict
from app.forms.checks import unavailable_checks
from app.forms.drafts import Choices, draft_of
from app.forms.fields import GIVEN_BY_US, public_fields
from app.forms.find import new_key
from app.model.access import Caller
from app.model.form import Form
from app.model.names import name_fault
from app.storage import audit, forms
from app.storage.times import from_ms, to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """In whose name forms are managed: a project, and who acts for it, as the audit says it."""

    project_id: int
    project: str
    actor: str

    @classmethod
    def of(cls, caller: Caller) -> Self:
        return cls(project_id=caller.project_id, project=caller.project, actor=caller.token_name)


def list_forms(office: Office, owner: Owner) -> list[Form]:
    """The project's, ordered by name."""
    return office.database.read(lambda connection: forms.of_project(connection, owner.project_id))


def get_form(office: Office, owner: Owner, name: str) -> Form:
    """The project's form of that name, without case. Raises FormNotFound."""
    _demand_possible(name)
    form = office.database.read(lambda connection: forms.find_named(connection, owner.project_id, name))
    if form is None:
        raise FormNotFound(name)
    return form


def create_form(office: Office, owner: Owner, name: str, body: Mapping[str, Any]) -> Form:
    """Store what `body` describes, under a new key. Raises FormInvalid, FormExists and ProjectNotFound."""
    draft = new_draft(office, owner.project_id, name, body)
    now_ms = to_ms(office.clock())
    try:
        return office.database.write(lambda connection: insert(connection, owner, draft, now_ms=now_ms))
    except RecordConflict as error:
        # A taken name is told above, so here it is the project that is gone.
        raise ProjectNotFound(owner.project) from error


def update_form(office: Office, owner: Owner, name: str, body: Mapping[str, Any]) -> Form:
    """Replace a form by what `body` describes, and rename it when that says another name. Its key stays.

    Raises FormNotFound, FormInvalid, and FormExists for a new name that is taken.
    """
    seen = get_form(office, owner, name)
    choices = _choices(office, owner.project_id)
    draft = draft_of(
        body, project_id=owner.project_id, key=seen.key, path_name=seen.name, is_update=True, choices=choices
    )
    now_ms = to_ms(office.clock())

    def update(connection: Connection) -> Form:
        old = forms.find_named(connection, owner.project_id, name, for_update=True)
        if old is None or old.key != seen.key or not forms.replace(connection, draft, now_ms=now_ms):
            raise FormNotFound(name)
        _record(connection, owner, "update-form", old.name, now_ms=now_ms, fields=_changed(old, draft))
        return replace(draft, created_at=old.created_at, updated_at=from_ms(now_ms))

    try:
        return office.database.write(update)
    except RecordConflict as error:
        raise FormExists(draft.name) from error


def delete_form(office: Office, owner: Owner, name: str) -> Form:
    """Delete a form; what it was. What was submitted stays on record. Raises FormNotFound."""
    _demand_possible(name)
    now_ms = to_ms(office.clock())

    def delete(connection: Connection) -> Form:
        form = forms.find_named(connection, owner.project_id, name, for_update=True)
        if form is None or not forms.remove(connection, form.key):
            raise FormNotFound(name)
        _record(connection, owner, "delete-form", form.name, now_ms=now_ms)
        return form

    return office.database.write(delete)


def new_draft(office: Office, project_id: int, name: str, body: Mapping[str, Any]) -> Form:
    """What a new form with a new key would be. Raises FormInvalid."""
    choices = _choices(office, project_id)
    return draft_of(body, project_id=project_id, key=new_key(), path_name=name, is_update=False, choices=choices)


def insert(connection: Connection, owner: Owner, draft: Form, *, now_ms: int) -> Form:
    """Add a draft to its owner's project; the form. Raises FormExists."""
    form = replace(draft, project_id=owner.project_id, created_at=from_ms(now_ms), updated_at=from_ms(now_ms))
    if not forms.add(connection, form, now_ms=now_ms):
        raise FormExists(form.name)
    _record(connection, owner, "create-form", form.name, now_ms=now_ms, fields=_changed(None, form))
    return form


def _choices(office: Office, project_id: int) -> Choices:
    configurations = (
        *office.settings.smtp_configurations,
        *office.registry.live.smtp_configurations(project_id),
    )
    return Choices(
        smtp_ids=tuple(configuration.index for configuration in configurations),
        templates=office.templates.names,
        most_recipients=office.settings.limits.recipients,
        longest_subject=office.settings.limits.subject_template,
        unavailable=unavailable_checks(office.settings),
    )


def _demand_possible(name: str) -> None:
    """What is no name cannot be found, and a NUL must not reach a database that does not take one."""
    if name_fault(name) is not None:
        raise FormNotFound(name)


def _changed(old: Form | None, new: Form) -> list[str]:
    before = {} if old is None else public_fields(old)
    return [name for name, value in public_fields(new).items() if name not in GIVEN_BY_US and before.get(name) != value]


def _record(
    connection: Connection, owner: Owner, action: str, subject: str, *, now_ms: int, fields: list[str] | None = None
) -> None:
    audit.add(
        connection,
        now_ms=now_ms,
        project=owner.project,
        actor=owner.actor,
        action=action,
        subject=subject,
        fields=fields or (),
    )
