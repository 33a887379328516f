"""Signed-in sessions of one account at one server, kept for the next message. Used by `pools` and `loan`.

A session is lent to one thread at a time. The last one returned is lent first, so that a burst's extra sessions grow
old and are closed. Nobody holds the lock while talking to a server.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

from app.model.outcome import Stage
from app.model.smtp import Account, SMTPConfiguration
from app.smtp.failure import SessionFailed
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession

IDLE_LIMIT_S = 30.0
"""Below what servers and firewalls allow between two commands (RFC 5321 section 4.5.3.2.7 asks for minutes)."""
AGE_LIMIT_S = 300.0
"""Postfix's own limit for reused connections: a server that moves or reloads is noticed within it."""
MESSAGES_LIMIT = 100
"""What pooling clients are known for; a server's own limit is then rarely met in the middle of a message."""
TRUSTED_S = 1.0
"""A session that spoke so recently is used after a glance at the kernel's connection state only."""


class AllInUse(SessionFailed):
    """Nobody asked the server: the line for its sessions was left."""


class SessionPool:
    """At most `configuration.max_connections` sessions; whoever finds all of them lent waits in line."""

    def __init__(
        self,
        configuration: SMTPConfiguration,
        account: Account,
        *,
        resolver: Resolver,
        retire: Callable[[SMTPSession], None],
    ) -> None:
        self._configuration = configuration
        self._account = account
        self._resolver = resolver
        self._retire = retire
        self._lock = threading.Lock()
        self._idle: list[SMTPSession] = []
        self._waiting: deque[SimpleQueue[SMTPSession | None]] = deque()
        self._slots_taken = 0
        self._is_closed = False
        self.used_at = float("-inf")
        """When a session was last given back (`time.monotonic`); one that nobody used yet does not count."""
        self.is_kept_warm = False
        """Whether one idle session is kept, however long nobody uses it."""

    def acquire(
        self,
        deadline: float,
        *,
        patience_s: float | None = None,
        is_hopeless: Callable[[], bool] = lambda: False,
        fresh: bool = False,
    ) -> SMTPSession:
        """A session for one thread, to be given to `release`. Raises SessionFailed, of which AllInUse.

        `deadline` limits the opening and every later phase, `patience_s` the wait in line; `is_hopeless` is asked
        behind that wait, when a new session would have to be opened. `fresh` opens a new session and gives up the
        idle ones: it is asked for when one of them proved to be dead, and the others are no better known.
        """
        if fresh:
            self.give_up_idle()
        session = self._take_or_wait(deadline, patience_s, is_hopeless)
        if session is not None and fresh:
            # Somebody gave it back meanwhile. Its place is kept for the new one.
            self._end(session)
        elif session is not None:
            idle_s = monotonic() - session.last_used_at
            if session.is_alive(thoroughly=idle_s > TRUSTED_S):
                session.limit = deadline
                return session
            session.close()
        return self._open(deadline)

    def release(self, session: SMTPSession) -> None:
        """Takes a session back: for the next in line, for later, or to be closed."""
        self.used_at = session.last_used_at
        if session.is_reusable and not _is_worn_out(session):
            self._lend_later(session)
        else:
            self._end(session)
            self._free_slot()

    def let_go(self) -> None:
        """A session that was lent does not come back; another one may be opened in its place."""
        self._free_slot()

    def _lend_later(self, session: SMTPSession) -> None:
        session.is_reused = True
        if session.is_reusable:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().put(session)
                    return
                if not self._is_closed:
                    self._idle.append(session)
                    return
        self._end(session)
        self._free_slot()

    def give_up_idle(self, *, unused_since: float | None = None) -> None:
        """Retires idle sessions: all, or those not used since a moment (`time.monotonic`) but the one to be kept."""
        with self._lock:
            kept: list[SMTPSession] = []
            if unused_since is not None:
                kept = [session for session in self._idle if session.last_used_at > unused_since]
                kept = kept or (self._idle[-1:] if self.is_kept_warm else [])
            given_up = [session for session in self._idle if session not in kept]
            self._idle = kept
            self._slots_taken -= len(given_up)
        for session in given_up:
            self._retire(session)

    # What keeps one session ready, used by `warming`.

    @property
    def next_idle(self) -> SMTPSession | None:
        """The idle session that would be lent next; somebody else may be lent it at any time."""
        with self._lock:
            return self._idle[-1] if self._idle else None

    @property
    def is_empty(self) -> bool:
        """Whether there is no session at all, neither idle nor lent nor being opened."""
        return self._slots_taken == 0

    def open_ahead(self, deadline: float) -> None:
        """Opens a session that nobody asked for yet, where there is room for it. Raises SessionFailed."""
        with self._lock:
            if self._is_closed or self._slots_taken >= self._configuration.max_connections:
                return
            self._slots_taken += 1
        session = self._open(deadline)
        self._lend_later(session)

    def prove(self, session: SMTPSession, limit: float) -> None:
        """Has an idle session prove itself until `limit`, unless it was lent meanwhile."""
        if self._take_out(session):
            session.prove(limit)
            self._lend_later(session)

    def give_up(self, session: SMTPSession) -> None:
        """Retires an idle session, unless it was lent meanwhile."""
        if self._take_out(session):
            self._end(session)
            self._free_slot()

    def _take_out(self, session: SMTPSession) -> bool:
        with self._lock:
            if session not in self._idle:
                return False
            self._idle.remove(session)
            return True

    def close(self) -> None:
        """Retires what is idle, and whatever comes back from now on."""
        with self._lock:
            self._is_closed = True
        self.give_up_idle()

    def _take_or_wait(
        self, deadline: float, patience_s: float | None, is_hopeless: Callable[[], bool]
    ) -> SMTPSession | None:
        """An idle session, or None with the right to open one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._slots_taken < self._configuration.max_connections:
                self._slots_taken += 1
                return None
            line: SimpleQueue[SMTPSession | None] = SimpleQueue()
            self._waiting.append(line)
        wait_s = deadline - monotonic()
        if patience_s is not None:
            wait_s = min(wait_s, patience_s)
        detail = f"all {self._configuration.max_connections} sessions were in use"
        try:
            session = line.get(timeout=max(0.0, wait_s))
        except Empty:
            with self._lock, suppress(ValueError):
                self._waiting.remove(line)
                raise AllInUse(Stage.CONNECT, detail=detail) from None
            # It was handed over in the very moment of giving up.
            session = line.get_nowait()
        if session is None and is_hopeless():
            self._free_slot()
            raise AllInUse(Stage.CONNECT, detail=f"{detail}, and the server did not answer them")
        return session

    def _open(self, deadline: float) -> SMTPSession:
        session = SMTPSession(self._configuration, self._account, resolver=self._resolver, limit=deadline)
        try:
            session.open()
        except BaseException:
            self._free_slot()
            raise
        return session

    def _free_slot(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(None)
            else:
                self._slots_taken -= 1

    def _end(self, session: SMTPSession) -> None:
        if session.is_reusable:
            self._retire(session)
        else:
            session.close()


def _is_worn_out(session: SMTPSession) -> bool:
    return session.messages >= MESSAGES_LIMIT or monotonic() - session.opened_at > AGE_LIMIT_S
