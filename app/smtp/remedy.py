"""What an operator can do about a session that could not be opened: from failure to words. Used by `words`."""

import ssl
from enum import Enum

from app.model.outcome import Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.failure import ClearTextRefused, SessionFailed
from app.smtp.reply import CLOSING
from app.smtp.tls import AuthoritiesUnusable, wants_implicit_tls


class CertificateFault(Enum):
    """What is wrong with a certificate, as far as there is a remedy of its own: OpenSSL's codes (x509_vfy.h)."""

    OUT_OF_DATE = (9, 10)
    UNKNOWN_ISSUER = (18, 19, 20, 21)
    OTHER_NAME = (62, 64)
    OTHER = ()


def certificate_fault(error: ssl.SSLCertVerificationError) -> CertificateFault:
    return next((fault for fault in CertificateFault if error.verify_code in fault.value), CertificateFault.OTHER)


def remedy_for_missing_test_account(configuration: SMTPConfiguration) -> str:
    return f"Set SMTP_{configuration.index}_PASSWORD_TEST, or do not send with test=true through this configuration."


def is_ehlo_refused(failure: SessionFailed) -> bool:
    """Whether a server has understood EHLO and does not like it: by a refusal, or by hanging up."""
    return failure.stage is Stage.EHLO and (failure.reply is not None or isinstance(failure.__cause__, ConnectionError))


def is_address_literal(ehlo_name: str) -> bool:
    return ehlo_name.startswith("[")


def remedy_for(failure: SessionFailed, configuration: SMTPConfiguration, *, ehlo_name: str) -> str:
    """One or two sentences that name the setting to change. `ehlo_name` is what was said in EHLO."""
    remedies = {
        Stage.DNS: _for_look_up,
        Stage.CONNECT: _for_connection,
        Stage.TLS: _for_tls,
        Stage.GREETING: _for_greeting,
        Stage.AUTH: _for_sign_in,
    }
    if is_ehlo_refused(failure):
        return _for_ehlo(failure, configuration, ehlo_name)
    remedy = remedies.get(failure.stage)
    if remedy is None:
        return f"{configuration.host} did not answer as an SMTP server does. Check Host and Port."
    if failure.stage is Stage.AUTH and isinstance(failure.__cause__, OSError):
        return f"{configuration.host} broke off during the sign-in. Try again later; check Username and the password."
    if isinstance(failure, ClearTextRefused):
        return (
            "Passwords are not sent in clear text. Use port 465 or 587; on a network that you trust, "
            'set "Security": "none" to allow it.'
        )
    return remedy(failure, configuration)


def _for_ehlo(failure: SessionFailed, configuration: SMTPConfiguration, ehlo_name: str) -> str:
    did = "hung up after" if failure.reply is None or failure.reply.code == CLOSING else "refused"
    said = f"{configuration.host} {did} EHLO {ehlo_name}."
    if is_address_literal(ehlo_name):
        return f'{said} Some servers take no address there: set "EhloName" to a host name of this machine.'
    return f'{said} Set "EhloName" to another host name of this machine, or try later; check Host and Port, too.'


def _for_look_up(failure: SessionFailed, configuration: SMTPConfiguration) -> str:
    if failure.__cause__ is None:
        return (
            f"{configuration.host} leads into a network that is closed to connections of projects. "
            "Name the network in CONNECTION_ALLOWED_NETWORKS to open it."
        )
    if isinstance(failure.__cause__, TimeoutError):
        return "The name server does not answer. Check the network and the DNS settings of this machine."
    return f"There is no host named {configuration.host}. Check Host for a typing error."


def _for_connection(failure: SessionFailed, configuration: SMTPConfiguration) -> str:
    port = configuration.port
    if isinstance(failure.__cause__, TimeoutError):
        return (
            f"Port {port} is probably blocked by a firewall or by the hosting provider (25 often is). "
            "Try 465 or 587, or ask for the port to be opened."
        )
    return f"Nothing accepts connections on port {port} of {configuration.host}. Check Port: 465 and 587 are usual."


def _for_tls(failure: SessionFailed, configuration: SMTPConfiguration) -> str:
    cause = failure.__cause__
    if isinstance(cause, AuthoritiesUnusable):
        return f"Check CAFile: {configuration.ca_file} cannot be read, or holds no certificates."
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _for_certificate(certificate_fault(cause), configuration)
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return (
            f"Port {configuration.port} does not begin with TLS. "
            'Set "Security": "starttls" (usual on 587), or use port 465.'
        )
    if isinstance(cause, ssl.SSLError):
        return "The server's TLS is too old or too different; at least TLS 1.2 is needed. Ask who runs the server."
    if isinstance(cause, OSError) and wants_implicit_tls(configuration):
        return (
            f"Port {configuration.port} did not answer with TLS. "
            'Set "Security": "starttls" if the provider says STARTTLS, or use port 465.'
        )
    return 'Use port 465 with "Security": "tls", or another server: mail is not sent in clear text instead.'


def _for_certificate(fault: CertificateFault, configuration: SMTPConfiguration) -> str:
    if fault is CertificateFault.OTHER_NAME:
        return f"The certificate is not for {configuration.host}. Set Host to the name that the certificate carries."
    if fault is CertificateFault.OUT_OF_DATE:
        return (
            "The certificate is out of date. Whoever runs the server has to renew it; check this machine's clock, too."
        )
    if fault is CertificateFault.UNKNOWN_ISSUER:
        return (
            "The certificate was not issued by an authority that this machine knows. "
            "Set CAFile to the authority's certificate (PEM), or give the server a public certificate."
        )
    return "The certificate cannot be trusted. Ask who runs the server."


def _for_greeting(failure: SessionFailed, configuration: SMTPConfiguration) -> str:
    if failure.reply is not None:
        return "The server turns this machine away. Its address may be on a block list; ask the provider, or try later."
    if not wants_implicit_tls(configuration):
        return f'Port {configuration.port} may expect TLS from the first byte. Set "Security": "tls", or use port 587.'
    return f"{configuration.host} accepts connections and says nothing. Check Host and Port, or try later."


def _for_sign_in(failure: SessionFailed, configuration: SMTPConfiguration) -> str:
    code = failure.reply.code if failure.reply else None
    variable = f"SMTP_{configuration.index}_PASSWORD"
    if code is None and configuration.mechanisms:
        allowed = " ".join(configuration.mechanisms)
        return f'The server offers none of the ways to sign in that are allowed ({allowed}). Change "AuthMechanisms".'
    if code is None:
        return 'The server offers no sign-in that is supported. Set "Auth": "none" if it needs none.'
    if code < 500:
        return "The server cannot check the password just now. Try again later."
    return (
        f"Check Username and {variable}. Gmail, Microsoft 365, Yahoo and others want an app password "
        "that is made in the account's security settings, not the password of the account."
    )
