"""Whether an email connection works, step by step, in words for its owner (spec: connections-api, section 1).

Used by `/apiops` for POST .../test/, and by `deployment` for its sign-in.
"""

from datetime import datetime
from email.utils import format_datetime
from secrets import token_hex
from time import monotonic

from app.connections.advice import OwnerWords, accepted, for_envelope, for_message
from app.messages.headers import ascii_domain
from app.model.clock import utc_now
from app.model.message import Message
from app.model.outcome import Outcome, Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.address import AddressUnsafe, path
from app.smtp.content import Content
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession
from app.smtp.transaction import Transaction
from app.smtp.walk import CheckStep, Walk, milliseconds

_TEXT = (
    "This message was sent to test an email connection of Letterbox.\r\n"
    "That you can read it means that the connection works.\r\n"
)


def examine(
    configuration: SMTPConfiguration, *, address_to_test: str | None, limit_s: float = 20.0
) -> tuple[CheckStep, ...]:
    """Signs in and sends one message to `address_to_test`: dns, tcp, tls, ehlo, auth, mail, message.

    The steps up to the first that failed; takes at most `limit_s` and raises nothing for a server that does not work.
    """
    limit = monotonic() + limit_s
    session = SMTPSession(configuration, configuration.account, resolver=Resolver(), limit=limit)
    walk = Walk(session, OwnerWords())
    try:
        if walk.sign_in():
            _send(walk, session, address_to_test, limit)
    finally:
        walk.leave(limit=limit)
    return tuple(walk.steps)


def sign_in_fault(configuration: SMTPConfiguration, *, limit_s: float = 5.0) -> str | None:
    """None when signing in works, else what is wrong and what to change, in whole sentences."""
    limit = monotonic() + limit_s
    session = SMTPSession(configuration, configuration.account, resolver=Resolver(), limit=limit)
    walk = Walk(session, OwnerWords())
    try:
        if walk.sign_in():
            return None
    finally:
        walk.leave(limit=limit)
    failed = walk.steps[-1]
    return f"The sign-in did not work: {failed.detail}. {failed.remedy}"


def _send(walk: Walk, session: SMTPSession, address_to_test: str | None, limit: float) -> None:
    """The steps mail and message, in one transaction whose envelope goes first."""
    if not address_to_test:
        walk.failed("mail", 0, "addressToTest is not set", "Set addressToTest to an address whose mail you can read.")
        return
    began = monotonic()
    accepted_at: list[float] = []
    try:
        message = _test_message(session.account.address, address_to_test, utc_now())
    except (AddressUnsafe, ValueError):
        walk.failed("mail", 0, "an address cannot be written into a message", "Check from and addressToTest.")
        return
    verdict = Transaction(
        session,
        recipients=[address_to_test],
        message=message,
        content=Content(message.content),
        on_hand_over=lambda: accepted_at.append(monotonic()),
        is_envelope_first=True,
        final_deadline=limit,
    ).run()
    if verdict.stage in (Stage.MAIL, Stage.RCPT):
        walk.failed("mail", milliseconds(began), *for_envelope(session, verdict))
        return
    handed_over_at = accepted_at[0] if accepted_at else monotonic()
    walk.succeeded("mail", round((handed_over_at - began) * 1000), "the server accepted the sender and addressToTest")
    if verdict.outcome is Outcome.ACCEPTED:
        walk.succeeded("message", milliseconds(handed_over_at), accepted(verdict))
    else:
        walk.failed("message", milliseconds(handed_over_at), *for_message(verdict))


def _test_message(sender: str, recipient: str, created_at: datetime) -> Message:
    """A small message in ASCII, but for its addresses. Raises AddressUnsafe and ValueError."""
    token = token_hex(16)
    domain = ascii_domain(sender.rpartition("@")[2])
    path(sender)
    head = (
        "Subject: Letterbox connection test\r\n"
        f"Date: {format_datetime(created_at)}\r\n"
        f"Message-ID: <{token}@{domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
    )
    content = b"To: %b\r\n%b" % (path(recipient), f"{head}{_TEXT}".encode("ascii"))
    return Message(token, content, needs_smtputf8=not (sender + recipient).isascii())
