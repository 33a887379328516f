"""The ways to all servers of a process, and the thread that says goodbye to them so that no caller has to.

Used by `delivery`.
"""

import threading
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic

import structlog

from app.model.smtp import Account, SMTPConfiguration
from app.smtp.circuit import Circuit, Condition, Leave, had_signed_in, is_down
from app.smtp.failure import SessionFailed
from app.smtp.farewell import FAREWELL_S, say_goodbye
from app.smtp.outcome import Verdict, judge_failure
from app.smtp.pool import IDLE_LIMIT_S, SessionPool
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession

log = structlog.get_logger(__name__)

LATECOMERS_S = 120.0
"""How long after a configuration was given up somebody may still come who chose it before: twice a request's time."""
SWEEP_S = 5.0
"""How often idle sessions are looked through; none is kept longer than the idle limit and this."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The way to a server for one account: its sessions, and whether it is worth a try."""

    configuration: SMTPConfiguration
    pool: SessionPool
    circuit: Circuit = field(default_factory=Circuit)

    def remember(self, verdict: Verdict, *, leave: Leave) -> None:
        """What an attempt with that leave says about the next ones here."""
        index, host = self.configuration.index, self.configuration.host
        if not is_down(verdict):
            if self.circuit.note_success():
                self._tell_that_it_works()
        elif self.circuit.note_failure(leave, is_signed_in=had_signed_in(verdict)):
            cause = f"{verdict.stage}: {verdict.detail}"
            log.warning("SMTP configuration keeps failing, passed over for now", smtp_id=index, host=host, cause=cause)

    def open_ahead(self, leave: Leave) -> SessionFailed | None:
        """Opens a session that nobody asked for, where there is room for it, and remembers what came of it.

        The leave is given back. Returns the failure, if it failed.
        """
        began = monotonic()
        try:
            self.pool.open_ahead(began + self.configuration.timeout_s)
        except SessionFailed as failure:
            self.remember(judge_failure(failure), leave=leave)
            return failure
        finally:
            self.circuit.give_back(leave)
        spare = self.pool.next_idle
        # Where there was no room, or where it was lent at once, the messages under way will tell.
        if spare is not None and spare.opened_at >= began and self.circuit.note_sign_in():
            self._tell_that_it_works()
        return None

    def _tell_that_it_works(self) -> None:
        log.info("SMTP configuration works again", smtp_id=self.configuration.index, host=self.configuration.host)


class Pools:
    """One `Route` per SMTP configuration and account, made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[tuple[SMTPConfiguration, Account], Route] = {}
        self._forgotten: dict[SMTPConfiguration, float] = {}
        """Until when latecomers are expected."""
        self._resolver = Resolver()
        self.retired: SimpleQueue[SMTPSession | None] = SimpleQueue()
        self._caretaker: threading.Thread | None = None

    def route(self, configuration: SMTPConfiguration, account: Account) -> Route:
        key = (configuration, account)
        route = self._routes.get(key)
        if route is None:
            with self._lock:
                self._start_caretaker()
                route = self._routes.get(key)
                if route is None:
                    pool = SessionPool(configuration, account, resolver=self._resolver, retire=self.retire)
                    if self._forgotten.get(configuration, 0.0) > monotonic():
                        # Serves whoever came late, and keeps nothing.
                        pool.close()
                    route = self._routes[key] = Route(configuration, pool)
        return route

    def routes(self) -> list[Route]:
        """All that were asked for so far."""
        with self._lock:
            return list(self._routes.values())

    def condition(self, configuration: SMTPConfiguration, account: Account) -> Condition:
        """The last thing known of the way there."""
        route = self._routes.get((configuration, account))
        return Condition.UNKNOWN if route is None else route.circuit.condition

    def forget(self, configurations: Iterable[SMTPConfiguration]) -> None:
        """Gives them up without waiting: idle sessions end in the background, lent ones when they come back."""
        gone = frozenset(configurations)
        with self._lock:
            self._forgotten |= dict.fromkeys(gone, monotonic() + LATECOMERS_S)
            routes = self._drop(gone)
        for route in routes:
            route.pool.close()

    def _drop(self, configurations: Container[SMTPConfiguration]) -> list[Route]:
        return [self._routes.pop(key) for key in list(self._routes) if key[0] in configurations]

    def close(self) -> None:
        """Says goodbye on every idle session, for about a second at most."""
        with self._lock:
            routes, self._routes = list(self._routes.values()), {}
        for route in routes:
            route.pool.close()
        with self._lock:
            caretaker, self._caretaker = self._caretaker, None
            if caretaker is not None:
                self.retired.put(None)
        if caretaker is not None:
            caretaker.join(2 * FAREWELL_S)

    def retire(self, session: SMTPSession) -> None:
        """Says goodbye on a session in the background."""
        with self._lock:
            if self._caretaker is not None:
                self.retired.put(session)
                return
        # It was lent while everything was closed: nobody is left to wait for a reply to QUIT.
        session.close()

    def _start_caretaker(self) -> None:
        # Not before the first message: a server that forks its workers must not lose the thread on the way.
        if self._caretaker is None:
            caretaker = threading.Thread(target=self._take_care, name="smtp caretaker", daemon=True)
            caretaker.start()
            self._caretaker = caretaker

    def _take_care(self) -> None:
        is_open = True
        while is_open:
            self._sweep()
            retired: list[SMTPSession | None] = []
            with suppress(Empty):
                retired.append(self.retired.get(timeout=SWEEP_S))
                while True:
                    retired.append(self.retired.get_nowait())
            is_open = None not in retired
            say_goodbye([session for session in retired if session is not None], monotonic() + FAREWELL_S)

    def _sweep(self) -> None:
        now = monotonic()
        with self._lock:
            # One that is in use again keeps its sessions from here on.
            over = [configuration for configuration, until in self._forgotten.items() if until <= now]
            dropped = self._drop(over)
            for configuration in over:
                del self._forgotten[configuration]
        for route in dropped:
            route.pool.close()
        for route in self.routes():
            route.pool.give_up_idle(unused_since=now - IDLE_LIMIT_S)
