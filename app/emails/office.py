"""What the use cases work with, put together once per process by `create_app` and by the command line."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import structlog
from sqlalchemy import Connection

from app.connections.registry import Registry
from app.emails.backlog import Backlog
from app.emails.bell import Bell
from app.emails.turnstile import Turnstile
from app.errors import RecordRefused, RecordUnavailable
from app.guards.gate import Gate, build_gate
from app.messages import self_test
from app.messages.compose import Composer
from app.messages.templates import Templates
from app.model.clock import Clock, utc_now
from app.model.email import Email
from app.observability.metrics import Metrics
from app.settings import Settings
from app.smtp.delivery import Deliverer
from app.storage.database import Database

log = structlog.get_logger(__name__)

Write = Callable[[Connection], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The tools of one process.

    `under_way` holds the emails that it is sending, by id; `unwritten` the outcomes that the database did not take yet;
    `turns` numbers the emails that it takes from the queue.
    """

    settings: Settings
    database: Database
    registry: Registry
    gate: Gate
    templates: Templates
    composer: Composer
    deliverer: Deliverer
    turnstile: Turnstile
    backlog: Backlog
    bell: Bell
    metrics: Metrics
    clock: Clock
    under_way: dict[str, Email] = field(default_factory=dict)
    unwritten: deque[tuple[Write, bool]] = field(default_factory=deque)
    turns: Iterator[int] = field(default_factory=lambda: count(1))
    _writing_kept: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock = utc_now) -> Self:
        """Build everything from the settings; raises SelfTestFailed when composing is unsafe on this Python."""
        templates = Templates(settings.templates_dir / "email")
        composer = Composer(templates, settings.limits)
        self_test.run(composer)
        database = Database(settings.database_url, clock=clock)
        metrics = Metrics()
        deliverer = Deliverer(clock=clock)
        return cls(
            settings=settings,
            database=database,
            registry=Registry.open(settings, database=database, clock=clock, retire=deliverer.forget),
            gate=build_gate(settings.guards, database=database, metrics=metrics, clock=clock),
            templates=templates,
            composer=composer,
            deliverer=deliverer,
            turnstile=Turnstile(settings.web_threads),
            backlog=Backlog(database, limit=settings.queue_limit),
            bell=Bell(),
            metrics=metrics,
            clock=clock,
        )

    def write_outcome(self, write: Write, *, outlives_power: bool = False) -> None:
        """Write what has already happened. It cannot be undone, so what the database cannot take now is kept for later.

        What it will never take is logged: it must not stand in the way of what others have to write.
        """
        try:
            self.database.write(write, outlives_power=outlives_power, never_refuses=True)
        except RecordUnavailable as error:
            self.metrics.record_errors.inc()
            self.unwritten.append((write, outlives_power))
            log.error("outcome kept aside, the database did not take it", cause=str(error.__cause__))
        except RecordRefused:
            self.metrics.record_errors.inc()
            log.exception("outcome lost, the database refuses it")

    def write_kept_outcomes(self) -> None:
        """Try what was kept aside once more, oldest first; stops where the database still cannot take it."""
        with self._writing_kept:
            while self.unwritten:
                write, outlives_power = self.unwritten[0]
                try:
                    self.database.write(write, outlives_power=outlives_power)
                except RecordUnavailable:
                    return
                except RecordRefused:
                    log.exception("outcome lost, the database refuses it")
                self.unwritten.popleft()

    def close(self) -> None:
        # First, because what is listened to for a late reply ends in the record.
        self.deliverer.close()
        self.write_kept_outcomes()
        with suppress(RecordUnavailable):
            self.registry.live.write_uses()
        self.gate.close()
        self.database.close()
