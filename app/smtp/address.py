"""The last look at an envelope address before it is written. Used by `envelope`."""

import re

import idna

PATH_LIMIT = 254
"""RFC 5321 section 4.5.3.1.3, without the angle brackets."""

_JUNK = re.compile("[\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]")


class AddressUnsafe(ValueError):
    """Written into MAIL or RCPT, this text would be more than an address."""


def path(address: str) -> bytes:
    """`<address>` as MAIL and RCPT take it (RFC 5321 section 4.1.2, in UTF-8 as of RFC 6531), its domain in punycode.

    `smtplib.quoteaddr` lets junk through (`<a@x.testNOTIFY=NEVER>`). Whoever composed the address has checked it
    fully; here it is enough that it cannot end early, carry a parameter or start another command.
    """
    local_part, at, domain = address.rpartition("@")
    if not (local_part and at and domain) or "@" in local_part or _JUNK.search(address):
        raise AddressUnsafe("not an address that can be written into an SMTP command")
    written = f"{local_part}@{_in_ascii(domain)}".encode()
    if len(written) > PATH_LIMIT:
        raise AddressUnsafe("the address is too long for an SMTP command")
    return b"<%b>" % written


def _in_ascii(domain: str) -> str:
    """The domain in ASCII (RFC 5891, UTS 46), so that only the part before it can need SMTPUTF8."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
