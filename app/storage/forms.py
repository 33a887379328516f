"""Queries of the table `forms`. A key is unique in the service, a name in its project and without case."""

import json
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from app.model.form import Form, HumanCheck
from app.model.names import name_key
from app.storage.inserting import insert_or_none
from app.storage.tables import forms
from app.storage.times import from_ms


def add(connection: Connection, form: Form, *, now_ms: int) -> bool:
    """Insert a form, whatever dates it has; False when its project has one of that name.

    Raises IntegrityError when the key is taken or the project is gone.
    """
    values = {"project_id": form.project_id, "key": form.key, "created_at": now_ms, "updated_at": now_ms}
    return insert_or_none(connection, forms, values | _changeable(form), unique=("project_id", "name_key")) is not None


def replace(connection: Connection, form: Form, *, now_ms: int) -> bool:
    """Write everything but the key anew; False when the row is gone. Raises IntegrityError when the name is taken."""
    statement = update(forms).where(forms.c.key == form.key, forms.c.project_id == form.project_id)
    return connection.execute(statement.values(**_changeable(form), updated_at=now_ms)).rowcount == 1


def find(connection: Connection, key: str) -> Form | None:
    """The form with that key, of any project."""
    row = connection.execute(_ROWS.where(forms.c.key == key)).first()
    return None if row is None else _from_row(row)


def find_named(connection: Connection, project_id: int, name: str, *, for_update: bool = False) -> Form | None:
    """The project's form of that name, without case. `for_update` lets no other writer at it until the commit."""
    statement = _ROWS.where(forms.c.project_id == project_id, forms.c.name_key == name_key(name))
    if for_update:
        statement = statement.with_for_update()  # SQLite has one writer at a time, and no such clause
    row = connection.execute(statement).first()
    return None if row is None else _from_row(row)


def of_project(connection: Connection, project_id: int) -> list[Form]:
    """A project's forms, ordered by name."""
    statement = _ROWS.where(forms.c.project_id == project_id).order_by(forms.c.name_key)
    return [_from_row(row) for row in connection.execute(statement)]


def remove(connection: Connection, key: str) -> bool:
    """Delete a form; False when it is gone already."""
    return connection.execute(delete(forms).where(forms.c.key == key)).rowcount == 1


_ROWS = select(forms)
_IN_COLUMNS = frozenset({"key", "project_id", "name", "created_at", "updated_at"})
_DEFINED = tuple(field.name for field in fields(Form) if field.name not in _IN_COLUMNS)
"""The fields of a form that are in its definition."""


def _changeable(form: Form) -> dict[str, Any]:
    definition = {name: getattr(form, name) for name in _DEFINED}
    return {"name": form.name, "name_key": name_key(form.name), "definition": json.dumps(definition)}


def _from_row(row: Row[Any]) -> Form:
    stored = json.loads(row.definition)
    # What an older version did not know has its default, and what only a newer one knows is left aside.
    definition = {name: _read(stored[name]) for name in _DEFINED if name in stored}
    if "check" in definition:
        definition["check"] = HumanCheck(definition["check"])
    return Form(
        key=row.key,
        name=row.name,
        project_id=row.project_id,
        created_at=from_ms(row.created_at),
        updated_at=from_ms(row.updated_at),
        **definition,
    )


def _read(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
