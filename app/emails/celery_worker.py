"""Celery's worker as `letterbox worker` runs it: threads that take an email for each ring.

It listens to its queue and to signals, and to nothing else: no remote control, no events, no results.
"""

import logging
import os
import signal
import threading
import warnings
from typing import Any

import structlog
from celery import Celery, bootsteps, signals
from celery.apps.worker import Worker
from celery.worker import state

from app.emails import record
from app.emails.broker import DELIVER
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.errors import RecordUnavailable

log = structlog.get_logger(__name__)

_STOP_S = 25.0
"""How long a stop waits for what is being delivered: less than a service manager's 30 seconds."""

_QUIETER = {
    # They say of every email that it came and went, which our own lines say better.
    "celery.app.trace": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
    # It says with a traceback each that a ring could not be answered any more, which matters to nobody.
    "celery.worker.request": logging.CRITICAL + 1,
}
_LOOK_S = 5.0


def run(office: Office, celery: Celery) -> int:
    """Deliver until SIGTERM or SIGINT; returns the exit status. Of the main thread only."""

    @celery.task(name=DELIVER, acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
    def deliver(email_id: str) -> None:
        deliver_next(office, rung_for=email_id)

    # With somebody who listens to this signal Celery leaves the logging as it is.
    signals.setup_logging.connect(_keep_logging)
    for name, level in _QUIETER.items():
        logging.getLogger(name).setLevel(level)
    celery.steps["consumer"].add(_Revival)
    worker = _Worker(
        app=celery,
        pool="threads",
        concurrency=office.settings.queue_workers,
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    # Threads cannot be cancelled, so of the two ways that this warning offers only one is open.
    warnings.filterwarnings("ignore", message="(?s).*worker_cancel_long_running_tasks_on_connection_loss")
    worker.start()
    return int(worker.exitcode or 0)


def deliver_next(office: Office, *, rung_for: str) -> None:
    """Deliver the most urgent of the emails that are due, if one is: an urgent one never stands behind a thousand.

    Each due email has been rung for, so that each gets its turn, whichever ring it is that brings it.
    """
    try:
        for email in record.claim(office):
            deliver_one(office, email)
    except RecordUnavailable as error:
        log.error("the queue cannot be read", email_id=rung_for, cause=str(error.__cause__))
    except Exception:
        log.exception("a worker failed", email_id=rung_for)


class _Worker(Worker):  # type: ignore[misc]
    """With two signals that both end it as spec: delivery asks, instead of Celery's seven."""

    def install_platform_tweaks(self, worker: Worker) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)


class _Revival(bootsteps.StartStopStep):  # type: ignore[misc]
    """Makes the worker connect anew when it would wait for ever.

    When Redis goes away while every thread is busy, nobody listens to it and the answers to all rings fail. Celery
    would take them for unanswered from then on, and so never ask for another one.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None
        self._is_suspect = False

    def start(self, parent: Any) -> None:
        self._is_suspect = False
        self._entry = parent.timer.call_repeatedly(_LOOK_S, self._look, (parent,))

    def stop(self, parent: Any) -> None:
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    def _look(self, parent: Any) -> None:
        # Only the transports that kombu counts for have this; RabbitMQ counts itself, and notices.
        counting = getattr(parent.task_consumer.channel, "qos", None)
        is_deaf = counting is not None and not state.reserved_requests and not counting.can_consume()
        if is_deaf and self._is_suspect:
            raise ConnectionResetError("no ring can be heard on this connection any more")
        # Once may be the moment between the end of the work and the answer.
        self._is_suspect = is_deaf


def _stop(*_: object) -> None:
    """Take nothing more; Celery waits for what is under way, and this for Celery."""
    if state.should_stop is None:
        limit = threading.Timer(_STOP_S, _leave)
        limit.daemon = True
        limit.start()
    state.should_stop = os.EX_OK


def _leave() -> None:
    log.warning("what is still being delivered is left to its lease")
    os._exit(os.EX_OK)


def _keep_logging(**_: Any) -> None:
    pass
