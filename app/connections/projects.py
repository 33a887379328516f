"""Projects: made, listed, deleted. And the audit, which tells who did what in them.

`access` makes projects too, for a token whose project is missing. Every change is one transaction with its entry in the
audit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from app.connections.live import mark_changed
from app.connections.registry import Registry
from app.errors import ProjectExists, ProjectNotFound, RequestInvalid
from app.model.access import Project
from app.model.names import name_fault, name_key
from app.storage import access_tokens, audit, clients, connections, forms, projects, queue
from app.storage.audit import AuditEntry
from app.storage.times import to_ms

OPERATOR = "command line"
"""Who acts here, in the audit. Whoever may start the command line may do everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectContents:
    """How much goes when a project is deleted. Tokens and clients that are revoked count too."""

    connections: int = 0
    tokens: int = 0
    clients: int = 0
    forms: int = 0


def create_project(registry: Registry, name: str) -> Project:
    """Raises ProjectExists, and RequestInvalid for what is no name."""
    demand_name("project", name)
    now_ms = to_ms(registry.clock())
    project = registry.database.write(lambda connection: _add(connection, name, now_ms=now_ms))
    if project is None:
        raise ProjectExists(name)
    return project


def list_projects(registry: Registry) -> list[Project]:
    """All projects, ordered by name."""
    return registry.database.read(projects.every)


def find_project(registry: Registry, name: str) -> Project:
    """The project of that name, without case. Raises ProjectNotFound."""
    return registry.database.read(lambda connection: find(connection, name))


def project_contents(registry: Registry, name: str) -> ProjectContents:
    """What belongs to a project. Raises ProjectNotFound."""

    def count(connection: Connection) -> ProjectContents:
        project = find(connection, name)
        return ProjectContents(
            connections=len(connections.of_project(connection, project.id)),
            tokens=len(access_tokens.every(connection, project_id=project.id)),
            clients=len(clients.every(connection, project_id=project.id)),
            forms=len(forms.of_project(connection, project.id)),
        )

    return registry.database.read(count)


def delete_project(registry: Registry, name: str) -> Project:
    """Delete a project with everything in it; its emails stay on record. Raises ProjectNotFound."""
    now_ms = to_ms(registry.clock())

    def delete(connection: Connection) -> Project:
        project = find(connection, name)
        if not projects.remove(connection, project.id):
            raise ProjectNotFound(name)
        queue.make_due(connection, project.id, now_ms=now_ms)
        record(connection, project.name, action="delete-project", subject=project.name, now_ms=now_ms)
        return project

    return registry.database.write(delete)


def list_audit(registry: Registry, project: str | None = None) -> list[AuditEntry]:
    """Who did what, oldest first; of one project also when it was deleted. Raises ProjectNotFound."""
    entries = registry.database.read(audit.every)
    if project is None:
        return entries
    # Entries hold the name as it was written then, and a deleted project may have come again in another case.
    entries = [entry for entry in entries if name_key(entry.project) == name_key(project)]
    if not entries:
        find_project(registry, project)
    return entries


def find(connection: Connection, name: str) -> Project:
    """Raises ProjectNotFound, without asking the database for what no project can be named."""
    project = None if name_fault(name) else projects.find(connection, name)
    if project is None:
        raise ProjectNotFound(name)
    return project


def find_or_add(connection: Connection, name: str, *, now_ms: int) -> Project:
    """Of many that add it at once the first one does, and the others then find it."""
    return projects.find(connection, name) or _add(connection, name, now_ms=now_ms) or find(connection, name)


def record(
    connection: Connection, project: str, *, action: str, subject: str, now_ms: int, fields: Iterable[str] = ()
) -> None:
    """Write the operator's act in its transaction, and let every process know that something changed."""
    audit.add(connection, now_ms=now_ms, project=project, actor=OPERATOR, action=action, subject=subject, fields=fields)
    mark_changed(connection)


def demand_name(field: str, name: str) -> None:
    """Raises RequestInvalid with what is wrong with a name."""
    if (fault := name_fault(name)) is not None:
        raise RequestInvalid({field: [fault]})


def _add(connection: Connection, name: str, *, now_ms: int) -> Project | None:
    if projects.add(connection, name=name, now_ms=now_ms) is None:
        return None
    record(connection, name, action="create-project", subject=name, now_ms=now_ms)
    return projects.find(connection, name)
