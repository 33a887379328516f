"""What may stand in an address field: one mailbox that cannot turn into anything else (spec: email-api, section 3)."""

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

_LONGEST_ADDRESS = 254
_LONGEST_LOCAL_PART = 64
"""In characters: RFC 5321, section 4.5.3.1, and erratum 1690 of RFC 3696."""

_PLAIN_ADDRESS = re.compile(r"(?P<local>[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)@(?P<domain>[a-z0-9.-]+)")
"""Nothing in the part before the @ that email-validator would refuse or change."""


def mailbox(text: str) -> str | None:
    """The address in its normal form, without the white space around it; None where `text` is none."""
    text = text.strip()
    if len(text) > _LONGEST_ADDRESS:
        # It is refused before it could fill the cache.
        return None
    plain = _PLAIN_ADDRESS.fullmatch(text)
    if plain is not None and len(plain["local"]) <= _LONGEST_LOCAL_PART:
        # email-validator takes 23 us for an address, and most senders are new while their domains are not.
        anybody = f"a@{plain['domain']}"
        if _normalised(anybody) == anybody:
            return text
    return _normalised(text)


@lru_cache(maxsize=4096)
def _normalised(text: str) -> str | None:
    """The address as email-validator normalises it; None when it is none, or one that could break out of a header."""
    if "=?" in text:
        return None
    try:
        # Domains that only exist inside a company or a test are fine, a bare host name is not.
        result = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return None
    if len(result.local_part) > _LONGEST_LOCAL_PART or "." not in result.domain:
        return None
    return result.normalized
