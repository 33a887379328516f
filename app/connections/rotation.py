"""Changing the key: everything is sealed anew with the first key, while the service runs. Used by `letterbox secrets`
and, for what cannot be opened, at the start.
"""

from dataclasses import dataclass

import sqlalchemy

from app.connections.live import mark_changed
from app.connections.projects import OPERATOR
from app.connections.registry import Registry
from app.connections.rows import from_row, to_row
from app.connections.sealing import SealBroken, Sealer
from app.storage import audit, connections, projects
from app.storage.connections import ConnectionRow
from app.storage.database import Database
from app.storage.times import to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """`kept` were sealed with the first key already; `unreadable`, as "project/name", are left as they are."""

    resealed: int
    kept: int
    unreadable: tuple[str, ...]


def rotate(registry: Registry) -> Rotation:
    """Seal every connection anew that another key has sealed. May run at any time, and twice at once."""
    sealer = registry.sealer
    rows = _rows(registry.database)
    kept = sum(sealer.is_current(row.sealed) for row, _ in rows)
    resealed = 0
    unreadable: dict[int, str] = {}
    # Whoever changes a connection meanwhile is not overwritten: that one is looked at again.
    while stale := [each for each in rows if each[0].id not in unreadable and not sealer.is_current(each[0].sealed)]:
        for row, project in stale:
            try:
                resealed += _reseal(registry, row, project=project)
            except SealBroken:
                unreadable[row.id] = f"{project}/{row.name}"
        rows = _rows(registry.database)
    if resealed:
        registry.database.write(mark_changed)
    return Rotation(resealed=resealed, kept=kept, unreadable=tuple(unreadable.values()))


def unreadable_connections(database: Database, sealer: Sealer) -> list[str]:
    """The connections that none of the keys opens, as "project/name"."""
    return [f"{project}/{row.name}" for row, project in _rows(database) if not _opens(sealer, row)]


def _rows(database: Database) -> list[tuple[ConnectionRow, str]]:
    """Every connection with the name of its project."""
    rows = database.read(connections.every)
    # Read later, so that a new project's connections have a name; what is without one was deleted in between.
    names = {project.id: project.name for project in database.read(projects.every)}
    return [(row, names[row.project_id]) for row in rows if row.project_id in names]


def _reseal(registry: Registry, row: ConnectionRow, *, project: str) -> bool:
    """False when the row was changed or deleted in the meantime. Raises SealBroken."""
    sealed = to_row(registry.sealer, from_row(registry.sealer, row)).sealed
    now_ms = to_ms(registry.clock())

    def reseal(transaction: sqlalchemy.Connection) -> bool:
        if not connections.reseal(transaction, row.id, old=row.sealed, new=sealed):
            return False
        audit.add(transaction, now_ms=now_ms, project=project, actor=OPERATOR, action="reseal", subject=row.name)
        return True

    return registry.database.write(reseal)


def _opens(sealer: Sealer, row: ConnectionRow) -> bool:
    try:
        from_row(sealer, row)
    except SealBroken:
        return False
    return True
