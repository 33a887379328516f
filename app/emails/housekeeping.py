"""What has to happen without a caller: late outcomes, abandoned rows, pruning, the monthly test message.

One thread per process. Every duty is safe when many processes do it at the same time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from app.connections.access import ISSUE_TOKEN
from app.emails.monthly_test import send_monthly_test
from app.emails.office import Office
from app.emails.record import KEY_LIFETIME, LEASE, renew_leases, settle_abandoned
from app.model.clock import Clock
from app.storage import access_tokens, audit, blocks, cooldowns, emails, form_marks, idempotency
from app.storage.times import to_ms

log = structlog.get_logger(__name__)

_TICK_S = 1.0


@dataclass(slots=True)
class _Duty:
    name: str
    period: timedelta
    perform: Callable[[Office], object]
    due_at_ms: int = 0


@dataclass(slots=True)
class Housekeeper:
    """Performs each duty when it is due, until `stop`."""

    office: Office
    clock: Clock
    _duties: list[_Duty] = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _tended_at: datetime | None = None

    def __post_init__(self) -> None:
        self._duties = [
            _Duty("write late outcomes", timedelta(seconds=1), Office.write_kept_outcomes),
            _Duty("notice changed connections", timedelta(seconds=1), _notice_changes),
            _Duty("tend leases", timedelta(seconds=5), self._tend_leases),
            _Duty("write uses of tokens", timedelta(seconds=10), _write_uses),
            _Duty("prune", timedelta(hours=1), prune),
        ]
        if self.office.settings.monthly_test_email:
            self._duties.append(_Duty("monthly test message", timedelta(hours=1), send_monthly_test))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def perform_due(self) -> None:
        """Perform what is due now; a duty that fails is logged and comes round again."""
        now_ms = to_ms(self.clock())
        for duty in self._duties:
            if duty.due_at_ms > now_ms:
                continue
            duty.due_at_ms = now_ms + duty.period // timedelta(milliseconds=1)
            try:
                duty.perform(self.office)
            except Exception:
                log.exception("housekeeping failed", duty=duty.name)

    def _tend_leases(self, office: Office) -> None:
        """Renew this process's leases, then settle what others left behind."""
        now = self.clock()
        # When the database was away, nobody could renew. The living get a turn before anybody is taken for dead.
        is_back = self._tended_at is not None and now - self._tended_at > LEASE / 2
        renew_leases(office)
        if not is_back:
            settle_abandoned(office)
        self._tended_at = now

    def _run(self) -> None:
        # At once, so that also a service that never lives long says what became of its predecessors' emails.
        self.perform_due()
        while not self._stopped.wait(_TICK_S):
            self.perform_due()


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


def prune(office: Office) -> Pruned:
    """Delete what is older than the retention settings say."""
    now = office.clock()
    emails_before = to_ms(now - timedelta(days=office.settings.email_retention_days))
    cooldowns_before = to_ms(now - timedelta(days=office.settings.cooldown_retention_days))
    return office.database.write(
        lambda connection: Pruned(
            emails=emails.prune(connection, older_than_ms=emails_before),
            cooldowns=cooldowns.prune(connection, older_than_ms=cooldowns_before),
            blocks=blocks.prune(connection, older_than_ms=emails_before),
            access_tokens=access_tokens.prune(connection, older_than_ms=to_ms(now)),
            # Clients come for a token every hour; what people did stays on record.
            idempotency_keys=idempotency.prune(connection, older_than_ms=to_ms(now - KEY_LIFETIME)),
            audit_entries=audit.prune(connection, action=ISSUE_TOKEN, older_than_ms=emails_before),
            form_marks=form_marks.prune(connection, now_ms=to_ms(now)),
        )
    )
