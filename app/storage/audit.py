"""Queries of the table `audit_entries`: who changed what, when."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from app.storage.pruning import delete_portion
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
    """Forget a portion of the acts of one kind from before a moment; the number of deleted rows."""
    is_old = audit_entries.c.at < older_than_ms
    return delete_portion(connection, audit_entries, is_old & (audit_entries.c.action == action))


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
