"""One message through one session, in as few round trips as the server allows. Used by `delivery`.

PIPELINING (RFC 2920) and CHUNKING (RFC 3030) decide the form: MAIL, RCPT and BDAT in one write, MAIL, RCPT and DATA in
one write, or command by command. Whatever the form, the verdict is that of the first refusal, and `Outcome.UNKNOWN`
as soon as everything was written and the reply to it is missing.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

from app.model.message import Message
from app.model.outcome import Stage
from app.smtp.content import Content
from app.smtp.envelope import RuledOut, envelope
from app.smtp.failure import SessionFailed
from app.smtp.outcome import Verdict, judge, judge_failure
from app.smtp.reply import Reply
from app.smtp.session import SMTPSession

ONE_WRITE_LIMIT = 64 * 1024
"""Above it the envelope is accepted first: a refusal must not cost the transfer of 25 MB."""
IDLE_LIMIT_S = 5.0
"""After it the envelope goes first, too: where a firewall forgot the connection, a message in the first write would end
as unknown, while an envelope without an answer costs nothing but a fresh session."""
FINAL_REPLY_TIMEOUT_S = 30.0
"""Giving up earlier after the dot is what doubles mail."""
BYTES_PER_SECOND = 100_000
"""The slowest server that the data are sent to."""

START_MAIL_INPUT = 354


class Transaction:
    """The dialogue for one message and one recipient; made for one call of `run`."""

    def __init__(
        self,
        session: SMTPSession,
        *,
        recipient: str,
        message: Message,
        content: Content,
        on_hand_over: Callable[[], None],
    ) -> None:
        self._session = session
        self._recipient = recipient
        self._message = message
        self._content = content
        self._on_hand_over = on_hand_over

    def run(self) -> Verdict:
        """The verdict. Raises only what `on_hand_over` raises."""
        try:
            self._envelope = envelope(self._session, self._recipient, self._message, self._content)
            return self._converse()
        except RuledOut as ruled_out:
            return ruled_out.verdict
        except SessionFailed as failure:
            return judge_failure(failure)
        finally:
            self._session.last_used_at = monotonic()

    def _converse(self) -> Verdict:
        session = self._session
        is_chunking = session.announced("chunking") is not None
        if session.announced("pipelining") is None:
            return self._envelope_by_command() or (self._by_bdat() if is_chunking else self._by_data())
        if not is_chunking:
            return self._envelope_and_data() or self._behind_data()
        if self._envelope.size <= ONE_WRITE_LIMIT and monotonic() - session.last_used_at <= IDLE_LIMIT_S:
            return self._in_one_write()
        return self._envelope_in_one_write() or self._by_bdat()

    # PIPELINING and CHUNKING: one round trip.

    def _in_one_write(self) -> Verdict:
        session = self._session
        commands = b"".join(
            [*(command for _, command in self._envelope.commands), b"BDAT %d LAST\r\n" % self._envelope.size]
        )
        everything = self._content.whole(commands, self._envelope.from_field)
        self._on_hand_over()
        session.begin(Stage.MESSAGE, self._data_timeout_s())
        self._write_envelope(everything)
        # Everything was handed over, so every reply is waited for as long as the one to the dot.
        session.begin_final_wait(FINAL_REPLY_TIMEOUT_S)
        replies: list[Reply] = []
        failure: SessionFailed | None = None
        try:
            for _ in range(len(self._envelope.commands) + 1):
                replies.append(session.read_reply())
        except SessionFailed as broken_off:
            failure = broken_off
        return self._judge_together(replies, failure)

    def _judge_together(self, replies: list[Reply], failure: SessionFailed | None) -> Verdict:
        """The verdict of the replies to the envelope and to BDAT LAST, of which `failure` may have cut off the end."""
        refusal = self._first_refusal(replies)
        has_recipient = (
            len(replies) >= len(self._envelope.commands) and replies[len(self._envelope.commands) - 1].is_positive
        )
        if failure is not None:
            # Without a recipient the data go nowhere; with one, or without an answer about it, they may have arrived.
            return judge_failure(failure, handed_over=True) if refusal is None or has_recipient else refusal
        self._session.in_step = True
        final = replies[-1]
        if refusal is not None and not (has_recipient and final.is_positive):
            return refusal
        return self._settle(final)

    # The envelope before the message.

    def _envelope_by_command(self) -> Verdict | None:
        for stage, command in self._envelope.commands:
            self._session.begin(stage)
            self._write_envelope(command)
            reply = self._session.read_reply()
            self._session.in_step = True
            if not reply.is_positive:
                return judge(stage, reply)
        return None

    def _envelope_in_one_write(self) -> Verdict | None:
        self._session.begin(Stage.MAIL)
        self._write_envelope(b"".join(command for _, command in self._envelope.commands))
        refusal, _ = self._read_envelope()
        self._session.in_step = True
        return refusal

    def _envelope_and_data(self) -> Verdict | None:
        session = self._session
        session.begin(Stage.MAIL)
        self._write_envelope(b"".join([*(command for _, command in self._envelope.commands), b"DATA\r\n"]))
        refusal, has_recipient = self._read_envelope()
        session.begin(Stage.DATA)
        if refusal is None:
            return self._judge_data(session.read_reply())
        with suppress(SessionFailed):
            self._decline(session.read_reply(), has_recipient=has_recipient)
        return refusal

    def _decline(self, reply: Reply, *, has_recipient: bool) -> None:
        """The envelope was refused; where the server asks for data all the same, a lone dot says that there are none.

        That is RFC 2920 section 3.1. Where the server took the recipient but not the sender, even the dot would
        deliver an empty message: the session stays out of step, and is closed.
        """
        session = self._session
        if reply.code == START_MAIL_INPUT:
            if has_recipient:
                return
            session.begin(Stage.DATA)
            session.write(b".\r\n")
            session.read_reply()
        session.in_step = True

    def _write_envelope(self, data: bytes) -> None:
        self._session.needs_reset = True
        self._session.write(data)

    def _read_envelope(self) -> tuple[Verdict | None, bool]:
        """The first refusal, and whether RCPT was accepted. A session that breaks off behind a refusal is no matter."""
        replies: list[Reply] = []
        try:
            for stage, _ in self._envelope.commands:
                self._session.begin(stage)
                replies.append(self._session.read_reply())
        except SessionFailed:
            self._session.close()
            if self._first_refusal(replies) is None:
                raise
        return self._first_refusal(replies), bool(replies) and replies[-1].is_positive

    def _first_refusal(self, replies: list[Reply]) -> Verdict | None:
        for (stage, _), reply in zip(self._envelope.commands, replies, strict=False):
            if not reply.is_positive:
                return judge(stage, reply)
        return None

    # The message behind an accepted envelope.

    def _by_bdat(self) -> Verdict:
        header = b"BDAT %d LAST\r\n" % self._envelope.size
        return self._hand_over(self._content.blocks(header, self._envelope.from_field))

    def _by_data(self) -> Verdict:
        self._session.begin(Stage.DATA)
        self._session.write(b"DATA\r\n")
        return self._judge_data(self._session.read_reply()) or self._behind_data()

    def _judge_data(self, reply: Reply) -> Verdict | None:
        if reply.code == START_MAIL_INPUT:
            return None
        # After anything but a refusal nobody knows what the server waits for.
        self._session.in_step = reply.code >= 400
        return judge(Stage.DATA, reply)

    def _behind_data(self) -> Verdict:
        return self._hand_over(self._content.stuffed_blocks(self._envelope.from_field))

    def _hand_over(self, blocks: Iterable[bytes | memoryview]) -> Verdict:
        session = self._session
        self._on_hand_over()
        session.begin(Stage.MESSAGE, self._data_timeout_s())
        for block in blocks:
            session.write(block)
        session.begin_final_wait(FINAL_REPLY_TIMEOUT_S)
        try:
            reply = session.read_reply()
        except SessionFailed as failure:
            return judge_failure(failure, handed_over=True)
        session.in_step = True
        return self._settle(reply)

    def _settle(self, reply: Reply) -> Verdict:
        if reply.is_positive:
            self._session.needs_reset = False
            self._session.messages += 1
        return judge(Stage.MESSAGE, reply)

    def _data_timeout_s(self) -> float:
        return self._session.configuration.timeout_s + self._envelope.size / BYTES_PER_SECOND
