"""Which TLS a session speaks: always verified, at least TLS 1.2, against the right authorities. Used by `session`."""

import ssl
from functools import lru_cache
from pathlib import Path

from app.model.smtp import Security, SMTPConfiguration

IMPLICIT_TLS_PORT = 465
"""RFC 8314 section 3.3."""
SUBMISSION_PORT = 587
"""RFC 6409: STARTTLS is required there by us."""


def wants_implicit_tls(configuration: SMTPConfiguration) -> bool:
    """Whether TLS comes before the greeting."""
    if configuration.security is Security.AUTO:
        return configuration.port == IMPLICIT_TLS_PORT
    return configuration.security is Security.TLS


def requires_starttls(configuration: SMTPConfiguration) -> bool:
    """Whether the session must not go on without STARTTLS, whatever the server announces."""
    if configuration.security is Security.AUTO:
        return configuration.port == SUBMISSION_PORT
    return configuration.security is Security.STARTTLS


def context_for(ca_file: str | None) -> ssl.SSLContext:
    """A verifying context: the authorities of `ca_file`, else the system's or SSL_CERT_FILE's.

    Raises OSError when the file cannot be read or holds no certificate.
    """
    modified_ns = Path(ca_file).stat().st_mtime_ns if ca_file else 0
    return _context(ca_file, modified_ns)


@lru_cache(maxsize=32)
def _context(ca_file: str | None, _modified_ns: int) -> ssl.SSLContext:
    """Reading the system's authorities takes 10 ms and more, so once; a replaced file is noticed by its time."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
