"""The door of this package: one message, a list of SMTP configurations, and what became of it. Used by `emails`.

Each attempt is one message for its recipients at one configuration. What follows an attempt is decided by its outcome
alone (spec: delivery, "Outcomes"): the next configuration, the catch-all recipient, or the end.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from time import monotonic

from app.errors import HandOverUnrecorded, RecordUnavailable
from app.model.clock import Clock, utc_now
from app.model.message import Message
from app.model.outcome import Attempt, Delivery, Outcome, Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.content import Content
from app.smtp.failure import SessionFailed
from app.smtp.outcome import Verdict, judge_failure
from app.smtp.pool import SessionPool
from app.smtp.pools import Pools
from app.smtp.reply import CLOSING
from app.smtp.session import SMTPSession
from app.smtp.transaction import Transaction


class Deliverer:
    """Delivers messages over pooled sessions. Thread-safe; one per process, closed at its end."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._pools = Pools()

    def deliver(
        self,
        message: Message,
        *,
        group: Sequence[SMTPConfiguration],
        is_test: bool,
        recipients: Sequence[str],
        catch_all: str | None,
        deadline: float,
        on_hand_over: Callable[[], None],
    ) -> Delivery:
        """Tries the group in its order until a server took the message or ruled out every other try.

        The group has at least one configuration; those without a test account are passed over when `is_test`. There is
        at least one recipient. Of several, those whom a server refuses do not keep the message from the others;
        `catch_all` stands in for a single one that was refused.
        `deadline` (`time.monotonic`) bounds everything except the wait for the reply to a message that was handed
        over. `on_hand_over` is called before any byte of the message may reach a server, once per attempt that gets
        there; what it raises is raised here (RecordUnavailable as HandOverUnrecorded, with the attempts until then),
        and that message is not sent. Raises `content.MessageUnsafe` for bytes
        that must not be sent; trouble with a server is never raised, it is in the attempts.
        """
        errand = _Errand(
            message,
            clock=self._clock,
            recipients=recipients,
            catch_all=catch_all,
            deadline=deadline,
            on_hand_over=on_hand_over,
        )
        candidates = [
            (configuration, account)
            for configuration in group
            if (account := configuration.account_for(is_test=is_test)) is not None
        ]
        if not candidates:
            errand.note(group[0], Verdict(Outcome.SERVER_AT_FAULT, Stage.AUTH, detail="no test account is configured"))
        for configuration, account in candidates:
            if monotonic() >= deadline:
                if not errand.attempts:
                    errand.note(configuration, _OUT_OF_TIME)
                break
            is_last = configuration is candidates[-1][0]
            errand.visit(configuration, self._pools.pool(configuration, account), is_last=is_last)
            if errand.attempts[-1].outcome is not Outcome.SERVER_AT_FAULT:
                break
        return Delivery(tuple(errand.attempts))

    def forget(self, configurations: Iterable[SMTPConfiguration]) -> None:
        """Ends the sessions of configurations that are no longer in use, in the background; mail under way finishes."""
        self._pools.forget(configurations)

    def close(self) -> None:
        """Ends the idle sessions; those at work end with their message."""
        self._pools.close()


