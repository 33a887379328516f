"""Sending again what a form received and could not be delivered. Used by `letterbox forms retry`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from app.connections.projects import OPERATOR
from app.emails import retries
from app.emails.configurations import group_of
from app.emails.office import Office
from app.forms.submit import smtp_id_of
from app.messages.compose import readdressed
from app.model.email import Status
from app.model.form import Form
from app.storage import audit, emails, projects, queue
from app.storage.queue import QueuedMessage
from app.storage.times import to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """How many submissions lay there, by what became of them, and how many of them are queued again."""

    failed: int
    uncertain: int
    queued: int


def retry_submissions(
    office: Office, form: Form, *, with_uncertain: bool = False, recipients: Sequence[str] = ()
) -> Retried:
    """Queue again what no server took, and `with_uncertain` also what may have arrived without anybody's word for it.

    It goes to `recipients`, or to whom the form names now, but for those of whom a server has taken it already, and
    through the SMTP configuration that the form names now. A visitor's confirmation is too late by now. Raises
    RecordUnavailable, with some of it queued perhaps.
    """
    lying = office.database.read(lambda connection: queue.undelivered(connection, form.key))
    wanted = (Status.FAILED, Status.UNCERTAIN) if with_uncertain else (Status.FAILED,)
    smtp_id = smtp_id_of(office, form)
    if smtp_id is None:
        smtp_id = group_of(office, None, None)[0].index
    addressed = tuple(recipients) or form.recipients
    # One by one, because each may have files of many megabytes.
    queued = sum(
        _queue_again(office, email_id, status, recipients=addressed, smtp_id=smtp_id)
        for email_id, status in lying
        if status in wanted
    )
    options = {"uncertain": with_uncertain, "to": bool(recipients)}
    _record(office, form, fields=[name for name, is_given in options.items() if is_given])
    failed = sum(status is Status.FAILED for _, status in lying)
    return Retried(failed=failed, uncertain=len(lying) - failed, queued=queued)


def _queue_again(office: Office, email_id: str, status: Status, *, recipients: tuple[str, ...], smtp_id: int) -> bool:
    lifetime_ms = retries.LIFETIME_OF_SUBMISSIONS // timedelta(milliseconds=1)

    def work(connection: Connection) -> bool:
        now_ms = office.database.now_ms(connection)
        email = emails.find(connection, email_id)
        kept = queue.find_message(connection, email_id)
        if email is None or kept is None or email.status is not status:
            return False
        have_it = {each for attempt in email.accepted for each in attempt.recipients if each not in attempt.refused}
        missing = tuple(dict.fromkeys(each for each in recipients if each not in have_it))
        if not missing:
            return False
        queued = QueuedMessage(message=readdressed(kept.message, recipients), recipients=missing, catch_all=None)
        again = replace(email, requested_smtp_id=smtp_id)
        return queue.queue_again(connection, again, queued, now_ms=now_ms, expires_ms=now_ms + lifetime_ms)

    # What is queued is a promise: without it the operator would be told of mail that is not sent.
    return office.database.write(work, outlives_power=True)


def _record(office: Office, form: Form, *, fields: Sequence[str]) -> None:
    def work(connection: Connection) -> None:
        names = {project.id: project.name for project in projects.every(connection)}
        audit.add(
            connection,
            now_ms=to_ms(office.clock()),
            project=names.get(form.project_id or 0, ""),
            actor=OPERATOR,
            action="retry-form",
            subject=form.name,
            fields=fields,
        )

    office.database.write(work)
