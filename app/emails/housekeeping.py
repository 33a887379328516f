"""What has to happen without a caller: late outcomes, abandoned rows, pruning, the monthly test message.

Three threads per process: leases are renewed in one that does nothing else, because a lease that lapses lets others
take this process for dead; what takes long, as pruning and a message to a slow server, holds no short duty up. Every
duty is safe when many processes do it at the same time.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from time import monotonic, sleep

import structlog
from sqlalchemy import Connection

from app.connections.access import ISSUE_TOKEN
from app.emails.monthly_test import send_monthly_test
from app.emails.office import Office
from app.emails.record import KEY_LIFETIME, LEASE, renew_leases, settle_abandoned
from app.storage import access_tokens, audit, blocks, cooldowns, emails, form_marks, idempotency, submission_shares
from app.storage.times import to_ms

log = structlog.get_logger(__name__)

_TICK_S = 1.0
_LONGEST_PAUSE_S = 1.0
_STOP_S = 3.0
_SHARES_KEPT_MS = 2 * 3600 * 1000
"""Twice as long as they count."""
_LEAST_RETENTION = KEY_LIFETIME + timedelta(hours=1)


@dataclass(slots=True)
class _Duty:
    """`thread` names the one that performs it."""

    name: str
    period: timedelta
    perform: Callable[[Office], object]
    thread: str = "housekeeping"
    due_at: float = float("-inf")


@dataclass(slots=True)
class Housekeeper:
    """Performs each duty when it is due, until `stop`.

    `now` (seconds, never set back) says when that is, so that nothing waits for a clock that was put right.
    """

    office: Office
    now: Callable[[], float] = monotonic
    _duties: list[_Duty] = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _tended_at: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        self._duties = [
            _Duty("write late outcomes", timedelta(seconds=1), Office.write_kept_outcomes),
            _Duty("notice changed connections", timedelta(seconds=1), _notice_changes),
            _Duty("tend leases", timedelta(seconds=5), self._tend_leases, "leases"),
            _Duty("write uses of tokens", timedelta(seconds=10), _write_uses),
            _Duty("prune", timedelta(hours=1), self._prune, "long duties"),
        ]
        if self.office.settings.monthly_test_email:
            self._duties.append(_Duty("monthly test", timedelta(hours=1), send_monthly_test, "long duties"))

    def start(self) -> None:
        for name in dict.fromkeys(duty.thread for duty in self._duties):
            thread = threading.Thread(target=self._run, args=(name,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is being done, but not for long: it may be a server that is silent."""
        self._stopped.set()
        stop_by = monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, stop_by - monotonic()))

    def perform_due(self, thread: str | None = None) -> None:
        """Perform what is due now, of one thread or all; a duty that fails is logged and comes round again."""
        now = self.now()
        for duty in self._duties:
            if duty.due_at > now or thread not in (None, duty.thread) or self._stopped.is_set():
                continue
            duty.due_at = now + duty.period.total_seconds()
            try:
                duty.perform(self.office)
            except Exception:
                log.exception("housekeeping failed", duty=duty.name)

    def _tend_leases(self, office: Office) -> None:
        """Renew this process's leases, then settle what others left behind."""
        now, moment_ms = self.now(), office.database.read(office.database.now_ms)
        # When the database or the whole machine was away, or the clock was put forward, nobody could renew. The living
        # get a turn before anybody is taken for dead.
        is_back = (
            self._tended_at is not None
            and max(now - self._tended_at[0], (moment_ms - self._tended_at[1]) / 1000) > LEASE.total_seconds() / 2
        )
        renew_leases(office)
        if not is_back:
            settle_abandoned(office)
        self._tended_at = now, moment_ms

    def _prune(self, office: Office) -> None:
        prune(office, pause=lambda pause_s: not self._stopped.wait(pause_s))

    def _run(self, thread: str) -> None:
        # At once, so that also a service that never lives long says what became of its predecessors' emails.
        self.perform_due(thread)
        while not self._stopped.wait(_TICK_S):
            self.perform_due(thread)


def _notice_changes(office: Office) -> None:
    office.registry.live.refresh()


def _write_uses(office: Office) -> None:
    office.registry.live.write_uses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows went."""

    emails: int = 0
    cooldowns: int = 0
    blocks: int = 0
    access_tokens: int = 0
    audit_entries: int = 0
    idempotency_keys: int = 0
    form_marks: int = 0
    submission_shares: int = 0


def _pause(pause_s: float) -> bool:
    sleep(pause_s)
    return True


def prune(office: Office, *, pause: Callable[[float], bool] = _pause) -> Pruned:
    """Delete what is older than the retention settings say, in portions, each a transaction of its own.

    `pause` is called between two of them: it waits for so many seconds, and says whether to go on. Raises
    RecordUnavailable, with what was deleted until then gone.
    """
    pruned: Counter[str] = Counter()
    for kind, delete_portion in _portions(office).items():
        while True:
            began = monotonic()
            deleted = office.database.write(delete_portion)
            if not deleted:
                break
            pruned[kind] += deleted
            # As long as the portion took: other processes poll a file that is locked, and need time to find it free.
            if not pause(min(monotonic() - began, _LONGEST_PAUSE_S)):
                return Pruned(**pruned)
    return Pruned(**pruned)


def _portions(office: Office) -> dict[str, Callable[[Connection], int]]:
    """What deletes a portion of each table, by the attribute of `Pruned` that counts it."""
    now = office.clock()
    # While a repeated request is answered with it, a record is there.
    emails_before = to_ms(now - max(timedelta(days=office.settings.email_retention_days), _LEAST_RETENTION))
    cooldowns_before = to_ms(now - timedelta(days=office.settings.cooldown_retention_days))
    now_ms = to_ms(now)
    key_lifetime_ms = KEY_LIFETIME // timedelta(milliseconds=1)

    # What a clock that is ahead deletes too early would let a repeated request be sent again.
    def prune_keys(connection: Connection) -> int:
        older_than_ms = office.database.now_ms(connection) - key_lifetime_ms
        return idempotency.prune(connection, older_than_ms=older_than_ms)

    def prune_marks(connection: Connection) -> int:
        return form_marks.prune(connection, now_ms=office.database.now_ms(connection))

    return {
        "emails": partial(emails.prune, older_than_ms=emails_before),
        "cooldowns": partial(cooldowns.prune, older_than_ms=cooldowns_before),
        "blocks": partial(blocks.prune, older_than_ms=emails_before),
        "access_tokens": partial(access_tokens.prune, older_than_ms=now_ms),
        # Clients come for a token every hour; what people did stays on record.
        "audit_entries": partial(audit.prune, action=ISSUE_TOKEN, older_than_ms=emails_before),
        "idempotency_keys": prune_keys,
        "form_marks": prune_marks,
        "submission_shares": partial(submission_shares.prune, older_than_ms=now_ms - _SHARES_KEPT_MS),
    }
