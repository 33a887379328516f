"""Rings on their way to the broker, and those that were lost on it made good.

`Ringer` listens at the bell of a process that leaves delivery to `letterbox worker`; `ring_for_due` is what
`letterbox beat` does every second.
"""

import threading
from collections import deque

import structlog

from app.emails.broker import Broker
from app.emails.office import Office
from app.errors import RecordUnavailable
from app.storage import queue

log = structlog.get_logger(__name__)

_MOST_RINGS = 1000
"""So many wait in a process for a broker that is slow or away, and so many are made good at once."""
_PAUSE_S = 1.0
_STOP_S = 3.0


class Ringer:
    """Carries the bell's rings to the broker in a thread of its own, so that no request waits for it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        # Beyond that the oldest are dropped; `ring_for_due` makes them good.
        self._rings: deque[str] = deque(maxlen=_MOST_RINGS)
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ring(self, email_id: str) -> None:
        """Neither waits nor raises."""
        self._rings.append(email_id)
        self._woken.set()

    def stop(self) -> None:
        """Let what was rung go out, unless the broker is slow or away."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopped.is_set() or self._rings:
            self._woken.wait()
            self._woken.clear()
            while self._rings:
                if self._ring(self._rings[0]):
                    self._rings.popleft()
                elif self._stopped.wait(_PAUSE_S):
                    self._rings.clear()
        self._broker.close()

    def _ring(self, email_id: str) -> bool:
        try:
            return self._broker.ring(email_id)
        except Exception:
            # A driver's error that is none of the broker's; the thread is the only one that carries rings.
            log.exception("ringing failed", email_id=email_id)
            return False


def ring_for_due(office: Office, broker: Broker) -> int:
    """Ring for due emails that no ring is on its way for: retries, and rings that were lost. Returns how many.

    A ring is for whichever email is the most urgent, so it is enough to compare their numbers; a broker that is full
    of rings never gets more of them.
    """
    waiting = broker.waiting()
    if waiting is None:
        return 0
    try:
        due = office.database.read(
            lambda connection: queue.due_ids(
                connection, now_ms=office.database.now_ms(connection), limit=waiting + _MOST_RINGS
            )
        )
    except RecordUnavailable as error:
        log.error("the queue cannot be read", cause=str(error.__cause__))
        return 0
    rung = 0
    for email_id in due[waiting:]:
        if not broker.ring(email_id):
            break
        rung += 1
    return rung
