"""What a connection's owner is told about a server that does not do what it should. Used by `examination`.

The owner is whoever holds a token, so all of it is in our own words: reply codes are told, a server's text, its name or
its banner are not, and nothing tells a closed port from a filtered one. Each text names the fields of a connection.
"""

import ssl
from collections.abc import Sequence

from app.model.outcome import Outcome, Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.certificate import certificate_of
from app.smtp.failure import SessionFailed
from app.smtp.outcome import AUTHENTICATION_REQUIRED, Verdict
from app.smtp.remedy import CertificateFault, certificate_fault, is_address_literal, is_ehlo_refused
from app.smtp.reply import CLOSING
from app.smtp.resolver import Address
from app.smtp.session import SMTPSession
from app.smtp.tls import AuthoritiesUnusable, wants_implicit_tls

_EXTENSIONS = ("STARTTLS", "SIZE", "PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8")
_MECHANISMS = (
    *("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"),
    *("NTLM", "GSSAPI", "EXTERNAL"),
)
"""Only what is known is repeated: an announcement is a server's free text, too."""

Advice = tuple[str, str]
"""The cause, and the remedy."""

_OTHER_WAY_IN = "Use port 587 with enableStartTls, or port 465, where TLS comes first."
_NO_SMTP = "Check host and port: it may not be a mail server."


class OwnerWords:
    """Words for whoever manages a connection with a token."""

    def found(self, session: SMTPSession, addresses: Sequence[Address]) -> str:
        return f"{session.configuration.host} was found"

    def connected(self, session: SMTPSession) -> str:
        return f"connected to {_server(session.configuration)}"

    def encrypted(self, session: SMTPSession) -> str:
        version = session.tls.version() if session.tls else None
        certificate = certificate_of(session.tls)
        validity = (
            f"certificate valid until {certificate.ends_at:%Y-%m-%d}" if certificate else "certificate unreadable"
        )
        is_checked = session.configuration.is_certificate_checked
        return f"{version}, {validity}{'' if is_checked else ', not checked because mail.smtp.ssl.trust is *'}"

    def announced(self, session: SMTPSession) -> str:
        names = [name for name in _EXTENSIONS if session.announced(name.lower()) is not None]
        if mechanisms := _mechanisms(session):
            names.append(f"AUTH {mechanisms}")
        return f"the server offers {', '.join(names)}" if names else "the server offers no extensions"

    def signed_in(self, session: SMTPSession) -> str:
        account = session.account
        return f"signed in as {account.username}" if account.password is not None else "no sign-in, as auth is false"

    def failed(self, session: SMTPSession, failure: SessionFailed) -> Advice:
        advise = {
            Stage.DNS: _for_look_up,
            Stage.CONNECT: _for_connection,
            Stage.TLS: _for_tls,
            Stage.GREETING: _for_greeting,
            Stage.AUTH: _for_sign_in,
        }
        return advise.get(failure.stage, _for_hello)(session, failure)


def for_envelope(session: SMTPSession, verdict: Verdict) -> Advice:
    """MAIL or RCPT was not accepted."""
    codes = _codes(verdict.code, verdict.enhanced_code)
    if verdict.code is None and session.is_reusable:
        return (
            "the server announces that it does not take a message of this size, or with an address that is not ASCII",
            "Use addresses in ASCII for from and addressToTest, or another server.",
        )
    if verdict.code is None:
        return "the server broke off before it took the sender and the recipient", "Try again later."
    if verdict.code == AUTHENTICATION_REQUIRED:
        return f"the server takes mail only after a sign-in{codes}", "Set auth to true, with username and password."
    if verdict.code < 500:
        whom = "recipient" if verdict.stage is Stage.RCPT else "sender"
        return f"the server does not take the {whom} just now{codes}", "Try again in some minutes."
    if verdict.stage is Stage.MAIL:
        return (
            f"the server refused the sender{codes}",
            "Set from to an address that this account may send from; often that is the username itself.",
        )
    if verdict.outcome is Outcome.RECIPIENT_REFUSED:
        return f"the server refused addressToTest{codes}", "Check addressToTest for a typing error."
    return (
        f"the server does not pass on mail to addressToTest{codes}",
        "Set auth to true if the server asks for a sign-in, and from to an address that the account may send from.",
    )


def accepted(verdict: Verdict) -> str:
    return f"the server accepted the message{_codes(verdict.code, verdict.enhanced_code)}"


def for_message(verdict: Verdict) -> Advice:
    """The message itself was not accepted."""
    codes = _codes(verdict.code, verdict.enhanced_code)
    if verdict.outcome is Outcome.UNKNOWN:
        return (
            "the message was handed over and no answer came in time, so it may have arrived or not",
            "Look into the mailbox of addressToTest, and try again later.",
        )
    if verdict.code is None:
        return "the server broke off while the message was being sent", "Try again later."
    if verdict.code < 500:
        return f"the server does not take the message just now{codes}", "Try again in some minutes."
    return (
        f"the server refused the message{codes}",
        "Check that from is an address that this account may send from, and ask the provider about limits or filters.",
    )


def _for_look_up(session: SMTPSession, failure: SessionFailed) -> Advice:
    host = session.configuration.host
    if failure.__cause__ is None:
        return (
            failure.detail,
            "Set host to a mail server with a public address, or ask whoever runs this service to name its network in "
            "CONNECTION_ALLOWED_NETWORKS.",
        )
    if isinstance(failure.__cause__, TimeoutError):
        return f"{host} could not be looked up in time", "Try again later, and check host for a typing error."
    return f"there is no host named {host}", "Check host for a typing error."


