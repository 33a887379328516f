"""Which TLS a session speaks: at least TLS 1.2, verified against the right authorities. Used by `session`."""

import ssl
import stat
from functools import lru_cache
from pathlib import Path

from app.model.smtp import Security, SMTPConfiguration

IMPLICIT_TLS_PORT = 465
"""RFC 8314 section 3.3."""
SUBMISSION_PORT = 587
"""RFC 6409: STARTTLS is required there by us."""
CA_FILE_LIMIT = 4 * 1024 * 1024
"""Ten times what a whole system's authorities take."""


class AuthoritiesUnusable(OSError):
    """The CA file cannot be read, or is none."""


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


def context_for(configuration: SMTPConfiguration) -> ssl.SSLContext:
    """A verifying context: the authorities of the CA file, else the system's or SSL_CERT_FILE's.

    Where the owner gave up the check of the certificate, a context without it. Raises AuthoritiesUnusable.
    """
    if not configuration.is_certificate_checked:
        return _unverifying_context()
    ca_file = configuration.ca_file
    try:
        return _context(ca_file, _modified_ns(ca_file) if ca_file else 0)
    except (OSError, ValueError) as error:
        raise AuthoritiesUnusable(str(error)) from error


def _modified_ns(ca_file: str) -> int:
    """When the file was changed. A device or a pipe could be read without end: only a file of fair size will do."""
    status = Path(ca_file).stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > CA_FILE_LIMIT:
        raise OSError("not a file of certificates")
    return status.st_mtime_ns


@lru_cache(maxsize=1)
def _unverifying_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@lru_cache(maxsize=32)
def _context(ca_file: str | None, _modified_ns: int) -> ssl.SSLContext:
    """Reading the system's authorities takes 10 ms and more, so once; a replaced file is noticed by its time."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
