"""Form tokens: when a form was loaded, signed, so that what was filled in within no time is known for a machine's.

A token is `{milliseconds since 1970}.{nonce}.{signature}` and good for one form. Used by `humanity` and `intake`.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from app.emails.office import Office
from app.errors import CheckFailed
from app.forms.signing import signing_keys
from app.model.form import CheckFailure, Form
from app.storage.times import from_ms, to_ms

FIELD = "letterbox-token"
"""The field of a form that carries it."""
LIFETIME = timedelta(hours=24)
"""A page may stay open over night."""

_CLOCK_DRIFT = timedelta(minutes=1)
"""Another machine may have issued it, whose clock is ahead."""
_PURPOSE = "form token v1"
_NONCE_BYTES = 12
_TOKEN = re.compile(r"([0-9]{1,15})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FormToken:
    """A token that is ours. `digest` (64 hexadecimal digits) stands for it where it must not be used twice."""

    issued_at: datetime
    expires_at: datetime
    digest: str


def issue(office: Office, form: Form) -> str:
    """A token for a form that is being loaded. Raises SettingsInvalid without a secret key."""
    unsigned = f"{to_ms(office.clock())}.{secrets.token_urlsafe(_NONCE_BYTES)}"
    return f"{unsigned}.{_signature(signing_keys(office.settings, _PURPOSE)[0], form, unsigned)}"


def read(office: Office, form: Form, token: str) -> FormToken:
    """What a token says. Raises CheckFailed: TOKEN_INVALID, also for another form's, or TOKEN_EXPIRED."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise CheckFailed(CheckFailure.TOKEN_INVALID)
    unsigned = f"{match[1]}.{match[2]}"
    # Texts are compared and not the bytes in them, because several texts would decode to the same bytes.
    expected = [_signature(key, form, unsigned) for key in signing_keys(office.settings, _PURPOSE)]
    if not any(hmac.compare_digest(match[3], signature) for signature in expected):
        raise CheckFailed(CheckFailure.TOKEN_INVALID)
    issued_at = from_ms(int(match[1]))
    now = office.clock()
    if issued_at > now + _CLOCK_DRIFT:
        raise CheckFailed(CheckFailure.TOKEN_INVALID)
    if now >= issued_at + LIFETIME:
        raise CheckFailed(CheckFailure.TOKEN_EXPIRED)
    digest = sha256(f"form token\0{form.key}\0{unsigned}".encode()).hexdigest()
    return FormToken(issued_at=issued_at, expires_at=issued_at + LIFETIME, digest=digest)


def demand_age(office: Office, form: Form, token: FormToken) -> None:
    """Raises CheckFailed (TOO_FAST) when nobody could have filled the form in since."""
    if office.clock() < token.issued_at + timedelta(seconds=form.min_age_s):
        raise CheckFailed(CheckFailure.TOO_FAST)


def judge(office: Office, form: Form, token: str) -> FormToken | None:
    """The token of a submission, judged also where the form needs none; None where none is needed and none was given.

    Raises CheckFailed: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED or TOO_FAST.
    """
    if not token:
        if form.needs_token:
            raise CheckFailed(CheckFailure.TOKEN_MISSING)
        return None
    known = read(office, form, token)
    demand_age(office, form, known)
    return known


def _signature(key: bytes, form: Form, unsigned: str) -> str:
    mac = hmac.digest(key, f"{form.key}\0{unsigned}".encode(), sha256)
    return urlsafe_b64encode(mac).decode("ascii").rstrip("=")
