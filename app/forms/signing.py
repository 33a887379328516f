"""The keys that this room signs with, made from SECRET_KEY. Used by `tokens` and `proof_of_work`.

The first one signs and all of them are accepted, so that SECRET_KEY can be changed while visitors fill in forms.
"""

import hmac
from functools import lru_cache
from hashlib import scrypt, sha256

from app.errors import SettingsInvalid
from app.settings import Settings

_SALT = b"letterbox/forms/v1"


def signing_keys(settings: Settings, purpose: str) -> tuple[bytes, ...]:
    """One for each secret key, in their order; what is signed for one purpose is worth nothing for another.

    Raises SettingsInvalid where there is none.
    """
    if not settings.secret_keys:
        raise SettingsInvalid(["SECRET_KEY: found nothing, expected the key that form tokens are signed with."])
    return tuple(hmac.digest(_derived(key), purpose.encode("ascii"), sha256) for key in settings.secret_keys)


@lru_cache(maxsize=16)
def _derived(secret_key: str) -> bytes:
    """A person may have thought the text up, so guessing it is made slow (RFC 7914): about 50 ms, once per process."""
    return scrypt(secret_key.encode("utf-8"), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
