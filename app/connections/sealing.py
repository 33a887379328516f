"""Encryption of what is stored of a connection: AES-256-GCM with keys made from SECRET_KEY. Used by `rows`.

Several keys may be set: the first one seals, all of them open, so that a key can be changed while the service runs
(`rotation`). What was sealed names its key, and is bound to the place where it is stored.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import scrypt, sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import SettingsInvalid

_FORMAT = "v1"
_SALT = b"letterbox/connections/v1"
_NONCE_LENGTH = 12
"""NIST SP 800-38D, section 8.2.2: random nonces of 96 bits, good for 2**32 of them with one key."""


class SealBroken(Exception):
    """It was sealed with a key that is not among ours, or altered, or stored for another place."""


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    cipher: AESGCM = field(repr=False)


class Sealer:
    """Seals and opens texts; one per process, its methods may be called from any thread."""

    def __init__(self, secret_keys: tuple[str, ...]) -> None:
        """`secret_keys` are the texts of the setting; nothing is computed until the first one is needed."""
        self._secret_keys = secret_keys

    def __repr__(self) -> str:
        return f"Sealer(<{len(self._secret_keys)} keys>)"

    def seal(self, text: str, *, context: str) -> str:
        """`text`, encrypted with the first key. Only who names the same `context` can open it."""
        if not self._secret_keys:
            raise SettingsInvalid(["SECRET_KEY: found nothing, expected the key that connections are encrypted with."])
        key = _derived(self._secret_keys[0])
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        encrypted = nonce + key.cipher.encrypt(nonce, text.encode("utf-8"), context.encode("utf-8"))
        return f"{_FORMAT}.{key.id}.{urlsafe_b64encode(encrypted).decode('ascii')}"

    def open(self, sealed: str, *, context: str) -> str:
        """What was sealed. Raises SealBroken."""
        key = self._key_of(sealed)
        if key is None:
            raise SealBroken("It was sealed with a key that is not in SECRET_KEY.")
        try:
            encrypted = urlsafe_b64decode(sealed.rpartition(".")[2].encode("ascii"))
            nonce, ciphertext = encrypted[:_NONCE_LENGTH], encrypted[_NONCE_LENGTH:]
            return key.cipher.decrypt(nonce, ciphertext, context.encode("utf-8")).decode("utf-8")
        except (ValueError, InvalidTag) as error:
            raise SealBroken("It was altered, or sealed for another place.") from error

    def knows(self, sealed: str) -> bool:
        """Whether one of our keys sealed it."""
        return self._key_of(sealed) is not None

    def is_current(self, sealed: str) -> bool:
        """Whether the first key sealed it, so that the others are not needed for it."""
        return bool(self._secret_keys) and _id_in(sealed) == _derived(self._secret_keys[0]).id

    def _key_of(self, sealed: str) -> _Key | None:
        key_id = _id_in(sealed)
        # A key is made only when those before it did not fit.
        return next((key for key in map(_derived, self._secret_keys) if key.id == key_id), None)


def _id_in(sealed: str) -> str | None:
    format, _, rest = sealed.partition(".")
    return rest.partition(".")[0] if format == _FORMAT else None


@lru_cache(maxsize=16)
def _derived(secret_key: str) -> _Key:
    """The key in a text that a person may have thought up, so guessing it is made slow (RFC 7914): about 50 ms."""
    derived = scrypt(secret_key.encode("utf-8"), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
    return _Key(sha256(b"key id" + derived).hexdigest()[:8], AESGCM(derived))
