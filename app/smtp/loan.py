"""What one visit to a server borrows from its pool. Used by `delivery`."""

from collections.abc import Callable
from functools import partial

from app.smtp.pool import SessionPool
from app.smtp.session import SMTPSession


class Loan:
    """The one session that a visit holds: kept from the refused recipient to the catch-all, given back at its end."""

    def __init__(
        self, pool: SessionPool, *, deadline: float, patience_s: float | None, is_hopeless: Callable[[], bool]
    ) -> None:
        self._pool = pool
        self._acquire = partial(pool.acquire, deadline, patience_s=patience_s, is_hopeless=is_hopeless)
        self._session: SMTPSession | None = None

    def session(self) -> SMTPSession:
        """The session in hand while it is of use, else one from the pool. Raises SessionFailed."""
        if self._session is not None and self._session.is_reusable:
            return self._session
        self.give_back()
        self._session = self._acquire()
        return self._session

    def replacement(self) -> SMTPSession:
        """A fresh session instead of one that the server had given up. Raises SessionFailed."""
        self.give_back()
        self._session = self._acquire(fresh=True)
        return self._session

    def let_go(self) -> None:
        """Out of the pool, and left to who goes on with it."""
        session, self._session = self._session, None
        if session is not None:
            self._pool.let_go()

    def give_back(self) -> None:
        """Back to the pool, whatever state it is in."""
        session, self._session = self._session, None
        if session is not None:
            self._pool.release(session)
