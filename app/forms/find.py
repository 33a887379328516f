"""A public key -> its form. Everything that a page asks about a form begins here."""

import re
import secrets

from app.emails.office import Office
from app.errors import FormNotFound
from app.model.form import DEFAULT_KEY, Form
from app.settings import Settings
from app.storage import forms

_KEY = re.compile("[a-z][a-z0-9]{15,31}")
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_CHARACTERS = _LETTERS + "23456789"
"""Without what is mistaken for something else when it is read out: i, l, o, 0, 1."""
_LENGTH = 20


def find_form(office: Office, key: str) -> Form:
    """The form with that key, also one that is switched off. Raises FormNotFound and RecordUnavailable."""
    if key == DEFAULT_KEY:
        form = default_form(office.settings)
    else:
        # The database is not asked for what no key can be.
        form = office.database.read(lambda connection: forms.find(connection, key)) if _KEY.fullmatch(key) else None
    if form is None:
        raise FormNotFound(key)
    return form


def default_form(settings: Settings) -> Form | None:
    """The form of a service that can send, be it to its own inbox; None where mail has nowhere to go."""
    if not settings.reception_email or not (settings.smtp_configurations or settings.runs_embedded_inbox):
        return None
    return Form(
        key=DEFAULT_KEY,
        name="Contact form",
        recipients=(settings.reception_email,),
        allowed_origins=settings.cors_origins,
    )


def new_key() -> str:
    """20 characters of 99 bits: everybody may read it in the page, and nobody guesses that of another form."""
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH - 1))
