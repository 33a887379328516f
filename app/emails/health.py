"""Whether this process can do its work now, and what is wrong if it cannot. Used by `/health/ready`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from app.emails.office import Office
from app.errors import RecordUnavailable
from app.smtp.circuit import Condition
from app.storage import queue, trial
from app.storage.times import to_ms

log = structlog.get_logger(__name__)

OLDEST_DUE_LIMIT = timedelta(minutes=5)
"""How long an email may be due without being taken before the queue counts as stuck."""

_KNOWN_FOR_S = 1.0
"""However many monitors ask, the database is looked at once in this time."""
_TRIAL_EVERY_S = 2.0
"""How often it is written to while all is well."""
_PATIENCE_S = 2.0
"""How long a monitor waits for a database that may hang for much longer."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be well. The detail is a sentence for an operator, without secrets."""

    is_ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was found. `oldest_due_s` is for how long an email has been due; None when there is none, or not known."""

    database: Check
    queue: Check
    oldest_due_s: float | None
    smtp: Check

    @property
    def is_ready(self) -> bool:
        return self.database.is_ok and self.queue.is_ok and self.smtp.is_ok


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What the database showed when it was last looked at; `cause` is for the log."""

    database: Check
    oldest_due_ms: int | None = None
    is_queue_known: bool = False
    cause: str | None = None


_DOES_NOT_ANSWER = Check(False, "The database does not answer.")
_DOES_NOT_WRITE = Check(False, "The database answers, and does not take writes.")
_IS_WELL = Check(True, "The database answers and takes writes.")
_IS_SLOW = _Look(database=Check(False, "The database takes too long to answer."))


class HealthMonitor:
    """One per process; `health` may be called from any thread, and never waits for long."""

    def __init__(self, office: Office, *, now: Callable[[], float] = time.monotonic) -> None:
        self._office = office
        self._now = now
        self._changed = threading.Condition()
        self._look = _IS_SLOW
        self._looked_at = float("-inf")
        self._looking_since: float | None = None
        self._written_at = float("-inf")
        self._told: tuple[bool, ...] = (True, True, True)

    def health(self) -> Health:
        """Everything that has to be well. What has been found within the last second is not looked for again."""
        look = self._recent_look()
        now_ms = to_ms(self._office.clock())
        oldest_due_s = None if look.oldest_due_ms is None else max(0.0, (now_ms - look.oldest_due_ms) / 1000)
        health = Health(
            database=look.database,
            queue=_judge_queue(oldest_due_s, is_known=look.is_queue_known),
            oldest_due_s=oldest_due_s,
            smtp=self._smtp(),
        )
        self._tell(health, cause=look.cause)
        return health

    def _smtp(self) -> Check:
        """By what is known. With nothing known to work, the servers are tried in the background, for the next time."""
        deliverer = self._office.deliverer
        known = {each: deliverer.condition(each) for each in self._office.settings.smtp_configurations}
        failing = [each for each, condition in known.items() if condition is Condition.FAILING]
        if failing and Condition.WORKING not in known.values():
            deliverer.look_again(tuple(known))
        usable = len(known) - len(failing)
        detail = f"{usable} of {len(known)} SMTP configurations can be used."
        if failing:
            detail += f" Failing: {', '.join(f'SMTP_{each.index}' for each in failing)}."
        return Check(usable > 0, detail)

    def _recent_look(self) -> _Look:
        """Looked at in a thread of its own, because a database that hangs must not hold those who serve."""
        with self._changed:
            if self._now() - self._looked_at < _KNOWN_FOR_S:
                return self._look
            if self._looking_since is None:
                threading.Thread(target=self._look_again, name="health", daemon=True).start()
                self._looking_since = self._now()
            patience_s = self._looking_since + _PATIENCE_S - self._now()
            is_over = self._changed.wait_for(lambda: self._looking_since is None, timeout=max(0.0, patience_s))
            return self._look if is_over else _IS_SLOW

    def _look_again(self) -> None:
        look = _Look(database=_DOES_NOT_ANSWER)
        try:
            look = self._examine()
        finally:
            with self._changed:
                self._look, self._looked_at, self._looking_since = look, self._now(), None
                self._changed.notify_all()

    def _examine(self) -> _Look:
        database = self._office.database
        if (trouble := database.trouble()) is not None:
            self._written_at = float("-inf")
            return _Look(database=Check(False, trouble), cause=trouble)
        try:
            oldest_due_ms = database.read(self._oldest_due_ms)
        except RecordUnavailable as error:
            self._written_at = float("-inf")
            return _Look(database=_DOES_NOT_ANSWER, cause=str(error.__cause__))
        check, cause = _IS_WELL, None
        if self._now() - self._written_at >= _TRIAL_EVERY_S:
            try:
                database.write(trial.write_and_remove)
                self._written_at = self._now()
            except RecordUnavailable as error:
                self._written_at = float("-inf")
                check, cause = _DOES_NOT_WRITE, str(error.__cause__)
        return _Look(database=check, oldest_due_ms=oldest_due_ms, is_queue_known=True, cause=cause)

    def _oldest_due_ms(self, connection: Connection) -> int | None:
        """By this process's clock."""
        now_ms = self._office.database.now_ms(connection)
        oldest_due_ms = queue.oldest_due_ms(connection, now_ms=now_ms)
        return None if oldest_due_ms is None else oldest_due_ms - now_ms + to_ms(self._office.clock())

    def _tell(self, health: Health, *, cause: str | None) -> None:
        """In the log when it changes, with what a monitor is not told."""
        checks = (health.database, health.queue, health.smtp)
        verdict = tuple(check.is_ok for check in checks)
        with self._changed:
            if verdict == self._told:
                return
            self._told = verdict
        if health.is_ready:
            log.info("ready again")
        else:
            log.warning("not ready", trouble=[check.detail for check in checks if not check.is_ok], cause=cause)


def _judge_queue(oldest_due_s: float | None, *, is_known: bool) -> Check:
    if not is_known:
        return Check(False, "The queue is not known while the database does not answer.")
    if oldest_due_s is None:
        return Check(True, "No email is due.")
    if oldest_due_s > OLDEST_DUE_LIMIT.total_seconds():
        return Check(False, "An email has been due for too long: the workers do not keep up, or there is none.")
    return Check(True, "No email has been due for long.")
