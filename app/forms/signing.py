"""The keys that this room signs with, made from SECRET_KEY. Used by `tokens`, `proof_of_work`, `marks` and `limits`.

The first one signs and all of them are accepted, so that SECRET_KEY can be changed while visitors fill in forms.
"""

import hmac
from functools import lru_cache
from hashlib import scrypt, sha256
from secrets import token_bytes

from app.errors import SettingsInvalid
from app.settings import Settings

_DIGESTS = "digest v1"
_SALT = b"letterbox/forms/v1"


def signing_keys(settings: Settings, purpose: str) -> tuple[bytes, ...]:
    """One for each secret key, in their order; what is signed for one purpose is worth nothing for another.

    Raises SettingsInvalid where there is none.
    """
    if not settings.secret_keys:
        raise SettingsInvalid(["SECRET_KEY: found nothing, expected the key that form tokens are signed with."])
    return tuple(hmac.digest(_derived(key), purpose.encode("ascii"), sha256) for key in settings.secret_keys)


def keyed_digest(settings: Settings, *parts: str) -> str:
    """64 hexadecimal digits that stand for the parts where these are not to be read, and cannot be guessed either.

    Without a secret key they are good for this process alone.
    """
    key = signing_keys(settings, _DIGESTS)[0] if settings.secret_keys else _key_of_this_process()
    return hmac.digest(key, "\0".join(parts).encode("utf-8", "surrogatepass"), sha256).hex()


@lru_cache(maxsize=1)
def _key_of_this_process() -> bytes:
    return token_bytes(32)


@lru_cache(maxsize=16)
def _derived(secret_key: str) -> bytes:
    """A person may have thought the text up, so guessing it is made slow (RFC 7914): about 50 ms, once per process."""
    return scrypt(secret_key.encode("utf-8"), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
