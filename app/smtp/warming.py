"""Sessions opened ahead: the first message after a start or a pause finds one that is signed in. Used by `delivery`.

One thread looks after the standing configurations for good, and after every other one for a while after its last
message. Each of them has one idle session at least, which is

opened    when there is none, with leave of the circuit, and never twice within a pause that doubles as long as sessions
          do not last: a server that is down, or that hangs up on whoever says nothing, is asked every five minutes
proved    by a NOOP every half minute, so that no server takes it for forgotten
replaced  by a fresh one shortly before the pool would find it too old

A server that could not be used is tried again sooner by the `Scout`, while somebody asks whether it works.

What it costs: a server holds one connection for each process, with 9 NOOPs in its five minutes (Exim hangs up behind 10
commands that are no mail, Postfix behind 100), and sees a sign-in every five minutes, as from a client that polls.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from app.model.outcome import Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.circuit import Condition
from app.smtp.failure import SessionFailed
from app.smtp.farewell import FAREWELL_S
from app.smtp.pool import AGE_LIMIT_S
from app.smtp.pools import Pools, Route

log = structlog.get_logger(__name__)

TICK_S = 1.0
NOOP_AFTER_S = 30.0
"""Below the minute that the most impatient servers and firewalls give; what it proves is good for a little longer."""
RENEWED_BEFORE_S = 20.0
"""So long before its end a session is replaced, so that there is no moment without one."""
WARM_AFTER_USE_S = 900.0
WARM_ROUTES_LIMIT = 32
"""Projects can bring any number of servers; those that were used last are kept warm."""
ANSWER_S = 5.0
FIRST_PAUSE_S = 15.0
LONGEST_PAUSE_S = 300.0
SCOUT_PAUSE_S = 5.0
SCOUT_PAUSE_BEHIND_SIGN_IN_S = 30.0
SCOUT_PAUSE_BEHIND_REFUSAL_S = 300.0
"""No oftener than a client that polls: repeated sign-ins that are refused are how accounts get locked."""


@dataclass(slots=True)
class _Patience:
    """When a route may be turned to again."""

    turned_to_at: float = float("-inf")
    refused_at: float = float("-inf")
    pause_s: float = FIRST_PAUSE_S

    def allows(self, now: float, *, used_at: float) -> bool:
        """A sign-in that was refused is not repeated before a message got through: that is how accounts get locked."""
        return now >= self.turned_to_at + self.pause_s and used_at >= self.refused_at

    def note_try(self, now: float, *, used_at: float) -> None:
        """The pause behind this try: longer when what the last one brought neither lasted nor was of use."""
        was_worth_it = now - self.turned_to_at >= AGE_LIMIT_S - RENEWED_BEFORE_S or used_at > self.turned_to_at
        self.pause_s = FIRST_PAUSE_S if was_worth_it else min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.turned_to_at = now


class Warmer:
    """The thread, from `start` to `stop`."""

    def __init__(self, pools: Pools, standing: Sequence[SMTPConfiguration]) -> None:
        self._pools = pools
        self._standing = standing
        self._patience: dict[Route, _Patience] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="smtp warmer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Turns to no server any more; the one that it is just waiting for is not waited for."""
        self._stopped.set()
        self._thread.join(FAREWELL_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            for route in self._choose(monotonic()):
                if self._stopped.is_set():
                    return
                try:
                    self._tend(route)
                except Exception:
                    log.exception("warming failed", smtp_id=route.configuration.index)
            self._stopped.wait(TICK_S)

    def _choose(self, now: float) -> list[Route]:
        """The routes to be kept warm, the standing ones first; the others are told that they need not be."""
        standing = [self._pools.route(configuration, configuration.account) for configuration in self._standing]
        routes = self._pools.routes()
        others = [route for route in routes if route.pool.used_at > now - WARM_AFTER_USE_S and route not in standing]
        others.sort(key=lambda route: route.pool.used_at, reverse=True)
        chosen = [*standing, *others[:WARM_ROUTES_LIMIT]]
        for route in routes:
            route.pool.is_kept_warm = route in chosen
        self._patience = {route: self._patience.get(route, _Patience()) for route in chosen}
        return chosen

    def _tend(self, route: Route) -> None:
        pool, now = route.pool, monotonic()
        spare = pool.next_idle
        if spare is None:
            # Where sessions are lent, they will come back.
            if pool.is_empty:
                self._open(route, now)
        elif now - spare.opened_at > AGE_LIMIT_S - RENEWED_BEFORE_S:
            if route.configuration.max_connections > 1:
                self._open(route, now)
            if pool.next_idle is not spare or route.configuration.max_connections == 1:
                pool.give_up(spare)
        elif now - spare.proved_at > NOOP_AFTER_S or not spare.is_alive(thoroughly=False):
            pool.prove(spare, now + ANSWER_S)

    def _open(self, route: Route, now: float) -> None:
        patience, used_at = self._patience[route], route.pool.used_at
        leave = route.circuit.admit() if patience.allows(now, used_at=used_at) else None
        if leave is None:
            return
        patience.note_try(now, used_at=used_at)
        failure = route.open_ahead(leave)
        if failure is not None:
            if failure.stage is Stage.AUTH and failure.reply is not None:
                patience.refused_at = monotonic()
            log.info("no session opened ahead", smtp_id=route.configuration.index, cause=str(failure))


class Scout:
    """Finds out whether servers that could not be used can be again, for a monitor that wants to know.

    One thread at most, for as long as a round takes: also where no traffic comes, and where nothing is kept warm.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._lock = threading.Lock()
        self._is_out = False
        self._next_at: dict[Route, float] = {}

    def send(self, configurations: Sequence[SMTPConfiguration]) -> None:
        """Has those tried that nobody has tried for a moment, until one of them works. Returns at once."""
        with self._lock:
            if self._is_out:
                return
            routes = [self._pools.route(configuration, configuration.account) for configuration in configurations]
            due = [route for route in routes if self._is_due(route)]
            if due:
                threading.Thread(target=self._look, args=(due,), name="smtp scout", daemon=True).start()
                self._is_out = True

    def _is_due(self, route: Route) -> bool:
        return monotonic() >= max(self._next_at.get(route, float("-inf")), route.circuit.failed_at + SCOUT_PAUSE_S)

    def _look(self, routes: Sequence[Route]) -> None:
        try:
            for route in routes:
                # Whatever breaks, the pause holds.
                self._next_at[route] = monotonic() + SCOUT_PAUSE_S
                failure = route.open_ahead(route.circuit.admit() or route.circuit.leave)
                self._next_at[route] = monotonic() + _pause_behind_s(failure)
                if route.circuit.condition is Condition.WORKING:
                    return
        finally:
            with self._lock:
                self._is_out = False


def _pause_behind_s(failure: SessionFailed | None) -> float:
    if failure is None or failure.reply is None or failure.stage is not Stage.AUTH:
        return SCOUT_PAUSE_S
    return SCOUT_PAUSE_BEHIND_REFUSAL_S if failure.reply.code >= 500 else SCOUT_PAUSE_BEHIND_SIGN_IN_S
