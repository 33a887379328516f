"""Workers as threads of the service itself: on one machine nothing else is needed. Started by `letterbox serve`.

One thread takes what is due and gives it to the others, never more than are free: what is taken is being delivered, so
that a stop has nothing to hand back. All are made at the start: what was taken must not wait for a thread that the
system will not give.
"""

import threading
import time
from queue import SimpleQueue

import structlog

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.errors import RecordUnavailable
from app.model.email import Email

log = structlog.get_logger(__name__)

_TICK_S = 1.0
"""How often the queue is looked at without a ring, for retries and for what other processes left behind."""
_STOP_S = 25.0
"""How long what is being delivered may take from the first word of a stop: less than a service manager's 30 seconds."""


class Workers:
    """Delivers queued emails until `stop`."""

    def __init__(self, office: Office, *, threads: int) -> None:
        self._office = office
        self._threads = threads
        self._free = threads
        self._woken = threading.Condition()
        self._has_news = True
        self._stop_by: float | None = None
        self._taken: SimpleQueue[Email | None] = SimpleQueue()
        self._crew = [threading.Thread(target=self._work, name=f"worker {n}", daemon=True) for n in range(threads)]
        self._taker = threading.Thread(target=self._take, name="queue", daemon=True)

    def start(self) -> None:
        """Raises RuntimeError when the system gives no threads."""
        self._office.bell.listen(lambda _: self._wake())
        for thread in (*self._crew, self._taker):
            thread.start()

    def stop_taking(self) -> None:
        """Take nothing more; returns at once."""
        with self._woken:
            if self._stop_by is None:
                self._stop_by = time.monotonic() + _STOP_S
            self._woken.notify()

    def stop(self) -> None:
        """Take nothing more and wait for what is under way; what takes too long is settled by its lease."""
        self.stop_taking()
        self._taker.join()
        for _ in self._crew:
            self._taken.put(None)
        with self._woken:
            remaining_s = (self._stop_by or 0.0) - time.monotonic()
            self._woken.wait_for(lambda: self._free == self._threads, timeout=max(0.0, remaining_s))

    def _take(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(self._may_look, timeout=_TICK_S)
                if self._stop_by is not None:
                    return
                self._has_news = False
                free = self._free
            if free:
                self._take_due(free)

    def _may_look(self) -> bool:
        return self._stop_by is not None or (self._has_news and self._free > 0)

    def _take_due(self, free: int) -> None:
        try:
            taken = record.claim(self._office, limit=free)
        except RecordUnavailable as error:
            log.error("the queue cannot be read", cause=str(error.__cause__))
            return
        except Exception:
            # Without this thread nothing is delivered any more; it looks again at the next tick.
            log.exception("taking from the queue failed")
            return
        with self._woken:
            self._free -= len(taken)
            # Where all hands are full there may be more.
            self._has_news = self._has_news or len(taken) == free
        for email in taken:
            self._taken.put(email)

    def _work(self) -> None:
        while (email := self._taken.get()) is not None:
            self._deliver(email)

    def _deliver(self, email: Email) -> None:
        try:
            deliver_one(self._office, email)
        except Exception:
            log.exception("a worker failed", email_id=email.id)
        finally:
            with self._woken:
                self._free += 1
                self._woken.notify()

    def _wake(self) -> None:
        with self._woken:
            self._has_news = True
            self._woken.notify()
