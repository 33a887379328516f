"""What is said to sign in: the three mechanisms that `smtplib` knows, in UTF-8 (its own break at a password that is not
ASCII). Pure functions, used by `session`.
"""

import hmac
from collections.abc import Sequence

from app.model.smtp import Account

PLAIN = "PLAIN"
LOGIN = "LOGIN"
CRAM_MD5 = "CRAM-MD5"


def common_mechanisms(announced: str | None, *, is_encrypted: bool, allowed: Sequence[str] = ()) -> list[str]:
    """What both sides can, the best first: CRAM-MD5 hides the password where TLS does not.

    `allowed` (in capitals) leaves only these, in its own order; empty, it allows all.
    """
    names = (announced or "").upper().split()
    order = (PLAIN, LOGIN, CRAM_MD5) if is_encrypted else (CRAM_MD5, PLAIN, LOGIN)
    return [name for name in allowed or order if name in names and name in order]


def initial_response(mechanism: str, account: Account) -> bytes | None:
    """What goes with the AUTH command (RFC 4616 for PLAIN); None where the server speaks first."""
    if mechanism == PLAIN:
        return f"\0{account.username}\0{account.password}".encode()
    return account.username.encode() if mechanism == LOGIN else None


def answer(mechanism: str, account: Account, challenge: bytes) -> bytes:
    """The answer to a 334: the keyed digest of the challenge (RFC 2195), or the password that LOGIN asks for."""
    password = (account.password or "").encode()
    if mechanism == CRAM_MD5:
        return f"{account.username} {hmac.new(password, challenge, 'md5').hexdigest()}".encode()
    return password if mechanism == LOGIN else b""
