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
from app.smtp.circuit import Condition, Leave
from app.smtp.content import Content
from app.smtp.failure import SessionFailed
from app.smtp.final_reply import FinalReply
from app.smtp.late_replies import LateReplies
from app.smtp.loan import Loan
from app.smtp.outcome import Verdict, judge_failure
from app.smtp.pool import AllInUse
from app.smtp.pools import Pools, Route
from app.smtp.reply import CLOSING
from app.smtp.session import SMTPSession
from app.smtp.transaction import Transaction
from app.smtp.warming import Scout, Warmer


class Deliverer:
    """Delivers messages over pooled sessions. Thread-safe; one per process, closed at its end."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._pools = Pools()
        self._scout = Scout(self._pools)
        self._late_replies = LateReplies(clock=clock, retire=self._pools.retire)
        self._warmer: Warmer | None = None

    def keep_warm(self, standing: Sequence[SMTPConfiguration]) -> None:
        """From now on keeps a session open at each of these, and for a while where the last mail went; called once."""
        self._warmer = Warmer(self._pools, standing)
        self._warmer.start()

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

        A configuration that kept failing is passed over for a while; when all of them did, the first is tried.
        The group has at least one configuration; those without a test account are passed over when `is_test`. There is
        at least one recipient. Of several, those whom a server refuses do not keep the message from the others;
        `catch_all` stands in for a single one that was refused.
        `deadline` (`time.monotonic`) bounds everything except the wait for the reply to a message that was handed
        over, which has half a minute at least; whoever calls `listen` of the delivery hears of a later one.
        `on_hand_over` is called before any byte of the message may reach a server, once per attempt that gets there;
        what it raises is raised here (RecordUnavailable as HandOverUnrecorded, with the attempts until then), and that
        message is not sent. Raises `content.MessageUnsafe` for bytes that must not be sent; trouble with a server is
        never raised, it is in the attempts.
        """
        errand = _Errand(
            message,
            clock=self._clock,
            recipients=recipients,
            catch_all=catch_all,
            deadline=deadline,
            on_hand_over=on_hand_over,
        )
        routes = [
            self._pools.route(configuration, account)
            for configuration in group
            if (account := configuration.account_for(is_test=is_test)) is not None
        ]
        if routes:
            errand.run(routes)
        else:
            errand.note(group[0], Verdict(Outcome.SERVER_AT_FAULT, Stage.AUTH, detail="no test account is configured"))
        late = None
        if errand.late is not None:
            late = self._late_replies.wait_for(errand.late, errand.attempts[-1])
            if late is None:
                errand.late.session.close()
        return Delivery(tuple(errand.attempts), listen=None if late is None else late.listen)

    def condition(self, configuration: SMTPConfiguration) -> Condition:
        """The last thing known of this server; said from memory, without asking it."""
        return self._pools.condition(configuration, configuration.account)

    def look_again(self, configurations: Sequence[SMTPConfiguration]) -> None:
        """Has servers tried that nobody has tried for a moment, in the background, until one of them works."""
        self._scout.send(configurations)

    def forget(self, configurations: Iterable[SMTPConfiguration]) -> None:
        """Ends the sessions of configurations that are no longer in use, in the background; mail under way finishes.

        What they were known for is forgotten with them.
        """
        self._pools.forget(configurations)

    def close(self) -> None:
        """Ends the idle sessions, and those that are listened to; those at work end with their message."""
        if self._warmer is not None:
            self._warmer.stop()
        self._late_replies.close()
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
        self.late: FinalReply | None = None
        """The reply that is missing, where the server of the last attempt may still give it."""
        self._message = message
        self._content = Content(message.content)
        self._clock = clock
        self._recipients = tuple(recipients)
        self._spare = catch_all if len(self._recipients) == 1 and catch_all not in self._recipients else None
        self._deadline = deadline
        self._record_hand_over = on_hand_over

    def run(self, routes: Sequence[Route]) -> None:
        """Attempts until one of them decides, in the order of the routes; at least one is noted."""
        for position, route in enumerate(routes):
            if self._is_out_of_time:
                break
            leave = route.circuit.admit()
            if leave is None:
                continue
            is_last = all(later.circuit.is_open for later in routes[position + 1 :])
            self._visit(route, leave, is_last=is_last)
            if self.attempts[-1].outcome is not Outcome.SERVER_AT_FAULT:
                return
        if not self.attempts and not self._is_out_of_time:
            self._visit(routes[0], routes[0].circuit.leave, is_last=True)
        if not self.attempts:
            self.note(routes[0].configuration, _OUT_OF_TIME)

    def _visit(self, route: Route, leave: Leave, *, is_last: bool) -> None:
        """One attempt at a configuration, and another one for the catch-all recipient if it comes to that.

        A recipient that was refused once is not tried again at the next configuration.
        """
        # With another configuration to turn to, a line of waiting callers is left as early as a dead server is.
        loan = Loan(
            route.pool,
            deadline=self._deadline,
            patience_s=None if is_last else route.configuration.timeout_s,
            is_hopeless=lambda: not is_last and route.circuit.has_opened_since(leave),
        )
        try:
            while True:
                self._attempt(route, leave, loan)
                is_refused = self.attempts[-1].outcome is Outcome.RECIPIENT_REFUSED
                if not is_refused or self._spare is None or self._is_out_of_time:
                    return
                self._recipients, self._spare = (self._spare,), None
        finally:
            loan.give_back()
            route.circuit.give_back(leave)

    def _attempt(self, route: Route, leave: Leave, loan: Loan) -> None:
        started_at, began = self._clock(), monotonic()
        refused: tuple[str, ...] = ()
        deferred: tuple[str, ...] = ()
        is_news, is_in_doubt = True, route.circuit.is_open
        try:
            session = loan.session()
            is_reused = session.is_reused
            verdict, refused, deferred = self._converse(session, is_in_doubt=is_in_doubt)
            if is_reused and _is_stale(session, verdict):
                refused = deferred = ()
                session = loan.replacement()
                verdict, refused, deferred = self._converse(session, is_in_doubt=is_in_doubt)
            # Ruled out by what the server had announced; it was not asked.
            is_news = verdict.code is not None or not session.is_reusable
        except SessionFailed as failure:
            verdict = judge_failure(failure)
            is_news = not isinstance(failure, AllInUse)
        if is_news and not self._is_cut_short(verdict):
            route.remember(verdict, leave=leave)
        if self.late is not None:
            loan.let_go()
        self.note(
            route.configuration,
            verdict,
            refused=refused,
            deferred=deferred,
            started_at=started_at,
            duration_s=monotonic() - began,
        )

    @property
    def _is_out_of_time(self) -> bool:
        return monotonic() >= self._deadline

    def _is_cut_short(self, verdict: Verdict) -> bool:
        """Whether the server had only the time that others had left over, and did not make it."""
        is_silent = verdict.code is None and verdict.outcome is Outcome.SERVER_AT_FAULT
        return is_silent and bool(self.attempts) and self._is_out_of_time

    def _converse(self, session: SMTPSession, *, is_in_doubt: bool) -> tuple[Verdict, tuple[str, ...], tuple[str, ...]]:
        """The verdict, who was refused, and who of them only for now."""
        transaction = Transaction(
            session,
            recipients=self._recipients,
            message=self._message,
            content=self._content,
            on_hand_over=self._on_hand_over,
            # Of a server in doubt silence is to be expected, and behind the message it would be an uncertain end.
            is_envelope_first=is_in_doubt,
        )
        verdict = transaction.run()
        self.late = transaction.late
        return verdict, transaction.refused, transaction.deferred

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
        deferred: tuple[str, ...] = (),
        started_at: datetime | None = None,
        duration_s: float = 0.0,
    ) -> None:
        """Adds an attempt to the record."""
        self.attempts.append(
            Attempt(
                smtp_id=configuration.index,
                recipients=self._recipients,
                refused=refused,
                deferred=deferred,
                started_at=started_at or self._clock(),
                duration_ms=round(duration_s * 1000),
                outcome=verdict.outcome,
                stage=verdict.stage,
                code=verdict.code,
                enhanced_code=verdict.enhanced_code,
                detail=verdict.detail,
            )
        )


_OUT_OF_TIME = Verdict(
    Outcome.SERVER_AT_FAULT, Stage.CONNECT, detail="no time was left for an attempt before the request's deadline"
)


def _is_stale(session: SMTPSession, verdict: Verdict) -> bool:
    """Whether a session that was lent before turned out dead, with nothing handed over: dropped, silent, or 421.

    A 421 to the whole message is an answer about it, so it counts as an attempt.
    """
    is_given_up = verdict.code is None or (verdict.code == CLOSING and verdict.stage is not Stage.MESSAGE)
    return verdict.outcome is Outcome.SERVER_AT_FAULT and is_given_up and not session.is_reusable
