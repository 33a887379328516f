"""Whether an SMTP configuration is worth a try just now. Used by `delivery`, one `Circuit` per account at a server.

A server that is down costs each caller its whole timeout before failover begins. After some failures in a row nobody
pays that any more for a while; then one caller finds out whether it is back.

closed   everybody may try; FAILURES_LIMIT failures in a row open it
open     nobody may, until the pause is over
probing  behind the pause one may, the others still pass by: its success closes, its failure doubles the pause

What it knows of the server beyond that is its `Condition`, by which `/health/ready` goes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic

from app.model.outcome import Stage
from app.smtp.outcome import Verdict
from app.smtp.reply import CLOSING

FAILURES_LIMIT = 5
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0

_BEFORE_THE_MESSAGE = frozenset({Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.EHLO, Stage.AUTH})


class Condition(Enum):
    """The last thing known of a server and an account."""

    UNKNOWN = auto()
    """Never tried."""
    WORKING = auto()
    FAILING = auto()
    """It could not be used, and nothing has succeeded since."""


@dataclass(frozen=True, slots=True, eq=False)
class Leave:
    """The leave to try, to be shown again with what came of it.

    `era` tells a try that began before the circuit last opened or closed: its failure is no news.
    """

    era: int
    is_probe: bool = False


class Circuit:
    """Thread-safe. While it is closed and nothing fails, no lock is taken."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._leave = Leave(0)
        self._condition = Condition.UNKNOWN
        self._fails_signed_in = False
        """Whether one of the failures since the last message that the server answered came behind the sign-in."""
        self._failures = 0
        self._pause_s = 0.0
        """0 while it is closed."""
        self._pause_ends_at = 0.0
        self._probe: Leave | None = None
        self.failed_at = float("-inf")
        """When a try last failed, by the circuit's own clock."""

    @property
    def condition(self) -> Condition:
        """Of a server that lets everybody in and fails with messages, it is bad until the pause is over."""
        return Condition.FAILING if self.is_open else self._condition

    @property
    def leave(self) -> Leave:
        """For whoever tries in any case, for want of another configuration."""
        return self._leave

    @property
    def is_open(self) -> bool:
        """Whether whoever asks now has to pass by. Behind the pause nobody has to, although it may still be down."""
        return self._pause_s > 0 and (self._probe is not None or self._now() < self._pause_ends_at)

    def admit(self) -> Leave | None:
        """The leave to try, which has to come back to `give_back`; None for those who should pass by."""
        leave = self._leave
        if not self._pause_s:
            return leave
        with self._lock:
            if not self._pause_s:
                return self._leave
            if self.is_open:
                return None
            self._probe = Leave(self._leave.era, is_probe=True)
            return self._probe

    def has_opened_since(self, leave: Leave) -> bool:
        """Whether those who were let in with this leave would not be now."""
        return leave.era != self._leave.era and self.is_open

    def note_success(self) -> bool:
        """The server answers, whoever asked it; whether that closed the circuit."""
        if not self._failures and not self._pause_s:
            self._condition = Condition.WORKING
            return False
        with self._lock:
            self._condition = Condition.WORKING
            self._fails_signed_in = False
            self._failures = 0
            if not self._pause_s:
                return False
            self._pause_s = 0.0
            self._begin_era()
            return True

    def note_sign_in(self) -> bool:
        """The server let somebody in who brought no message; whether that closed the circuit.

        Where messages failed behind the sign-in it does not: servers that then hang are known.
        """
        if not self._fails_signed_in:
            return self.note_success()
        with self._lock:
            self._condition = Condition.WORKING
        return False

    def note_failure(self, leave: Leave, *, is_signed_in: bool = False) -> bool:
        """The server or the account does not work; whether that opened the circuit."""
        with self._lock:
            self.failed_at = self._now()
            if leave.era != self._leave.era:
                return False
            self._condition = Condition.FAILING
            self._fails_signed_in = self._fails_signed_in or is_signed_in
            if self._pause_s:
                if leave is self._probe:
                    self._probe = None
                    self._pause(min(2 * self._pause_s, LONGEST_PAUSE_S))
                return False
            self._failures += 1
            if self._failures < FAILURES_LIMIT:
                return False
            self._pause(FIRST_PAUSE_S)
            self._begin_era()
            return True

    def give_back(self, leave: Leave) -> None:
        """The try is over. A probe that brought no news makes room for another one."""
        if leave.is_probe:
            with self._lock:
                if leave is self._probe:
                    self._probe = None

    def _pause(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._pause_ends_at = self._now() + pause_s

    def _begin_era(self) -> None:
        self._failures = 0
        self._probe = None
        self._leave = Leave(self._leave.era + 1)


def is_down(verdict: Verdict) -> bool:
    """Whether a server's word or silence says that it or the account works for no message at all.

    The refusal of one message or recipient does not, nor does a temporary one: nobody waits for what was answered.
    """
    return verdict.code in (None, CLOSING) or not had_signed_in(verdict)


def had_signed_in(verdict: Verdict) -> bool:
    """Whether the server had let us in by then."""
    return verdict.stage not in _BEFORE_THE_MESSAGE
