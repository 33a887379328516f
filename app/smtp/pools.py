"""All pools of a process, and the thread that says goodbye to servers so that no caller has to. Used by `delivery`."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

from app.model.smtp import Account, SMTPConfiguration
from app.smtp.farewell import FAREWELL_S, say_goodbye
from app.smtp.pool import IDLE_LIMIT_S, SessionPool
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession

SWEEP_S = 5.0
"""How often idle sessions are looked through; none is kept longer than the idle limit and this."""


class Pools:
    """One `SessionPool` per SMTP configuration and account, made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[tuple[SMTPConfiguration, Account], SessionPool] = {}
        self._resolver = Resolver()
        self._retired: SimpleQueue[SMTPSession | None] = SimpleQueue()
        self._caretaker: threading.Thread | None = None

    def pool(self, configuration: SMTPConfiguration, account: Account) -> SessionPool:
        key = (configuration, account)
        pool = self._pools.get(key)
        if pool is None:
            with self._lock:
                pool = self._pools.get(key)
                if pool is None:
                    pool = self._pools[key] = SessionPool(
                        configuration, account, resolver=self._resolver, retire=self._retire
                    )
                self._start_caretaker()
        return pool

    def forget(self, configurations: Iterable[SMTPConfiguration]) -> None:
        """Gives up their pools without waiting: idle sessions end in the background, lent ones when they come back."""
        gone = frozenset(configurations)
        with self._lock:
            pools = [self._pools.pop(key) for key in list(self._pools) if key[0] in gone]
        for pool in pools:
            pool.close()

    def close(self) -> None:
        """Says goodbye on every idle session, for about a second at most."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()
        with self._lock:
            caretaker, self._caretaker = self._caretaker, None
            if caretaker is not None:
                self._retired.put(None)
        if caretaker is not None:
            caretaker.join(2 * FAREWELL_S)

    def _retire(self, session: SMTPSession) -> None:
        with self._lock:
            if self._caretaker is not None:
                self._retired.put(session)
                return
        # It was lent while everything was closed: nobody is left to wait for a reply to QUIT.
        session.close()

    def _start_caretaker(self) -> None:
        # Not before the first message: a server that forks its workers must not lose the thread on the way.
        if self._caretaker is None:
            self._caretaker = threading.Thread(target=self._take_care, name="smtp caretaker", daemon=True)
            self._caretaker.start()

    def _take_care(self) -> None:
        is_open = True
        while is_open:
            self._sweep()
            retired: list[SMTPSession | None] = []
            with suppress(Empty):
                retired.append(self._retired.get(timeout=SWEEP_S))
                while True:
                    retired.append(self._retired.get_nowait())
            is_open = None not in retired
            say_goodbye([session for session in retired if session is not None], monotonic() + FAREWELL_S)

    def _sweep(self) -> None:
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.give_up_idle(unused_since=monotonic() - IDLE_LIMIT_S)
