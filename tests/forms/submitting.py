"""What the tests of submissions share: a form, a visitor, words, and what becomes of them."""

from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.forms import tokens
from app.forms.submission import Receipt, Submission, Visitor
from app.forms.submit import submit
from app.model.clock import utc_now
from app.model.form import Form
from tests.smtp_server import SMTPServer

ORIGIN = "https://www.example.com"
HEADERS = {"Origin": ORIGIN, "Accept": "application/json"}
SECRET = {"secret_keys": ("the key of these tests, long enough",)}
VISITOR = Visitor(client="192.0.2.1", origin=ORIGIN, page=f"{ORIGIN}/contact", own_origin="https://mail.example")
FORM = Form(key="default", name="Contact", recipients=("office@example.com",), allowed_origins=(ORIGIN,))


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


def written(**fields: Any) -> Submission:
    given = {"name": "Anna", "email": "anna@example.com", "message": "Hello!"} | fields
    return Submission(fields=tuple(given.items()))


def send(office: Office, *, form: Form = FORM, visitor: Visitor = VISITOR, **fields: Any) -> Receipt:
    return submit(office, form, written(**fields), visitor)


def with_token(token: str) -> dict[str, Any]:
    return {tokens.FIELD: token}


def work_off(office: Office) -> list[str]:
    return [deliver_one(office, email).status for email in record.claim(office, limit=1000)]


def mails(server: SMTPServer) -> list[EmailMessage]:
    return [message_from_bytes(message.data, policy=policy.default) for message in server.messages]


def vote(coming: str = "yes", **fields: str) -> Submission:
    """Nothing in it says who wrote it."""
    return Submission(fields=(("coming", coming), *fields.items()))


VOTE = vote()
