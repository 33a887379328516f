"""What a check tells an operator, who may know everything: addresses, certificates, and the server's own words."""

from collections.abc import Sequence
from typing import Protocol

from app.smtp.certificate import certificate_of
from app.smtp.failure import SessionFailed
from app.smtp.remedy import remedy_for
from app.smtp.reply import cleaned
from app.smtp.resolver import Address
from app.smtp.session import SMTPSession


class Words(Protocol):
    """The words for each step of opening a session; who reads them decides what they may tell."""

    def found(self, session: SMTPSession, addresses: Sequence[Address]) -> str: ...
    def connected(self, session: SMTPSession) -> str: ...
    def encrypted(self, session: SMTPSession) -> str: ...
    def announced(self, session: SMTPSession) -> str: ...
    def signed_in(self, session: SMTPSession) -> str: ...
    def failed(self, session: SMTPSession, failure: SessionFailed) -> tuple[str, str]:
        """The cause, and the remedy."""


class OperatorWords:
    """Words for whoever wrote SMTP_CONFIGURATIONS."""

    def found(self, session: SMTPSession, addresses: Sequence[Address]) -> str:
        return ", ".join(dict.fromkeys(str(address.sockaddr[0]) for address in addresses))

    def connected(self, session: SMTPSession) -> str:
        return f"{session.peer_address} port {session.configuration.port}"

    def encrypted(self, session: SMTPSession) -> str:
        version = session.tls.version() if session.tls else None
        not_checked = "" if session.configuration.is_certificate_checked else ", not checked"
        return f"{version}, {certificate_of(session.tls) or 'certificate that cannot be read'}{not_checked}"

    def announced(self, session: SMTPSession) -> str:
        announced = (f"{name.upper()} {value}".strip() for name, value in sorted(session.esmtp_features.items()))
        return cleaned(", ".join(announced)) or "no extensions"

    def signed_in(self, session: SMTPSession) -> str:
        account = session.account
        return "signed in as " + account.username if account.password is not None else "no sign-in configured"

    def failed(self, session: SMTPSession, failure: SessionFailed) -> tuple[str, str]:
        remedy = remedy_for(
            failure,
            session.configuration,
            ehlo_name=session.local_hostname,
        )
        return failure.detail, remedy
