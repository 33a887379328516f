"""What is remembered of a submission in the transaction that receives it: it is taken once, however often it comes.

A double click gets the first one's receipt; a form token or a proof of work that was used is used up. Used by `submit`.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import CheckFailed
from app.forms.signing import keyed_digest
from app.forms.submission import Recognised, Submission, Visitor
from app.forms.tokens import FormToken
from app.model.email import Email
from app.model.form import CheckFailure, Form
from app.storage import form_marks
from app.storage.times import to_ms

REPEATED_WITHIN = timedelta(minutes=1)
"""The same words of the same visitor are one message within that time; of one form token, for as long as it is valid.

Without a token the visitor is an address and a browser. Where there is one, it alone tells apart the visitors behind
one address who vote alike with the same browser; with the same e-mail address in their words they are one all the same.
"""


class AlreadyReceived(Exception):
    """Another request brought the same submission and was recorded first."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`failure` is what a second use of it means; None where that is the same submission again."""

    digest: str
    expires_ms: int
    failure: CheckFailure | None = None


def repeats(
    office: Office,
    form: Form,
    recognised: Recognised,
    submission: Submission,
    visitor: Visitor,
    token: FormToken | None,
) -> tuple[Mark, ...]:
    """The marks by which the same submission of the same visitor is known again."""
    content = _content(form, recognised, submission)
    marks = []
    if token is not None:
        digest = keyed_digest(office.settings, "again", token.digest, content)
        marks.append(Mark(digest, to_ms(token.expires_at)))
    if token is None or recognised.email:
        digest = keyed_digest(office.settings, "again", visitor.client, visitor.user_agent, content)
        marks.append(Mark(digest, to_ms(office.clock() + REPEATED_WITHIN)))
    return tuple(marks)


def used_token(token: FormToken) -> Mark:
    """The mark that uses a form token up."""
    return Mark(token.digest, to_ms(token.expires_at), CheckFailure.TOKEN_USED)


def reference_of(office: Office, marks: tuple[Mark, ...]) -> str | None:
    """Under which reference it was received before. Raises RecordUnavailable."""

    def find(connection: Connection) -> str | None:
        now_ms, ahead_ms = _now_ms(office, connection)
        latest_ms = ahead_ms + form_marks.CLOCK_DRIFT_MS
        found = (
            form_marks.find(connection, mark.digest, now_ms=now_ms, latest_ms=mark.expires_ms + latest_ms)
            for mark in marks
        )
        return next((reference for reference in found if reference is not None), None)

    return office.database.read(find)


def add(office: Office, connection: Connection, marks: tuple[Mark, ...], email: Email) -> None:
    """Make the marks, for this email. Raises AlreadyReceived or CheckFailed where one of them is there."""
    now_ms, ahead_ms = _now_ms(office, connection)
    for mark in marks:
        expires_ms = mark.expires_ms + ahead_ms
        if form_marks.add(connection, mark.digest, reference=email.id, expires_ms=expires_ms, now_ms=now_ms):
            continue
        if mark.failure is not None:
            raise CheckFailed(mark.failure)
        raise AlreadyReceived


def _now_ms(office: Office, connection: Connection) -> tuple[int, int]:
    """The moment by which marks are judged, and how far that clock is ahead of this process's."""
    now_ms = office.database.now_ms(connection)
    return now_ms, now_ms - to_ms(office.clock())


def _content(form: Form, recognised: Recognised, submission: Submission) -> str:
    """Of the form and what was written; no more than a part of what is digested with a key."""
    said = [recognised.email, recognised.username, recognised.message, recognised.subject, recognised.reply_to]
    files = [[file.file_name, sha256(file.base64.encode("ascii")).hexdigest()] for file in submission.files]
    return json.dumps([form.key, said, list(recognised.custom_fields.items()), files])
