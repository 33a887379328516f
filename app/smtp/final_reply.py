"""The replies to a message that was handed over: waited for, doubted, and listened for when they are late.

Used by `transaction`, and by `late_replies` where nobody waits any more.
"""

from time import monotonic

from app.model.outcome import Outcome, Stage
from app.smtp.dialogue import ONE_REPLY_TOO_MANY
from app.smtp.envelope import Envelope
from app.smtp.failure import SessionFailed
from app.smtp.outcome import Verdict, judge, judge_failure
from app.smtp.reply import CLOSING, DETAIL_LIMIT, Reply
from app.smtp.session import SMTPSession

GOODBYE = 221
SURPLUS_LIMIT = 10
"""So many replies are read before the one to QUIT; a server that has more to say is not understood."""


class FinalReply:
    """The reply to a whole message, with those to the envelope before it where all of it left in one write.

    A server that says one reply too many (a 451 behind RCPT, say) makes every later reply look like the answer to
    another command. An acceptance is believed as it comes. Before a refusal is, which would send the message elsewhere
    or call it failed, QUIT shows whether it was the last word: its 221 is like no other reply.
    """

    def __init__(
        self,
        session: SMTPSession,
        envelope: Envelope,
        *,
        is_envelope_answered: bool,
        refused: tuple[str, ...] = (),
        deferred: tuple[str, ...] = (),
    ) -> None:
        self.refused = refused or envelope.unsafe
        """Whom the server did not take, by what is known so far; `deferred` those of them whom it may take later."""
        self.deferred = deferred
        self.handed_over_at = monotonic()
        self.is_awaited = False
        """Whether the wait ended with the session still open, so that the reply may come yet."""
        self.session = session
        self._envelope = envelope
        self._is_envelope_answered = is_envelope_answered
        self._missing = 1 if is_envelope_answered else len(envelope.commands) + 1
        self._replies: list[Reply] = []
        self._doubted: Verdict | None = None
        """The verdict that QUIT was sent behind; `_surplus` is what came before the answer to that."""
        self._surplus: list[Reply] = []
        self._is_quit_answered = False

    def wait(self, timeout_s: float) -> Verdict:
        """The verdict; unknown when the reply did not come in time."""
        self.session.begin_final_wait(timeout_s)
        try:
            while self._missing:
                self._add(self.session.read_reply())
        except SessionFailed as failure:
            self.is_awaited = isinstance(failure.__cause__, TimeoutError)
            return self._judge_failure(failure)
        verdict = self._judge()
        return verdict if self._is_plain(verdict) else self._confirmed(verdict)

    def take_late(self, timeout_s: float) -> Verdict | None:
        """The verdict once the reply has come; None until then. Raises SessionFailed when it will not come any more.

        As `wait` does, it asks whether a refusal was the server's last word; the answer is listened for, too.
        """
        self.session.begin_final_wait(timeout_s)
        while self._missing:
            reply = self.session.read_reply_that_came()
            if reply is None:
                return None
            self._add(reply)
        if self._doubted is None:
            verdict = self._judge()
            if self._is_plain(verdict):
                return verdict
            self._doubted = verdict
        return self._confirmed_late(self._doubted)

    def _confirmed_late(self, verdict: Verdict) -> Verdict | None:
        """What `_confirmed` says, without waiting for the answer to QUIT; None until it has come."""
        try:
            if self.session.in_step:
                self.session.write(b"QUIT\r\n", is_continued=True)
            while not self._is_last_word:
                reply = self.session.read_reply_that_came()
                if reply is None:
                    return None
                self._note_behind_quit(reply)
        except SessionFailed as failure:
            if isinstance(failure.__cause__, TimeoutError):
                raise
        return self._weighed(verdict)

    def _add(self, reply: Reply) -> None:
        self._replies.append(reply)
        self._missing -= 1

    def _judge(self) -> Verdict:
        """The verdict of all replies."""
        session, final = self.session, self._replies[-1]
        session.in_step = True
        refusal = self._judge_envelope()
        # Without a recipient the data go nowhere, whatever the server says to them.
        if refusal is not None and not (final.is_positive and self._has_recipient):
            return refusal
        if final.is_positive:
            session.needs_reset = False
            session.messages += 1
        return judge(Stage.MESSAGE, final)

    def _judge_failure(self, failure: SessionFailed) -> Verdict:
        """The same where the last of them is missing."""
        refusal = self._judge_envelope()
        # Without an answer about the recipient the message may have arrived.
        if refusal is None or self._has_recipient:
            return judge_failure(failure, handed_over=True)
        self.is_awaited = False
        return refusal

    def _judge_envelope(self) -> Verdict | None:
        if self._is_envelope_answered or all(reply.is_positive for reply in self._replies):
            return None
        self.refused = self._envelope.refused(self._replies)
        self.deferred = self._envelope.deferred(self._replies)
        return self._envelope.refusal(self._replies)

    @property
    def _has_recipient(self) -> bool:
        commands = len(self._envelope.commands)
        return self._is_envelope_answered or (
            len(self._replies) >= commands and self._replies[commands - 1].is_positive
        )

    def _is_plain(self, verdict: Verdict) -> bool:
        """Whether the replies allow no doubt: an acceptance, and a refusal of the envelope and of the data after it."""
        final = self._replies[-1]
        if verdict.outcome is Outcome.UNKNOWN:
            return True
        if self._is_envelope_answered:
            return final.is_positive
        if all(reply.is_positive for reply in self._replies):
            # X.1.X is about addresses (RFC 3463 section 3.2), so it answers RCPT and not a message.
            is_about_address = (final.enhanced_code or "").startswith("2.1.")
            return not is_about_address and not self.session.has_unread
        # A single reply too many moves the one to RCPT here. Where that is a refusal, nobody got the message.
        return not final.is_positive and not self._has_recipient

    def _confirmed(self, verdict: Verdict) -> Verdict:
        """The verdict if QUIT is answered next, or the connection ends; unknown where the replies contradict it."""
        session = self.session
        session.begin_final_wait(session.configuration.timeout_s)
        try:
            session.write(b"QUIT\r\n", is_continued=True)
            while not self._is_last_word:
                self._note_behind_quit(session.read_reply())
        except SessionFailed as failure:
            if isinstance(failure.__cause__, TimeoutError):
                last = self._replies[-1].detail
                detail = f"{last}; and no answer to QUIT, so it may not be the answer to the message"
                return Verdict(Outcome.UNKNOWN, Stage.MESSAGE, detail=detail)
        finally:
            session.close()
        return self._weighed(verdict)

    def _note_behind_quit(self, reply: Reply) -> None:
        self._is_quit_answered = reply.code == GOODBYE
        # A server may hang up at any time, and says so without being asked (RFC 5321 section 3.8).
        if reply.code not in (GOODBYE, CLOSING):
            self._surplus.append(reply)

    @property
    def _is_last_word(self) -> bool:
        return self._is_quit_answered or len(self._surplus) >= SURPLUS_LIMIT

    def _weighed(self, verdict: Verdict) -> Verdict:
        """The verdict where nothing but the answer to QUIT came behind it; else what all replies come to."""
        if not self._surplus:
            return verdict
        candidates = [self._replies[-1], *self._surplus]
        if all(reply.is_positive for reply in candidates):
            self.refused, self.deferred = self._envelope.unsafe, ()
            return judge(Stage.MESSAGE, self._surplus[-1])
        if not any(reply.is_positive for reply in candidates):
            return verdict
        detail = f"{ONE_REPLY_TOO_MANY}: {'; '.join(reply.detail for reply in candidates)}"
        return Verdict(Outcome.UNKNOWN, Stage.MESSAGE, detail=detail[:DETAIL_LIMIT])
