"""Queries of the table `audit_entries`: who changed what, when."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from app.storage.tables import audit_entries
from app.storage.times import from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act. `fields` are names only."""

    at: datetime
    project: str
    actor: str
    action: str
    subject: str
    fields: tuple[str, ...]


def add(
    connection: Connection,
    *,
    now_ms: int,
    project: str,
    actor: str,
    action: str,
    subject: str,
    fields: Iterable[str] = (),
) -> None:
    """Write one act in the transaction that does it."""
    values = {
        "at": now_ms,
        "project": project,
        "actor": actor,
        "action": action,
        "subject": subject,
        "fields": json.dumps(list(fields)),
    }
    connection.execute(insert(audit_entries).values(**values))


def prune(connection: Connection, *, action: str, older_than_ms: int) -> int:
    """Forget acts of one kind from before a moment; the number of deleted rows."""
    old = delete(audit_entries).where(audit_entries.c.action == action, audit_entries.c.at < older_than_ms)
    return connection.execute(old).rowcount


def every(connection: Connection, *, project: str | None = None) -> list[AuditEntry]:
    """All entries, or those of one project (as it is written), oldest first."""
    statement = select(audit_entries).order_by(audit_entries.c.id)
    if project is not None:
        statement = statement.where(audit_entries.c.project == project)
    return [
        AuditEntry(
            at=from_ms(row.at),
            project=row.project,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            fields=tuple(json.loads(row.fields)),
        )
        for row in connection.execute(statement)
    ]
