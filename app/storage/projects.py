"""Queries of the table `projects`. Names are found without case."""

from sqlalchemy import Connection, delete, select

from app.model.access import Project
from app.model.names import name_key
from app.storage.inserting import insert_or_none
from app.storage.tables import projects
from app.storage.times import from_ms


def add(connection: Connection, *, name: str, now_ms: int) -> int | None:
    """Insert a project; its id, or None when the name is taken."""
    values = {"name": name, "name_key": name_key(name), "created_at": now_ms}
    return insert_or_none(connection, projects, values, unique=("name_key",))


def find(connection: Connection, name: str) -> Project | None:
    row = connection.execute(_ALL.where(projects.c.name_key == name_key(name))).first()
    return None if row is None else Project(id=row.id, name=row.name, created_at=from_ms(row.created_at))


def every(connection: Connection) -> list[Project]:
    """All projects, ordered by name."""
    return [
        Project(id=row.id, name=row.name, created_at=from_ms(row.created_at))
        for row in connection.execute(_ALL.order_by(projects.c.name_key))
    ]


def remove(connection: Connection, project_id: int) -> bool:
    """Delete a project with its clients, tokens and connections; False when it is not there."""
    return connection.execute(delete(projects).where(projects.c.id == project_id)).rowcount == 1


_ALL = select(projects.c.id, projects.c.name, projects.c.created_at)
