"""One message through one session, in as few round trips as the server allows. Used by `delivery`.

PIPELINING (RFC 2920) and CHUNKING (RFC 3030) decide the form: MAIL, RCPT and BDAT in one write, MAIL, RCPT and DATA in
one write, or command by command. With several recipients the envelope always goes first, because the message is for
those of them who were accepted. Whatever the form, the verdict is that of the first refusal, and `Outcome.UNKNOWN` as
soon as everything was written and the reply to it is missing.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic

from app.model.message import Message
from app.model.outcome import Stage
from app.smtp.content import Content
from app.smtp.dialogue import ONE_REPLY_TOO_MANY
from app.smtp.envelope import RuledOut, envelope
from app.smtp.failure import SessionFailed
from app.smtp.final_reply import FinalReply
from app.smtp.outcome import Verdict, judge, judge_failure
from app.smtp.reply import Reply
from app.smtp.session import SMTPSession

ONE_WRITE_LIMIT = 64 * 1024
"""Above it the envelope is accepted first: a refusal must not cost the transfer of 25 MB."""
IDLE_LIMIT_S = 5.0
"""After it the envelope goes first, too: where a firewall forgot the connection, a message in the first write would end
as unknown, while an envelope without an answer costs nothing but a fresh session."""
PROVED_LIMIT_S = 40.0
"""A session whose server answered so recently (`warming` sees to it) is as good as one that was just used, as long as
the kernels at both ends have heard of each other within the limit above: no firewall has forgotten them. What is traded
for the round trip: a proxy on the way may answer keepalives in the place of a server that hangs since its last NOOP."""
FINAL_REPLY_TIMEOUT_S = 30.0
"""The reply to the message has what is left of the request's time, and this at least. Behind that it is late."""
BYTES_PER_SECOND = 100_000
"""The slowest server that the data are sent to."""

COMMANDS_IN_ONE_WRITE = 100
"""So many replies fit into any receive buffer; with more, both sides could wait for the other one to read."""

START_MAIL_INPUT = 354


