"""What is said to sign in: the three mechanisms that `smtplib` knows, in UTF-8 (its own break at a password that is not
ASCII). Pure functions, used by `session`.
"""

import hmac
from base64 import b64decode
from collections.abc import Sequence

from app.model.smtp import Account

PLAIN = "PLAIN"
LOGIN = "LOGIN"
CRAM_MD5 = "CRAM-MD5"
MECHANISMS = (PLAIN, LOGIN, CRAM_MD5)


def common_mechanisms(announced: str | None, *, is_encrypted: bool, allowed: Sequence[str] = ()) -> list[str]:
    """What both sides can, the best first: CRAM-MD5 hides the password where TLS does not.

    `allowed` (in capitals) leaves only these, in its own order; empty, it allows all.
    """
    names = (announced or "").upper().split()
    order = MECHANISMS if is_encrypted else (CRAM_MD5, PLAIN, LOGIN)
    return [name for name in allowed or order if name in names and name in order]


def initial_response(mechanism: str, account: Account) -> bytes | None:
    """What goes with the AUTH command (RFC 4616 for PLAIN); None where the server speaks first.

    Some servers take none with LOGIN, refuse it, or overlook it and ask for the name again. So it has none here.
    """
    return _plain(account) if mechanism == PLAIN else None


def answer(mechanism: str, account: Account, challenge: bytes, *, asked: int) -> bytes | None:
    """The answer to a 334 with this text, after `asked` earlier ones of the same exchange; None breaks it off.

    CRAM-MD5 answers with the keyed digest of the challenge (RFC 2195). A password is never the answer to what asks for
    a name, nor to a question too many.
    """
    decoded = _decoded(challenge)
    prompt = (decoded if decoded is not None and _is_text(decoded) else challenge).lower()
    asks_for_password = b"pass" in prompt
    asks_for_name = not asks_for_password and any(word in prompt for word in (b"user", b"name", b"login"))
    if mechanism == CRAM_MD5:
        return _digest(account, decoded) if decoded and asked == 0 else None
    if mechanism == PLAIN:
        return _plain(account) if asked == 0 and not asks_for_name else None
    if asked == 0:
        return None if asks_for_password else account.username.encode()
    return _password(account) if asked == 1 and not asks_for_name else None


def _decoded(challenge: bytes) -> bytes | None:
    """None for what is not base64: some servers ask in clear words."""
    try:
        return b64decode(challenge.strip(), validate=True)
    except ValueError:
        return None


def _is_text(decoded: bytes) -> bool:
    """Whether it was base64 that a prompt came in: clear words such as `Username` may look like it."""
    try:
        return decoded.rstrip(b"\0").decode().isprintable()
    except UnicodeDecodeError:
        return False


def _password(account: Account) -> bytes:
    return (account.password or "").encode()


def _plain(account: Account) -> bytes:
    return b"\0%b\0%b" % (account.username.encode(), _password(account))


def _digest(account: Account, challenge: bytes) -> bytes:
    digest = hmac.new(_password(account), challenge, "md5").hexdigest()
    return f"{account.username} {digest}".encode()