class _Errand:
    """One message on its way: the recipients that are in force now, and the attempts so far."""

    def __init__(
        self,
        message: Message,
        *,
        clock: Clock,
        recipients: Sequence[str],
        catch_all: str | None,
        deadline: float,
        on_hand_over: Callable[[], None],
    ) -> None:
        self.attempts: list[Attempt] = []
        self._message = message
        self._content = Content(message.content)
        self._clock = clock
        self._recipients = tuple(recipients)
        self._spare = catch_all if len(self._recipients) == 1 and catch_all not in self._recipients else None
        self._deadline = deadline
        self._record_hand_over = on_hand_over

    def visit(self, configuration: SMTPConfiguration, pool: SessionPool, *, is_last: bool) -> None:
        """One attempt at a configuration, and another one for the catch-all recipient if it comes to that.

        A recipient that was refused once is not tried again at the next configuration.
        """
        # With another configuration to turn to, a line of waiting callers is left as early as a dead server is.
        loan = _Loan(pool, deadline=self._deadline, patience_s=None if is_last else configuration.timeout_s)
        try:
            while True:
                self._attempt(configuration, loan)
                is_refused = self.attempts[-1].outcome is Outcome.RECIPIENT_REFUSED
                if not is_refused or self._spare is None or monotonic() >= self._deadline:
                    return
                self._recipients, self._spare = (self._spare,), None
        finally:
            loan.give_back()

    def _attempt(self, configuration: SMTPConfiguration, loan: "_Loan") -> None:
        started_at, began = self._clock(), monotonic()
        refused: tuple[str, ...] = ()
        try:
            session = loan.session()
            is_reused = session.is_reused
            verdict, refused = self._converse(session)
            if is_reused and _is_stale(session, verdict):
                refused = ()
                verdict, refused = self._converse(loan.replacement())
        except SessionFailed as failure:
            verdict = judge_failure(failure)
        self.note(configuration, verdict, refused=refused, started_at=started_at, duration_s=monotonic() - began)

    def _converse(self, session: SMTPSession) -> tuple[Verdict, tuple[str, ...]]:
        transaction = Transaction(
            session,
            recipients=self._recipients,
            message=self._message,
            content=self._content,
            on_hand_over=self._on_hand_over,
        )
        return transaction.run(), transaction.refused

    def _on_hand_over(self) -> None:
        try:
            self._record_hand_over()
        except RecordUnavailable as error:
            raise HandOverUnrecorded(tuple(self.attempts)) from error

    def note(
        self,
        configuration: SMTPConfiguration,
        verdict: Verdict,
        *,
        refused: tuple[str, ...] = (),
        started_at: datetime | None = None,
        duration_s: float = 0.0,
    ) -> None:
        """Adds an attempt to the record."""
        self.attempts.append(
            Attempt(
                smtp_id=configuration.index,
                recipients=self._recipients,
                refused=refused,
                started_at=started_at or self._clock(),
                duration_ms=round(duration_s * 1000),
                outcome=verdict.outcome,
                stage=verdict.stage,
                code=verdict.code,
                enhanced_code=verdict.enhanced_code,
                detail=verdict.detail,
            )
        )


class _Loan:
    """The one session that a visit holds: kept from the refused recipient to the catch-all, given back at its end."""

    def __init__(self, pool: SessionPool, *, deadline: float, patience_s: float | None) -> None:
        self._pool = pool
        self._deadline = deadline
        self._patience_s = patience_s
        self._session: SMTPSession | None = None

    def session(self) -> SMTPSession:
        """The session in hand while it is of use, else one from the pool. Raises SessionFailed."""
        if self._session is not None and self._session.is_reusable:
            return self._session
        self.give_back()
        self._session = self._pool.acquire(self._deadline, patience_s=self._patience_s)
        return self._session

    def replacement(self) -> SMTPSession:
        """A fresh session instead of one that the server had given up. Raises SessionFailed."""
        self.give_back()
        self._session = self._pool.acquire(self._deadline, patience_s=self._patience_s, fresh=True)
        return self._session

    def give_back(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._pool.release(session)


_OUT_OF_TIME = Verdict(
    Outcome.SERVER_AT_FAULT, Stage.CONNECT, detail="no time was left for an attempt before the request's deadline"
)


def _is_stale(session: SMTPSession, verdict: Verdict) -> bool:
    """Whether a session that was lent before turned out dead, with nothing handed over: dropped, silent, or 421.

    A 421 to the whole message is an answer about it, so it counts as an attempt.
    """
    is_given_up = verdict.code is None or (verdict.code == CLOSING and verdict.stage is not Stage.MESSAGE)
    return verdict.outcome is Outcome.SERVER_AT_FAULT and is_given_up and not session.is_reusable
