"""What a client asks for in headers: `Prefer: respond-async` and `Idempotency-Key`. Used by the views that send."""

import re
from hashlib import sha256

from app.errors import RequestInvalid
from app.guards.client_address import client_key
from app.settings import GuardSettings
from app.storage.idempotency import IdempotencyKey
from app.web.authentication import caller
from app.web.current import current_globals, current_request

REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def wants_async() -> bool:
    """Whether the client prefers not to wait for the outcome (RFC 7240, section 4.1)."""
    # The server has joined the lines of a header with commas (RFC 3875, section 4.1.18).
    preferences = current_request().environ.get("HTTP_PREFER")
    if preferences is None:
        return False
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences.split(","))


def idempotency_key(guards: GuardSettings) -> IdempotencyKey | None:
    """The client's key for this request, whose body has been read (draft-ietf-httpapi-idempotency-key-header-07).

    The quotes of the draft's form may be there or not. Raises RequestInvalid for what is no key.
    """
    given = current_request().environ.get("HTTP_IDEMPOTENCY_KEY")
    if given is None:
        return None
    # White space around the value of a header field is no part of it (RFC 9110, section 5.5); anything else is.
    text = given.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _KEY.fullmatch(text):
        raise RequestInvalid({"Idempotency-Key": ["The Idempotency-Key must have 1 to 255 visible ASCII characters."]})
    return IdempotencyKey(caller=_whose(guards), key=text, fingerprint=_fingerprint())


def _whose(guards: GuardSettings) -> str:
    who = caller()
    if who is not None:
        return f"token {who.token_id}"
    environ = current_request().environ
    return client_key(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), guards.trusted_proxies)


def _fingerprint() -> str:
    """What was asked for: the body, the query and the preference; not the form in which the version was named."""
    query = sorted((name.lower(), value.lower()) for name, value in current_request().args.items(multi=True))
    asked = repr(([pair for pair in query if pair[0] != "api-version"], wants_async()))
    return sha256(asked.encode("utf-8", "surrogatepass") + current_globals().body_digest).hexdigest()
