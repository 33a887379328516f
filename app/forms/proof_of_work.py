"""ALTCHA: the visitor's browser works for a second, and nobody else learns of it. Used by `humanity` and `intake`.

Challenges are those of the package `altcha` ("PoW v2"): the browser looks for the counter from which a key with a given
beginning is derived (PBKDF2). Making one costs us one derivation, half a millisecond; judging a solution costs two
HMACs, whatever was sent, because the key that we expect is in the challenge, signed. Nothing is stored until a solution
is used.
"""

import binascii
import hmac
import json
import secrets
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from altcha import create_challenge

from app.emails.office import Office
from app.errors import CheckFailed
from app.forms.signing import signing_keys
from app.model.form import CheckFailure, Form

FIELD = "altcha"
"""The field of a form that the widget fills in."""
LIFETIME = timedelta(minutes=20)
"""The widget fetches another one when it is over."""

_COST = 2_000
_COUNTERS = 1_000
"""Half of these derivations on average, none of them twice: a third of a second here, up to one on a slow phone."""
_LONGEST = 4_000
"""Three times a solution of the widget."""
_SIGNING, _EXPECTING = "altcha challenge v1", "altcha key v1"

_TEXTS = ("algorithm", "keyPrefix", "keySignature", "nonce", "salt")
_NUMBERS = ("cost", "expiresAt", "keyLength")


@dataclass(frozen=True, slots=True)
class Proof:
    """A solution that is right. `digest` (64 hexadecimal digits) stands for its challenge, to be used once."""

    expires_at: datetime
    digest: str


def new_challenge(office: Office, form: Form) -> dict[str, Any]:
    """What the widget asks for, as JSON's types. Raises SettingsInvalid without a secret key."""
    challenge = create_challenge(
        "PBKDF2/SHA-256",
        _COST,
        counter=secrets.randbelow(_COUNTERS),
        expires_at=office.clock() + LIFETIME,
        data={"form": form.key},
        hmac_secret=signing_keys(office.settings, _SIGNING)[0],
        hmac_key_secret=signing_keys(office.settings, _EXPECTING)[0],
    )
    document: dict[str, Any] = challenge.to_dict()
    return document


def check(office: Office, form: Form, solution: str) -> Proof:
    """Judge what the widget filled in. Raises CheckFailed: PROOF_MISSING, PROOF_INVALID or PROOF_EXPIRED.

    Whether it was used before is for whoever keeps the digests.
    """
    if not solution:
        raise CheckFailed(CheckFailure.PROOF_MISSING)
    try:
        parameters, signature, derived_key = _read(solution)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckFailed(CheckFailure.PROOF_INVALID) from error
    if parameters["data"] != {"form": form.key}:
        # Before it is written as JSON again: it is the one part that could be of any depth.
        raise CheckFailed(CheckFailure.PROOF_INVALID)
    is_right = [
        _is_signed(signing_key, _canonical(parameters), signature)
        & _is_signed(expecting_key, derived_key, parameters["keySignature"])
        for signing_key, expecting_key in zip(
            signing_keys(office.settings, _SIGNING), signing_keys(office.settings, _EXPECTING), strict=True
        )
    ]
    if not any(is_right):
        raise CheckFailed(CheckFailure.PROOF_INVALID)
    # The package's own verification would ask the machine's clock, and derive the key where its signature is missing.
    expires_at = datetime.fromtimestamp(parameters["expiresAt"], UTC)
    if office.clock() >= expires_at:
        raise CheckFailed(CheckFailure.PROOF_EXPIRED)
    digest = sha256(f"altcha\0{form.key}\0{parameters['nonce']}".encode()).hexdigest()
    return Proof(expires_at=expires_at, digest=digest)


def _read(solution: str) -> tuple[dict[str, Any], str, bytes]:
    """The challenge's parameters, its signature and the key that was found. Raises the errors of wrong types."""
    if len(solution) > _LONGEST or not solution.isascii():
        raise ValueError("too long, or no base64")
    try:
        document = json.loads(b64decode(solution, validate=True))
    except binascii.Error as error:
        raise ValueError("no base64") from error
    challenge, found = document["challenge"], document["solution"]
    parameters, signature, derived_key = challenge["parameters"], challenge["signature"], found["derivedKey"]
    # Whatever has another form than ours was not signed by us, and need not be looked at.
    if sorted(parameters) != sorted([*_TEXTS, *_NUMBERS, "data"]) or not isinstance(signature, str):
        raise ValueError("no challenge of ours")
    if not all(type(parameters[name]) is str and parameters[name].isascii() for name in _TEXTS):
        raise TypeError("a text is expected")
    if not all(type(parameters[name]) is int for name in _NUMBERS):
        raise TypeError("a number is expected")
    return parameters, signature, bytes.fromhex(derived_key)


def _canonical(parameters: dict[str, Any]) -> bytes:
    """As the package signs it: sorted, compact, and here in ASCII."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":")).encode()


def _is_signed(key: bytes, content: bytes, signature: str) -> bool:
    return hmac.compare_digest(hmac.digest(key, content, sha256).hex().encode(), signature.encode("utf-8", "replace"))
