"""Find the records of emails: one by its id, or a project's, page by page."""

import re
from dataclasses import dataclass
from datetime import datetime

from app.emails.cursor import Cursor
from app.emails.office import Office
from app.errors import EmailNotFound
from app.model.access import Caller
from app.model.email import Email, Status
from app.storage import emails
from app.storage.times import to_ms

_ID = re.compile(r"[0-9A-Fa-f]{8}")


def look_up(office: Office, email_id: str, caller: Caller | None = None) -> Email:
    """The record with that id, in either case; raises EmailNotFound.

    What was sent with a project's token is found by callers of that project alone; for others it does not exist.
    """
    if _ID.fullmatch(email_id):
        email = office.database.read(lambda connection: emails.find(connection, email_id.upper()))
        if email is not None and _is_visible(email, caller):
            return email
    raise EmailNotFound(email_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Emails, newest first; `next` is what `list_emails` takes as `after` for those behind them, None at the end."""

    emails: tuple[Email, ...]
    next: Cursor | None


def list_emails(
    office: Office,
    caller: Caller,
    *,
    limit: int,
    status: Status | None = None,
    smtp_id: int | None = None,
    since: datetime | None = None,
    after: Cursor | None = None,
) -> Page:
    """The emails of the caller's project, newest first, at most `limit` of them.

    `smtp_id` is the requested one; `since` is aware and included. Raises RecordUnavailable.
    """
    found = office.database.read(
        lambda connection: emails.page(
            connection,
            project_id=caller.project_id,
            status=status,
            smtp_id=smtp_id,
            since_ms=None if since is None else _first_ms(since),
            before=None if after is None else (after.created_at_ms, after.email_id),
            limit=limit + 1,
        )
    )
    shown = tuple(found[:limit])
    has_more = len(found) > limit
    return Page(shown, Cursor(to_ms(shown[-1].created_at), shown[-1].id) if has_more else None)


def _is_visible(email: Email, caller: Caller | None) -> bool:
    if caller is not None and caller.project_id == email.project_id:
        return True
    # A visitor's reference tells nothing: what fell into a honeypot got one, too.
    return email.project_id is None and email.form_key is None


def _first_ms(moment: datetime) -> int:
    """The first whole millisecond that is not before `moment`."""
    return to_ms(moment) + (moment.microsecond % 1000 > 0)
