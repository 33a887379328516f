"""What a server's certificate says of itself, whether or not it can be trusted. Used by `words` and `check`."""

import ssl
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from cryptography import x509

from app.model.smtp import SMTPConfiguration
from app.smtp.failure import SessionFailed
from app.smtp.farewell import FAREWELL_S, say_goodbye
from app.smtp.reply import cleaned
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whom it names, and when it ends (UTC). The names are the server's words."""

    names: tuple[str, ...]
    ends_at: datetime

    def __str__(self) -> str:
        return cleaned(f"certificate for {', '.join(self.names)}, valid until {self.ends_at:%Y-%m-%d %H:%M} UTC")


def certificate_of(tls: ssl.SSLObject | None) -> Certificate | None:
    """The certificate of a finished handshake; None without one, or when it cannot be read.

    `ssl` explains only what it verified, so the certificate's own bytes are read.
    """
    encoded = tls.getpeercert(binary_form=True) if tls else None
    if encoded is None:
        return None
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        return Certificate(tuple(names or _alternative_names(certificate)), certificate.not_valid_after_utc)
    except (ValueError, x509.DuplicateExtension):
        return None


def presented_certificate(configuration: SMTPConfiguration, *, limit: float) -> Certificate | None:
    """The certificate that was not accepted, from a session of its own that ends behind the handshake."""
    unchecked = replace(configuration, is_certificate_checked=False)
    session = SMTPSession(unchecked, configuration.account, resolver=Resolver(), limit=limit)
    try:
        session.connect_to(session.look_up())
        session.secure()
        return certificate_of(session.tls)
    except SessionFailed:
        return None
    finally:
        say_goodbye([session], min(monotonic() + FAREWELL_S, limit))


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]