class Transaction:
    """The dialogue for one message and its recipients; made for one call of `run`.

    `refused` are the recipients that the server did not take, `deferred` those of them whom it may take later.
    `is_envelope_first` keeps the message back until the envelope was accepted also where one write would do.
    `final_deadline` (`time.monotonic`) ends the wait for the reply to the message where it must not take the time that
    it needs. `late` is set where that wait ended and the reply may come yet.
    """

    def __init__(
        self,
        session: SMTPSession,
        *,
        recipients: Sequence[str],
        message: Message,
        content: Content,
        on_hand_over: Callable[[], None],
        is_envelope_first: bool = False,
        final_deadline: float | None = None,
    ) -> None:
        self.late: FinalReply | None = None
        self.refused: tuple[str, ...] = ()
        self.deferred: tuple[str, ...] = ()
        self._session = session
        self._recipients = recipients
        self._message = message
        self._content = content
        self._on_hand_over = on_hand_over
        self._is_envelope_first = is_envelope_first or len(recipients) > 1
        self._final_deadline = final_deadline

    def run(self) -> Verdict:
        """The verdict. Raises only what `on_hand_over` raises."""
        try:
            self._envelope = envelope(self._session, self._recipients, self._message, self._content)
            return self._converse()
        except RuledOut as ruled_out:
            if ruled_out.verdict.stage is Stage.RCPT:
                self.refused = tuple(self._recipients)
            return ruled_out.verdict
        except SessionFailed as failure:
            return judge_failure(failure)
        finally:
            self._session.last_used_at = self._session.proved_at = monotonic()

    def _converse(self) -> Verdict:
        session = self._session
        is_chunking = session.announced("chunking") is not None
        if session.announced("pipelining") is None:
            return self._envelope_by_command() or (self._by_bdat() if is_chunking else self._by_data())
        if self._is_envelope_first:
            return self._envelope_in_one_write() or (self._by_bdat() if is_chunking else self._by_data())
        if not is_chunking:
            return self._envelope_and_data() or self._behind_data()
        if self._envelope.size <= ONE_WRITE_LIMIT and _is_proved(session):
            return self._in_one_write()
        return self._envelope_in_one_write() or self._by_bdat()

    # PIPELINING and CHUNKING: one round trip.

    def _in_one_write(self) -> Verdict:
        commands = b"".join(
            [*(command for _, command in self._envelope.commands), b"BDAT %d LAST\r\n" % self._envelope.size]
        )
        self._session.needs_reset = True
        # Everything is handed over, so every reply is waited for as long as the one to the dot.
        return self._hand_over(
            [self._envelope.content.whole(commands, self._envelope.from_field)], is_envelope_answered=False
        )

    # The envelope before the message.

    def _envelope_by_command(self) -> Verdict | None:
        replies: list[Reply] = []
        for stage, command in self._envelope.commands:
            self._session.begin(stage)
            self._write_envelope(command)
            replies.append(self._session.read_reply())
            self._session.in_step = True
            refusal = self._judge_envelope(replies)
            if refusal is not None:
                return refusal
        return None

    def _envelope_in_one_write(self) -> Verdict | None:
        replies: list[Reply] = []
        for start in range(0, len(self._envelope.commands), COMMANDS_IN_ONE_WRITE):
            commands = self._envelope.commands[start : start + COMMANDS_IN_ONE_WRITE]
            self._session.begin(commands[0][0])
            self._write_envelope(b"".join(command for _, command in commands))
            refusal = self._read_envelope(commands, replies)
            self._session.in_step = True
            if refusal is not None:
                return refusal
        return None

    def _envelope_and_data(self) -> Verdict | None:
        session = self._session
        commands, replies = self._envelope.commands, list[Reply]()
        session.begin(Stage.MAIL)
        self._write_envelope(b"".join([*(command for _, command in commands), b"DATA\r\n"]))
        refusal = self._read_envelope(commands, replies)
        session.begin(Stage.DATA)
        if refusal is None:
            return self._judge_data(session.read_reply())
        with suppress(SessionFailed):
            self._decline(session.read_reply(), has_recipient=replies[-1].is_positive)
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
            reply = session.read_reply()
        # A positive reply is to another command: the server has said one reply too many.
        session.in_step = not reply.is_positive

    def _write_envelope(self, data: bytes) -> None:
        self._session.needs_reset = True
        self._session.write(data)

    def _read_envelope(self, commands: Sequence[tuple[Stage, bytes]], replies: list[Reply]) -> Verdict | None:
        """Adds the replies to `commands`; what they come to. A session that ends behind a refusal is no matter."""
        try:
            for stage, _ in commands:
                self._session.begin(stage)
                replies.append(self._session.read_reply())
        except SessionFailed:
            self._session.close()
            if self._judge_envelope(replies) is None:
                raise
        return self._judge_envelope(replies)

    def _judge_envelope(self, replies: Sequence[Reply]) -> Verdict | None:
        self.refused = self._envelope.refused(replies)
        if self.refused:
            self.deferred = self._envelope.deferred(replies)
        return self._envelope.refusal(replies)

    # The message behind an accepted envelope.

    def _by_bdat(self) -> Verdict:
        header = b"BDAT %d LAST\r\n" % self._envelope.size
        return self._hand_over(self._envelope.content.blocks(header, self._envelope.from_field))

    def _by_data(self) -> Verdict:
        self._session.begin(Stage.DATA)
        self._session.write(b"DATA\r\n")
        return self._judge_data(self._session.read_reply()) or self._behind_data()

    def _judge_data(self, reply: Reply) -> Verdict | None:
        if reply.code == START_MAIL_INPUT:
            return None
        # Where a refusal was one reply too many, the server waits for the message by now: a next command would be it.
        is_in_step = not self._session.has_unread
        self._session.close()
        if not is_in_step:
            raise SessionFailed(Stage.DATA, detail=f"{ONE_REPLY_TOO_MANY}: {reply.detail}")
        return judge(Stage.DATA, reply)

    def _behind_data(self) -> Verdict:
        return self._hand_over(self._envelope.content.stuffed_blocks(self._envelope.from_field))

    def _hand_over(self, blocks: Iterable[bytes | memoryview], *, is_envelope_answered: bool = True) -> Verdict:
        session = self._session
        self._on_hand_over()
        session.begin(Stage.MESSAGE, self._data_timeout_s())
        for number, block in enumerate(blocks):
            session.write(block, is_continued=number > 0)
        final = FinalReply(
            session,
            self._envelope,
            is_envelope_answered=is_envelope_answered,
            refused=self.refused,
            deferred=self.deferred,
        )
        verdict = final.wait(self._final_timeout_s())
        self.refused, self.deferred = final.refused, final.deferred
        if final.is_awaited:
            self.late = final
        return verdict

    def _final_timeout_s(self) -> float:
        if self._final_deadline is not None:
            return self._final_deadline - monotonic()
        return max(FINAL_REPLY_TIMEOUT_S, self._session.limit - monotonic())

    def _data_timeout_s(self) -> float:
        return self._session.configuration.timeout_s + self._envelope.size / BYTES_PER_SECOND


def _is_proved(session: SMTPSession) -> bool:
    """Whether the way to the server is known to be open, so that the message may go before any answer."""
    silence_s = monotonic() - session.proved_at
    return silence_s <= IDLE_LIMIT_S or (silence_s <= PROVED_LIMIT_S and session.unheard_s() <= IDLE_LIMIT_S)
