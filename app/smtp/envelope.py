"""MAIL and RCPT for one message, and what rules a message out before anything is sent. Used by `transaction`."""

from dataclasses import dataclass

from app.model.outcome import Outcome, Stage
from app.smtp.address import AddressUnsafe, path
from app.smtp.outcome import Verdict
from app.smtp.session import SMTPSession


class RuledOut(Exception):
    """What the server announced, or an address, rules this message out; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a message asks of a server. `size` counts the octets of the data without doubled dots (RFC 1870)."""

    size: int
    is_ascii: bool
    smtputf8: bool


def envelope(session: SMTPSession, recipient: str, needs: Needs) -> list[tuple[Stage, bytes]]:
    """The commands before the data, each with its stage. Raises RuledOut."""
    parameters = _mail_parameters(session, needs)
    try:
        mail = b"MAIL FROM:%b%b\r\n" % (path(session.account.address), parameters)
    except AddressUnsafe as error:
        raise _ruled_out(f"the sender is {error}") from error
    try:
        rcpt = b"RCPT TO:%b\r\n" % path(recipient)
    except AddressUnsafe as error:
        detail = f"the recipient is {error}"
        raise RuledOut(Verdict(Outcome.RECIPIENT_REFUSED, Stage.RCPT, detail=detail)) from error
    commands = [(Stage.MAIL, mail), (Stage.RCPT, rcpt)]
    return [(Stage.MAIL, b"RSET\r\n"), *commands] if session.needs_reset else commands


def _mail_parameters(session: SMTPSession, needs: Needs) -> bytes:
    """SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531), where announced and needed."""
    parameters = b""
    size_limit = session.announced("size")
    if size_limit is not None:
        # No number, or 0, announces no limit.
        if size_limit.isdecimal() and 0 < int(size_limit) < needs.size:
            raise _ruled_out(f"the message has {needs.size} octets, the server takes {size_limit}")
        parameters += b" SIZE=%d" % needs.size
    if needs.smtputf8 or not needs.is_ascii:
        if session.announced("8bitmime") is None:
            raise _ruled_out("the message is not ASCII and the server does not offer 8BITMIME")
        parameters += b" BODY=8BITMIME"
    if needs.smtputf8:
        if session.announced("smtputf8") is None:
            raise _ruled_out("an address is not ASCII and the server does not offer SMTPUTF8")
        parameters += b" SMTPUTF8"
    return parameters


def _ruled_out(detail: str) -> RuledOut:
    return RuledOut(Verdict(Outcome.SERVER_AT_FAULT, Stage.MAIL, detail=detail))
