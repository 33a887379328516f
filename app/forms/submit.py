"""One submission of a form, from the checks to the queue: the visitor waits for no SMTP server, and nothing is lost.

What is received is committed before the visitor is told so, and delivery is tried for five days. Used by `intake`.
"""

import structlog
from sqlalchemy import Connection

from app.emails.configurations import group_of
from app.emails.office import Office
from app.emails.queue import enqueue, pretend
from app.errors import CheckFailed, CooldownActive, SubmissionLimitReached
from app.forms import confirmation, limits, marks
from app.forms.honeypot import is_caught
from app.forms.humanity import demand_proof, read_token
from app.forms.letter import letter
from app.forms.marks import AlreadyReceived
from app.forms.origins import demand_origin
from app.forms.recognition import recognise
from app.forms.redirects import wanted_redirect
from app.forms.submission import Receipt, Submission, Visitor
from app.model.email import Email
from app.model.form import Form

log = structlog.get_logger(__name__)


def submit(office: Office, form: Form, submission: Submission, visitor: Visitor) -> Receipt:
    """Take a submission; its receipt, also where the same one was received a moment ago.

    Raises OriginRefused, SubmissionInvalid, CheckFailed, SubmissionLimitReached, CooldownActive, RequestInvalid (too
    large a body), Overloaded and RecordUnavailable, each with nothing received.
    """
    demand_origin(form, visitor, allows_local_pages=not office.settings.is_production)
    recognised = recognise(submission, form)
    redirect = wanted_redirect(form, submission, visitor)
    token = read_token(office, form, submission)
    repeats = marks.repeats(office, form, recognised, submission, visitor, token)
    share = limits.share_of(office, form, visitor)
    reference = marks.reference_of(office, repeats)
    if reference is not None:
        return Receipt(reference=reference, redirect=redirect)

    def note(connection: Connection, email: Email) -> None:
        limits.demand_room(connection, form, email, share=share)
        if not is_bot:
            limits.use_share(connection, email, share=share)
        marks.add(office, connection, (*repeats, *spent), email)

    # What fell into the honeypot is treated the same in everything but the mail, so that a bot learns nothing.
    is_bot = is_caught(submission)
    take = pretend if is_bot else enqueue
    request = letter(form, recognised, submission, visitor)
    smtp_id = smtp_id_of(office, form)
    try:
        spent = demand_proof(office, form, submission, visitor, token)
        email = take(office, request, form=form, smtp_id=smtp_id, also=note)
    except (AlreadyReceived, CheckFailed, CooldownActive, SubmissionLimitReached):
        # Of a double click, the other one was a moment faster: it has the cooldown, the form's last place or the answer
        # to the captcha, and its receipt is this one's.
        reference = marks.reference_of(office, repeats)
        if reference is None:
            raise
        return Receipt(reference=reference, redirect=redirect)
    if form.confirms and recognised.email and not is_bot:
        confirmation.send(
            office, form, recognised.email, smtp_id=smtp_id, reference=email.id, language=visitor.language
        )
    return Receipt(reference=email.id, redirect=redirect)


def smtp_id_of(office: Office, form: Form) -> int | None:
    """The form's; where that connection was taken away, another one of the same owner, else the service's first.

    It is not the visitor's fault, and what was written must reach the form's owner all the same.
    """
    indexes = [configuration.index for configuration in group_of(office, form.project_id, form.smtp_id)]
    if form.smtp_id is None or form.smtp_id in indexes:
        return form.smtp_id
    instead = indexes[0] if indexes else None
    log.warning("a form's SMTP configuration is gone", form=form.key, smtp_id=form.smtp_id, instead=instead)
    return instead
