"""Page proofs: what a page of ours puts into its form, so that it is known for ours whatever a proxy does to `Host`.

A proof is `{milliseconds since 1970}.{nonce}.{signature}`: good for one form, one client address, one message, a day.
Another site's server gets one for its own address, which is worth nothing in a visitor's browser; one for the visitor's
address stands only on our page, where the visitor presses the button. Used by `intake` and `submit`.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from app.emails.office import Office
from app.forms.signing import signing_keys
from app.forms.tokens import LIFETIME
from app.model.form import Form
from app.storage.times import from_ms, to_ms

FIELD = "letterbox-own-page"
"""The field of a form that carries it."""

_PURPOSE = "own page v1"
_PROOF = re.compile(r"([0-9]{1,15}\.[A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageProof:
    """A proof that is ours. `digest` (64 hexadecimal digits) stands for it where it must not be used twice."""

    digest: str
    expires_at: datetime


def issue(office: Office, form: Form, *, client: str) -> str:
    """A proof for a page that is shown to that client; empty without a secret key, which only tests do without."""
    if not office.settings.secret_keys:
        return ""
    unsigned = f"{to_ms(office.clock())}.{secrets.token_urlsafe(12)}"
    return f"{unsigned}.{_signature(signing_keys(office.settings, _PURPOSE)[0], form, client, unsigned)}"


def read(office: Office, form: Form, proof: str, *, client: str) -> PageProof | None:
    """What a proof says; None for one that is not ours, too old, or another form's or client's."""
    match = _PROOF.fullmatch(proof)
    if match is None or not office.settings.secret_keys:
        return None
    expected = [_signature(key, form, client, match[1]) for key in signing_keys(office.settings, _PURPOSE)]
    if not any(hmac.compare_digest(match[2], signature) for signature in expected):
        return None
    expires_at = from_ms(int(match[1].partition(".")[0])) + LIFETIME
    if office.clock() >= expires_at:
        return None
    return PageProof(digest=sha256(f"own page\0{match[0]}".encode()).hexdigest(), expires_at=expires_at)


def _signature(key: bytes, form: Form, client: str, unsigned: str) -> str:
    mac = hmac.digest(key, f"{form.key}\0{client}\0{unsigned}".encode(), sha256)
    return urlsafe_b64encode(mac).decode("ascii").rstrip("=")
