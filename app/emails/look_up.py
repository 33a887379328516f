"""Find the record of an email."""

import re

from app.emails.office import Office
from app.errors import EmailNotFound
from app.model.email import Email
from app.storage import emails

_ID = re.compile(r"[0-9A-Fa-f]{8}")


def look_up(office: Office, email_id: str) -> Email:
    """The record with that id, in either case; raises EmailNotFound."""
    if _ID.fullmatch(email_id):
        email = office.database.read(lambda connection: emails.find(connection, email_id.upper()))
        if email is not None:
            return email
    raise EmailNotFound(email_id)