def _for_connection(session: SMTPSession, _: SessionFailed) -> Advice:
    return (
        f"no connection to {_server(session.configuration)} could be made",
        "Check host and port: 587 with enableStartTls and 465 are usual. The server may also not let this service in.",
    )


def _for_tls(session: SMTPSession, failure: SessionFailed) -> Advice:
    cause, configuration = failure.__cause__, session.configuration
    if isinstance(cause, AuthoritiesUnusable):
        return (
            "the file that mail.smtp.ssl.trust names cannot be used",
            "Set mail.smtp.ssl.trust to a file with certificates (PEM) on the machine of this service, or remove it.",
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _for_certificate(certificate_fault(cause), configuration)
    if failure.reply is not None:
        return f"the server refused STARTTLS{_codes_of(failure)}", "Try again later, or use port 465."
    if cause is None and session.announced("starttls") is not None:
        return (
            "the server did not keep to the rules of STARTTLS, so it cannot be trusted",
            "Ask whoever runs the server.",
        )
    if cause is None:
        return "the server does not offer STARTTLS as enableStartTls requires it", _OTHER_WAY_IN
    if wants_implicit_tls(configuration) and not isinstance(cause, TimeoutError):
        return f"{_server(configuration)} does not begin with TLS", _OTHER_WAY_IN
    return "no encryption could be agreed on with the server; at least TLS 1.2 is needed", _OTHER_WAY_IN


def _for_certificate(fault: CertificateFault, configuration: SMTPConfiguration) -> Advice:
    match fault:
        case CertificateFault.OTHER_NAME:
            return (
                f"the server's certificate is not for {configuration.host}",
                "Set host to the name that the server's certificate carries.",
            )
        case CertificateFault.OUT_OF_DATE:
            return "the server's certificate is out of date", "Whoever runs the server has to renew the certificate."
        case CertificateFault.UNKNOWN_ISSUER:
            return (
                "the server's certificate was not issued by an authority that is known here",
                "Give the server a public certificate, or name its authority's certificate in mail.smtp.ssl.trust.",
            )
        case CertificateFault.OTHER:
            return "the server's certificate cannot be trusted", "Ask whoever runs the server."


def _for_greeting(session: SMTPSession, failure: SessionFailed) -> Advice:
    configuration = session.configuration
    if failure.reply is not None:
        return (
            f"the server turned this service away{_codes_of(failure)}",
            "Try again later; ask the provider whether it blocks the address of this service.",
        )
    if wants_implicit_tls(configuration):
        return f"{_server(configuration)} did not greet as an SMTP server does", _NO_SMTP
    return (
        f"{_server(configuration)} did not greet as an SMTP server does",
        "The port may expect TLS first: use port 465 or set mail.smtp.ssl.enable to true in additionalProperties, "
        "or use port 587 with enableStartTls.",
    )


def _for_hello(session: SMTPSession, failure: SessionFailed) -> Advice:
    if is_ehlo_refused(failure):
        is_gone = failure.reply is None or failure.reply.code == CLOSING
        cause = f"the server {'hung up after' if is_gone else 'refused'} EHLO{_codes_of(failure)}"
        if is_address_literal(session.local_hostname):
            return (
                f"{cause}, in which this service gave its address instead of a name",
                "Set mail.smtp.localhost in additionalProperties to a host name: some servers take no address.",
            )
        return cause, "Check mail.smtp.localhost, or try again later."
    return f"{_server(session.configuration)} did not answer as an SMTP server does", _NO_SMTP


def _for_sign_in(session: SMTPSession, failure: SessionFailed) -> Advice:
    if failure.reply is None and failure.__cause__ is not None:
        return "the server broke off during the sign-in", "Try again later; check username and password."
    if failure.reply is None:
        return _for_mechanisms(session)
    codes = _codes_of(failure)
    if failure.reply.code < 500:
        return f"the server cannot check the password just now{codes}", "Try again later."
    return (
        f"the server refused the sign-in{codes}",
        "Check username and password. Gmail, Microsoft 365, Yahoo and others want an app password that is made in the "
        "account's security settings, not the password of the account.",
    )


def _for_mechanisms(session: SMTPSession) -> Advice:
    """Nothing was said to sign in, because there was no way to."""
    offered, configuration = _mechanisms(session), session.configuration
    if session.announced("auth") is None and not session.is_encrypted:
        return (
            "the server offers no sign-in in clear text",
            "Set enableStartTls to true or use port 465; if the server wants no sign-in, set auth to false.",
        )
    if configuration.mechanisms:
        return (
            f"the server offers none of the ways to sign in that are allowed; it offers {offered or 'none'}",
            "Change or remove mail.smtp.auth.mechanisms in additionalProperties.",
        )
    return (
        f"the server offers no way to sign in that is supported; it offers {offered or 'none'}",
        "PLAIN, LOGIN and CRAM-MD5 are supported. If the server wants no sign-in, set auth to false.",
    )


def _server(configuration: SMTPConfiguration) -> str:
    return f"{configuration.host}:{configuration.port}"


def _mechanisms(session: SMTPSession) -> str:
    announced = (session.announced("auth") or "").upper().split()
    return " ".join(name for name in _MECHANISMS if name in announced)


def _codes_of(failure: SessionFailed) -> str:
    return _codes(failure.reply.code, failure.reply.enhanced_code) if failure.reply else ""


def _codes(code: int | None, enhanced_code: str | None) -> str:
    return f" ({' '.join(str(each) for each in (code, enhanced_code) if each is not None)})" if code else ""
