"""How the test server verifies a sign-in. Used by `dialogue`."""

import hmac
from base64 import b64decode
from collections.abc import Callable

CHALLENGE = "<1@tests>"


def are_right(username: str, password: str, argument: str, ask: Callable[[str], str]) -> bool:
    """Whether what follows AUTH, and what the client answers to `ask`, proves who it is (PLAIN, LOGIN, CRAM-MD5)."""
    mechanism, _, initial = argument.partition(" ")
    if mechanism == "PLAIN":
        return b64decode(initial or ask("")).decode() == f"\0{username}\0{password}"
    if mechanism == "LOGIN":
        given = b64decode(initial or ask("Username:")).decode(), b64decode(ask("Password:")).decode()
        return given == (username, password)
    digest = hmac.new(password.encode(), CHALLENGE.encode(), "md5").hexdigest()
    return b64decode(ask(CHALLENGE)).decode() == f"{username} {digest}"
