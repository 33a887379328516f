"""MAIL and RCPT for one message, what rules a message out before anything is sent, and what the replies to them mean.

Used by `transaction`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.model.message import Message
from app.model.outcome import Outcome, Stage
from app.smtp.address import AddressUnsafe, path
from app.smtp.content import Content
from app.smtp.outcome import Verdict, is_temporary, judge
from app.smtp.reply import CLOSING, Reply
from app.smtp.session import SMTPSession


class RuledOut(Exception):
    """What the server announced, or an address, rules this message out; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The commands before the data, each with its stage, and what belongs to them.

    `commands` ends with one RCPT for each of `recipients`; `unsafe` are those that cannot be written into one, or not
    for this server. `content` is the message as this server takes it, and `size` counts the octets of the data, the
    `From` field included, without doubled dots (RFC 1870 section 3).
    """

    commands: list[tuple[Stage, bytes]]
    recipients: tuple[str, ...]
    unsafe: tuple[str, ...]
    content: Content
    from_field: bytes
    size: int

    def refused(self, replies: Sequence[Reply]) -> tuple[str, ...]:
        """Who does not get the message, by the replies to `commands` as far as they were read."""
        if not all(reply.is_positive for reply in replies[: self._first_rcpt]):
            # Nobody was refused where the whole transaction was.
            return ()
        return self.unsafe + tuple(recipient for recipient, reply in self._answers(replies) if not reply.is_positive)

    def deferred(self, replies: Sequence[Reply]) -> tuple[str, ...]:
        """Those of the refused whom the server may take later, as one does that greylists."""
        refused = self.refused(replies)
        return tuple(
            recipient
            for recipient, reply in self._answers(replies)
            if recipient in refused and is_temporary(reply.code)
        )

    def refusal(self, replies: Sequence[Reply]) -> Verdict | None:
        """The verdict that ends the transaction here; None while somebody is left to send to.

        One refused recipient does not stop the others. When all were refused, the first refusal decides, unless one
        of them is the server's fault: elsewhere that recipient may be taken.
        """
        judged: list[Verdict] = []
        for (stage, _), reply in zip(self.commands, replies, strict=False):
            if reply.is_positive:
                continue
            verdict = judge(stage, reply)
            if stage is not Stage.RCPT or reply.code == CLOSING:
                return verdict
            judged.append(verdict)
        if not judged or len(judged) < len(self.recipients):
            return None
        return next((verdict for verdict in judged if verdict.outcome is Outcome.SERVER_AT_FAULT), judged[0])

    @property
    def _first_rcpt(self) -> int:
        return len(self.commands) - len(self.recipients)

    def _answers(self, replies: Sequence[Reply]) -> Iterable[tuple[str, Reply]]:
        return zip(self.recipients, replies[self._first_rcpt :], strict=False)


def envelope(session: SMTPSession, recipients: Sequence[str], message: Message, content: Content) -> Envelope:
    """The envelope of a message for its recipients, from the session's account. Raises RuledOut.

    Where the server has no SMTPUTF8, only what needs it is left out: recipients that are not ASCII count as refused,
    and the message goes without such addresses in its header (spec: delivery, "International addresses").
    """
    # RFC 6531 section 3.1: one does not come without the other.
    takes_utf8 = session.announced("smtputf8") is not None and session.announced("8bitmime") is not None
    address = session.account.address
    try:
        sender_path = path(address)
    except AddressUnsafe as error:
        raise _ruled_out(f"the sender is {error}") from error
    if not takes_utf8 and not sender_path.isascii():
        raise _ruled_out(f"the sender's {_BEYOND_ASCII}")
    paths: dict[str, bytes] = {}
    unsafe: dict[str, AddressUnsafe | None] = {}
    for recipient in recipients:
        try:
            written = path(recipient)
        except AddressUnsafe as error:
            unsafe[recipient] = error
        else:
            if takes_utf8 or written.isascii():
                paths[recipient] = written
            else:
                unsafe[recipient] = None
    if not paths:
        if None in unsafe.values():
            raise _ruled_out(f"every recipient's {_BEYOND_ASCII}")
        cause = next(iter(unsafe.values()))
        raise RuledOut(Verdict(Outcome.RECIPIENT_REFUSED, Stage.RCPT, detail=f"the recipient is {cause}")) from cause
    if message.needs_smtputf8 and not takes_utf8:
        message = message.in_ascii()
        content = Content(message.content)
    needs_utf8 = message.needs_smtputf8 or not all(each.isascii() for each in (sender_path, *paths.values()))
    from_field = message.from_field(address)
    size = len(from_field) + content.size
    parameters = _mail_parameters(session, size, is_ascii=content.is_ascii, needs_utf8=needs_utf8)
    commands = [
        (Stage.MAIL, b"MAIL FROM:%b%b\r\n" % (sender_path, parameters)),
        *((Stage.RCPT, b"RCPT TO:%b\r\n" % each) for each in paths.values()),
    ]
    if session.needs_reset:
        commands.insert(0, (Stage.MAIL, b"RSET\r\n"))
    return Envelope(
        commands=commands,
        recipients=tuple(paths),
        unsafe=tuple(unsafe),
        content=content,
        from_field=from_field,
        size=size,
    )


_BEYOND_ASCII = "address is not ASCII and the server does not offer SMTPUTF8"


def _mail_parameters(session: SMTPSession, size: int, *, is_ascii: bool, needs_utf8: bool) -> bytes:
    """SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531), where announced and needed."""
    parameters = b""
    size_limit = session.announced("size")
    if size_limit is not None:
        # No number, or 0, announces no limit.
        if size_limit.isdecimal() and 0 < int(size_limit) < size:
            raise _ruled_out(f"the message has {size} octets, the server takes {size_limit}")
        parameters += b" SIZE=%d" % size
    if needs_utf8 or not is_ascii:
        if session.announced("8bitmime") is None:
            raise _ruled_out("the message is not ASCII and the server does not offer 8BITMIME")
        parameters += b" BODY=8BITMIME"
    return parameters + b" SMTPUTF8" if needs_utf8 else parameters


def _ruled_out(detail: str) -> RuledOut:
    return RuledOut(Verdict(Outcome.SERVER_AT_FAULT, Stage.MAIL, detail=detail))
