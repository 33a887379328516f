"""How few callers work at a time between the door and their wait for an SMTP server.

All threads share one interpreter. Where a crowd works at once it is handed around among all of them, and whoever only
asks whether the service is alive, or has to be told that there is no room, waits for their work.
"""

import os
from threading import Condition
from time import monotonic

PATIENCE_S = 0.1
"""How long somebody waits for a seat, and keeps one from those who wait. Work takes a hundredth of that."""


class Desk:
    """One per process. A courtesy, not a guard: nobody is refused, and whoever has waited for long enough goes on."""

    def __init__(self, seats: int = max(2, os.cpu_count() or 2)) -> None:
        self._seats = seats
        self._seated: dict[int, float] = {}
        self._somebody_rose = Condition()

    def sit_down(self, who: int) -> None:
        """Wait for a seat until there is one, or for long enough."""
        with self._somebody_rose:
            if not self._somebody_rose.wait_for(self._has_room, PATIENCE_S):
                # Whoever sits for so long does not work but waits, for a body that has not arrived.
                too_long_ago = monotonic() - PATIENCE_S
                self._seated = {sitter: since for sitter, since in self._seated.items() if since > too_long_ago}
            self._seated[who] = monotonic()

    def rise(self, who: int) -> None:
        """Let the next one sit down; nothing for somebody who does not sit."""
        with self._somebody_rose:
            if self._seated.pop(who, None) is not None:
                self._somebody_rose.notify()

    def _has_room(self) -> bool:
        return len(self._seated) < self._seats
